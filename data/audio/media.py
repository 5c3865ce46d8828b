"""Safe decoding of media files by FFmpeg, in blocks.

Some formats that FFmpeg opens only refer to other files: playlists, manifests, session
descriptions, file name patterns. Only the containers listed here are read, from a nameless file
object, and nothing that they refer to is opened.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from data.audio.headers import SizedFile
from data.errors import InputError

MAX_CHANNELS = 16
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
_CONTAINERS = (
    *("wav", "w64", "aiff", "au", "caf", "voc", "nistsphere", "ircam", "iff"),
    *("flac", "mp3", "aac", "ac3", "eac3", "dts", "amr", "ape", "wv", "tta", "ogg"),
    *("matroska", "mov", "avi", "asf", "flv", "mpeg", "mpegts", "mxf", "rm"),
)
_CODECS = (
    *("flac", "alac", "ape", "tta", "wavpack", "wmalossless", "mlp", "truehd", "als"),
    *("mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "aac", "aac_fixed", "aac_latm"),
    *("opus", "libopus", "vorbis", "libvorbis", "speex", "libspeex", "ac3", "eac3", "dca"),
    *("wmav1", "wmav2", "wmapro", "wmavoice", "cook", "ra_144", "ra_288", "sipr", "nellymoser"),
    *("amrnb", "amrwb", "gsm", "gsm_ms", "g722", "qdm2", "mace3", "mace6", "8svx_exp", "8svx_fib"),
)
_BLOCK = 1 << 18  # samples per decoded block, over all channels


class Media:
    """An open media file.

    Attributes:
        name: for messages.
        container, codec: FFmpeg's names.
        rate: sample rate, Hz; 0 until the first block if the header does not state it.
        channels: number of channels; likewise.
        damaged: why decoding ended before the file did, or "".
        file, stream: PyAV's objects.
    """

    def __init__(self, name: str, file: Any) -> None:
        self.name, self.file = name, file
        if not file.streams.audio:
            raise InputError(f"{name} has no audio stream; give a file that contains audio")
        self.stream = file.streams.audio[0]
        self.container: str = file.format.name
        decoder = self.stream.codec_context
        self.codec: str = "an unknown codec" if decoder is None else decoder.name
        self.damaged = ""
        if decoder is None or self.codec not in _codecs():
            raise InputError(f"{name} is encoded in {self.codec}, which is unsupported; convert it")
        self.rate = int(self.stream.rate or 0)
        self.channels = int(decoder.channels or 0)
        if self.rate:
            self._check(self.rate, self.channels)

    @property
    def lossy(self) -> bool:
        """Whether decoding may overshoot full scale, as lossy codecs do."""
        return not self.codec.startswith("pcm_")

    @property
    def bits(self) -> int:
        """Output bit depth: 24 if the file's exceeds 16, else 16."""
        deep = self.codec.startswith(("pcm_s24", "pcm_s32", "pcm_f", "pcm_u24", "pcm_u32"))
        lossless = self.codec in ("flac", "alac", "wavpack", "tta", "ape")
        sample = str(getattr(self.stream.codec_context.format, "name", ""))
        return 24 if deep or (lossless and sample.startswith(("s32", "flt", "dbl"))) else 16

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields samples [channels, n], float32, up to the end or the first damage.

        Raises:
            InputError: nothing can be decoded.
        """
        pieces: list[np.ndarray] = []
        held = 0
        for piece in self._pieces():
            pieces.append(piece)
            held += piece.size
            if held >= _BLOCK:
                yield np.concatenate(pieces, axis=1)
                pieces, held = [], 0
        if pieces:
            yield np.concatenate(pieces, axis=1)

    def _pieces(self) -> Iterator[np.ndarray]:
        seen = False
        try:
            # Packed, since PyAV reads past the planes of planar frames with eight or more channels.
            packed = av.AudioResampler(format="flt", rate=self.rate or None)
            for frame in self.file.decode(self.stream):
                for part in packed.resample(frame):
                    mixed = part.to_ndarray().reshape(-1, part.layout.nb_channels)
                    piece = np.ascontiguousarray(mixed.T)
                    if not seen:
                        self.rate, self.channels = part.sample_rate, piece.shape[0]
                        self._check(self.rate, self.channels)
                        seen = True
                    if piece.shape[0] != self.channels:
                        raise ValueError("the number of channels changes")
                    yield piece
        except InputError:
            raise
        except (av.FFmpegError, OSError, EOFError, ValueError) as error:
            if not seen:
                raise _unreadable(self.name, error) from error
            self.damaged = f"it is damaged ({error.__class__.__name__} during decoding)"

    def _check(self, rate: int, channels: int) -> None:
        if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
            raise InputError(
                f"{self.name} has a sample rate of {rate} Hz; {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz "
                "are supported: convert it"
            )
        if channels > MAX_CHANNELS:
            raise InputError(
                f"{self.name} has {channels} channels; at most {MAX_CHANNELS} are supported: mix "
                "it down"
            )


@contextlib.contextmanager
def open_media(source: str | Path | BinaryIO, name: str | None = None) -> Iterator[Media]:
    """Opens a file or a seekable stream, which is read from its start.

    Args:
        name: for messages (default: its path).

    Raises:
        InputError: there is no such file, or its format is unsupported.
    """
    name = name or _name(source)
    with contextlib.ExitStack() as stack:
        if isinstance(source, (str, Path)):
            source = stack.enter_context(_open(Path(source), name))
        if source.seek(0, io.SEEK_END) == 0:
            raise InputError(f"{name} is empty (0 bytes); give a file that contains audio")
        options = {
            "format_whitelist": ",".join(_CONTAINERS),
            "codec_whitelist": ",".join(sorted(_codecs())),  # never video codecs
            "protocol_whitelist": "none",
        }
        sized = SizedFile(source)
        head = sized.read(12)
        if head[:4] == b"RIFX":  # FFmpeg would decode it as little-endian: noise
            raise InputError(
                f"{name} is a big-endian WAV (RIFX), which is unsupported; save it as an ordinary "
                "WAV or as FLAC"
            )
        if head[8:] == b"WAVE":
            options["max_probe_packets"] = (
                "8"  # FFmpeg would probe the whole file for disguised DTS
            )
        sized.seek(0)
        try:
            file = av.open(
                sized,
                options=options,
                metadata_errors="replace",
                io_open=_refuse,
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _unreadable(name, error) from error
        yield Media(name, stack.enter_context(file))


def _refuse(url: str, flags: int, options: dict[str, str]) -> Any:
    raise PermissionError(f"media files must not open other files: {url!r:.80}")


def _open(path: Path, name: str) -> BinaryIO:
    if not path.exists():
        raise InputError(f"{name} does not exist; give the path of an audio file")
    if not path.is_file():
        raise InputError(f"{name} is not a file; give the path of an audio file")
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{name} cannot be opened ({error.strerror})") from None


def _codecs() -> set[str]:
    pcm = {one for one in av.codecs_available if one.startswith(("pcm_", "adpcm_"))}
    return pcm | set(_CODECS)


def _name(source: str | Path | BinaryIO) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    return str(getattr(source, "name", "") or "the audio stream")


def _unreadable(name: str, error: Exception) -> InputError:
    return InputError(
        f"{name} cannot be decoded as audio or video ({error.__class__.__name__}); "
        "give WAV, FLAC, MP3, OGG, MP4 or another audio or video file"
    )
