"""espeak-ng through the shared library of the espeakng-loader wheel, with phoneme events.

The library has global state: one voice at a time, from one thread. Parts of that state (phases,
flutter) survive even its own reset, so it is reloaded for every text (about 5 ms) to make output
reproducible. It is loaded from a private copy, because phonemizer keeps the wheel's file loaded.
"""

import _ctypes
import ctypes
import math
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char, c_char_p, c_int, c_long, c_short, c_uint, c_void_p
from functools import cache
from pathlib import Path

import espeakng_loader
import numpy as np

from data.errors import MissingModelError
from data.synthetic.phones import Phone, Spoken

_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA = 2, 0x3
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_PHONEME, _END = 7, 0
_WORDS_A_MINUTE = 175
_LOG_F0_A_STEP = 0.0104  # of the pitch setting, measured
_LIFT = 0.137  # of the mean F0 for each widening of the range by 1, measured
_QUIET = 45  # volume of 100; several variants clip inside the library above it
_UTF8 = 1
_NOISE_SEED = 1
_AUDIBLE = 0.1  # of the peak

_LOCK = threading.Lock()


class _Id(ctypes.Union):
    _fields_ = [("number", c_int), ("name", c_char_p), ("string", c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


class _Receiver:
    """Collects the library's callbacks."""

    def __init__(self) -> None:
        self.pieces: list[np.ndarray] = []
        self.events: list[tuple[int, str]] = []
        self.callback = _Callback(self._receive)

    def _receive(self, samples, num_samples: int, events) -> int:
        if samples and num_samples > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        index = 0
        while events[index].type != _END:
            if events[index].type == _PHONEME:
                name = events[index].id.string.decode("utf-8", "replace")
                self.events.append((events[index].sample, name))
            index += 1
        return 0


def speak(
    voice: str, text: str, pitch: float = 1.0, pitch_range: float = 1.0, stretch: float = 1.0
) -> Spoken:
    """Synthesises a text.

    Args:
        voice: an espeak-ng voice with variant, such as "en-us+f3".
        text: English text.
        pitch, pitch_range, stretch: factors on the voice's own F0, F0 range and durations.

    Raises:
        MissingModelError: the library cannot be loaded or has no such voice.
    """
    receiver = _Receiver()
    with _LOCK, _library(receiver) as (library, sample_rate):
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise MissingModelError(
                f"espeak-ng has no voice {voice!r}; reinstall the package espeakng-loader"
            )
        library.espeak_SetParameter(_VOLUME, _QUIET, 0)
        library.espeak_SetParameter(_RATE, round(_WORDS_A_MINUTE / stretch), 0)
        library.espeak_SetParameter(_PITCH, _pitch_setting(pitch, pitch_range), 0)
        library.espeak_SetParameter(_RANGE, _bounded(50 * pitch_range), 0)
        content = text.encode("utf-8")
        library.espeak_Synth(content, len(content) + 1, 0, 1, 0, _UTF8, None, None)
        library.espeak_Synchronize()
    if not receiver.pieces:
        return Spoken(np.zeros(0, np.float32), sample_rate, [])
    samples = np.concatenate(receiver.pieces) / np.float32(32768)
    return Spoken(samples, sample_rate, _phones(receiver.events, samples, sample_rate))


def _pitch_setting(pitch: float, pitch_range: float) -> int:
    lift = 1 + _LIFT * (pitch_range - 1)
    return _bounded(50 + math.log(pitch / lift) / _LOG_F0_A_STEP)


def _bounded(value: float) -> int:
    return round(min(max(value, 0), 99))


def _phones(events: list[tuple[int, str]], samples: np.ndarray, sample_rate: int) -> list[Phone]:
    """Unnamed events are pauses, or transitions between vowels, which end the first one."""
    ends = [sample for sample, _ in events[1:]] + [samples.shape[0]]
    audible = _AUDIBLE * float(np.abs(samples).max(initial=0.0))
    phones: list[Phone] = []
    for (start, name), end in zip(events, ends, strict=True):
        if not name and phones and np.abs(samples[start:end]).max(initial=0.0) > audible:
            phones[-1] = (phones[-1][0], phones[-1][1], end / sample_rate)
        else:
            phones.append((name, start / sample_rate, end / sample_rate))
    return phones


@cache
def _own_copy() -> tuple[tempfile.TemporaryDirectory, Path]:
    """The library's file in a folder deleted at exit."""
    folder = tempfile.TemporaryDirectory(prefix="espeak-ng-")
    return folder, Path(shutil.copy(espeakng_loader.get_library_path(), folder.name))


@contextmanager
def _library(receiver: _Receiver) -> Iterator[tuple[ctypes.CDLL, int]]:
    """Yields the freshly loaded library and its sample rate; unloads it afterwards."""
    try:
        library = ctypes.CDLL(str(_own_copy()[1]))
    except OSError as error:
        raise MissingModelError(
            f"espeak-ng's library cannot be loaded ({error}); reinstall espeakng-loader"
        ) from None
    data = espeakng_loader.get_data_path().encode()
    try:
        sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS_IN_IPA)
        if sample_rate <= 0:
            raise MissingModelError(
                f"espeak-ng finds no data in {data.decode()}; reinstall espeakng-loader"
            )
        library.espeak_Synth.argtypes = [
            c_char_p, ctypes.c_size_t, c_uint, c_int, c_uint, c_uint, c_void_p, c_void_p,
        ]  # fmt: skip
        library.espeak_SetSynthCallback(receiver.callback)
        library.espeak_ng_SetRandSeed(c_long(_NOISE_SEED))
        yield library, sample_rate
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)
