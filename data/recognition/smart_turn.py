"""Smart Turn v3: whether a speaker who pauses has finished, by the sound of the last 8 s.

A small Whisper encoder with a head, trained by Daily on human and synthetic turns in 23 languages
(github.com/pipecat-ai/smart-turn). It hears intonation and wording and knows no transcript.
"""

from pathlib import Path

import numpy as np

from data.ncssd.models import onnx_session

TURN_HZ = 16_000
_WINDOW_S = 8


class SmartTurn:
    """Args:
    path: of the weights, as `find_smart_turn` gives it.
    """

    def __init__(self, path: Path) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        self._mel = FeatureExtractor(chunk_length=_WINDOW_S)
        self._session = onnx_session(path)

    def finished(self, samples: np.ndarray) -> float:
        """The probability, 0 to 1, that a turn is over.

        Args:
            samples: `[T]` at 16 kHz, the turn up to now with the beginning of the silence behind
                it; the last 8 s count.
        """
        window = np.zeros(_WINDOW_S * TURN_HZ, np.float32)
        last = samples[-len(window) :]
        if len(last):
            window[-len(last) :] = last
        # Unit variance over the whole window, the silence in front included: as it was trained.
        window = (window - window.mean()) / np.sqrt(window.var() + 1e-7)
        found = self._session.run(None, {"input_features": self._mel(window, padding=0)[None]})
        return float(found[0][0, 0])
