"""flite through its C library: all voices in one process, with phone timestamps.

Measured RTF of flite 2.2: 0.001 (diphone voices) to 0.017 (statistical voices). Its voice `rms`
ignores the F0 settings; its pitch is changed by resynthesis.
"""

import ctypes
from ctypes import POINTER, c_char_p, c_float, c_int, c_short, c_void_p
from functools import cache

import numpy as np

from data.errors import MissingModelError
from data.synthetic.phones import Phone, Spoken

VOICES = ("kal16", "awb", "rms", "slt")
# The voices' defaults, measured or read from their sources.
_F0_HZ = {"kal16": 105.0, "awb": 129.0, "rms": 103.0, "slt": 171.0}
_F0_DEVIATION = {"kal16": 14.0, "awb": 29.0, "rms": 29.0, "slt": 29.0}
_STRETCH = {"kal16": 1.1, "awb": 1.0, "rms": 1.0, "slt": 1.0}
IGNORES_PITCH = frozenset({"rms"})


class _Wave(ctypes.Structure):
    _fields_ = [
        ("type", c_char_p),
        ("sample_rate", c_int),
        ("num_samples", c_int),
        ("num_channels", c_int),
        ("samples", POINTER(c_short)),
    ]


class _Utterance(ctypes.Structure):
    _fields_ = [("features", c_void_p)]


# flite keeps pointers to feature names, so they must outlive the call.
_MEAN, _DEVIATION, _DURATION = b"int_f0_target_mean", b"int_f0_target_stddev", b"duration_stretch"


def speak(
    voice: str, text: str, pitch: float = 1.0, pitch_range: float = 1.0, stretch: float = 1.0
) -> Spoken:
    """Synthesises a text.

    Args:
        voice: one of VOICES.
        text: English text.
        pitch, pitch_range, stretch: factors on the voice's own F0 mean, F0 deviation and durations.

    Raises:
        MissingModelError: flite's libraries are not installed.
    """
    library, voices = _library()
    utterance = library.new_utterance()
    try:
        library.utt_set_input_text(utterance, text.encode("ascii", "replace"))
        library.utt_init(utterance, voices[voice])
        features = ctypes.cast(utterance, POINTER(_Utterance)).contents.features
        library.feat_set_float(features, _MEAN, _F0_HZ[voice] * pitch)
        library.feat_set_float(features, _DEVIATION, _F0_DEVIATION[voice] * pitch * pitch_range)
        library.feat_set_float(features, _DURATION, _STRETCH[voice] * stretch)
        _libc().srand(1)  # seed of the excitation noise
        library.utt_synth(utterance)
        wave = library.utt_wave(utterance).contents
        samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)) / np.float32(32768)
        phones = _segments(library, utterance)
        sample_rate = wave.sample_rate
    finally:
        library.delete_utterance(utterance)
    return Spoken(samples, sample_rate, phones)


def check() -> None:
    """Raises MissingModelError unless flite can speak."""
    _library()


def _segments(library: ctypes.CDLL, utterance: int) -> list[Phone]:
    phones, start = [], 0.0
    item = library.relation_head(library.utt_relation(utterance, b"Segment"))
    while item:
        end = library.item_feat_float(item, b"end")
        phones.append((library.item_feat_string(item, b"name").decode(), start, end))
        start, item = end, library.item_next(item)
    return phones


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


@cache
def _library() -> tuple[ctypes.CDLL, dict[str, int]]:
    try:
        library = ctypes.CDLL("libflite.so.1")
        voices = {name: ctypes.CDLL(f"libflite_cmu_us_{name}.so.1") for name in VOICES}
    except OSError as error:
        raise MissingModelError(
            f"flite is not installed ({error}); install it: sudo apt install flite"
        ) from None
    pointer = c_void_p
    for name, result, *arguments in (
        ("flite_init", c_int),
        ("new_utterance", pointer),
        ("utt_set_input_text", None, pointer, c_char_p),
        ("utt_init", pointer, pointer, pointer),
        ("feat_set_float", None, pointer, c_char_p, c_float),
        ("utt_synth", pointer, pointer),
        ("utt_wave", POINTER(_Wave), pointer),
        ("utt_relation", pointer, pointer, c_char_p),
        ("relation_head", pointer, pointer),
        ("item_next", pointer, pointer),
        ("item_feat_float", c_float, pointer, c_char_p),
        ("item_feat_string", c_char_p, pointer, c_char_p),
        ("delete_utterance", None, pointer),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.flite_init()
    handles = {}
    for name, voice in voices.items():
        register = getattr(voice, f"register_cmu_us_{name}")
        register.restype, register.argtypes = pointer, [c_char_p]
        handles[name] = register(None)
    return library, handles
