"""Recognition by an OpenAI-compatible transcription endpoint."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import numpy as np

from data.audio import SAMPLE_RATE, encode_audio, resample
from data.errors import RepError
from data.languages import LANGUAGES
from data.recognition.recognizer import Names

KEY_VARIABLE = "ASR_API_KEY"
_RATE = 16_000


class TranscriptionEndpoint:
    """A thread-safe client of `POST {base_url}/audio/transcriptions`.

    Args:
        base_url: up to and including `/v1`.
        model: the endpoint's model name.
        key: bearer token; empty sends none.
        timeout_s: for each step of a request.
    """

    def __init__(self, base_url: str, model: str, key: str = "", timeout_s: float = 20.0) -> None:
        self._url = base_url.rstrip("/") + "/audio/transcriptions"
        self._model = model
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(timeout=timeout_s, headers=headers)

    def transcribe(
        self,
        samples: np.ndarray,
        sample_rate: int = SAMPLE_RATE,
        language: str = "",
        names: Names = (),
    ) -> str:
        """The text of samples `[T]`.

        Args:
            samples: float32, mono.
            sample_rate: Hz.
            language: a code; empty lets the endpoint detect it.
            names: names that may occur, to bias recognition.

        Raises:
            RepError: the endpoint is unreachable, rejected the request, or sent an invalid
        response."""
        wav = encode_audio(resample(samples, sample_rate, _RATE), _RATE, "wav")
        fields = {"model": self._model, "language": language, "prompt": ", ".join(names)}
        fields = {name: value for name, value in fields.items() if value}
        try:
            response = self._client.post(
                self._url, files={"file": ("turn.wav", wav, "audio/wav")}, data=fields
            )
            response.raise_for_status()
            return str(response.json()["text"]).strip()
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise RepError(
                f"the transcription endpoint failed ({type(error).__name__}: {error}); check "
                "--asr-base-url (--asr-endpoint of build) and --asr-model"
            ) from error

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()


class EndpointRecognizer:
    """See `data.recognition.recognizer.Recognizer`; the arguments are `TranscriptionEndpoint`'s."""

    name = "endpoint"
    needs_whole_turn = True
    languages = LANGUAGES
    biasable = True
    caveat = ""

    def __init__(self, base_url: str, model: str, key: str = "", timeout_s: float = 20.0) -> None:
        self._endpoint = TranscriptionEndpoint(base_url, model, key, timeout_s)
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="transcribe")

    def open(
        self,
        language: str | None = None,
        times: bool = False,
        names: Names = (),
        interim: bool = True,
    ) -> "_WholeUtterance":
        """See `Recognizer`."""
        return _WholeUtterance(self._pool, self._endpoint, names, language)

    def close(self) -> None:
        """See `Recognizer`."""
        self._pool.shutdown(cancel_futures=True)
        self._endpoint.close()


class _WholeUtterance:
    """Buffers the audio and sends it in one request; no partial text, no word timestamps."""

    partial = draft = ""
    words = confidences = None

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        endpoint: TranscriptionEndpoint,
        names: Names,
        language: str | None,
    ) -> None:
        self._pool, self._endpoint, self._names = pool, endpoint, names
        self.language = language
        self._pieces: list[np.ndarray] = []
        self._future: Future[str] | None = None
        self._lock = threading.Lock()

    def push(self, samples: np.ndarray) -> None:
        self._pieces.append(samples)

    def finish(self) -> "Future[str]":
        with self._lock:
            if self._future is None:
                sound = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
                self._pieces.clear()
                self._future = self._pool.submit(
                    self._endpoint.transcribe,
                    sound,
                    language=self.language or "",
                    names=self._names,
                )
            return self._future

    def abort(self) -> None:
        self._pieces.clear()
        if self._future is not None:
            self._future.cancel()
