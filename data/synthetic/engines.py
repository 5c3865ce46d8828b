"""The three speech synthesizers, each a class with one `speak`.

All give samples, their rate, and the phones that were spoken with their times. Pitch, range and
stretch are factors on what the voice does by itself.
"""

import ctypes
import subprocess
import tempfile
from ctypes import POINTER, c_char_p, c_float, c_int, c_short, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from data.errors import MissingModelError

Phone = tuple[str, float, float]


@dataclass(frozen=True)
class Spoken:
    """`samples` float32 `[T]` at `sample_rate`; `phones` are (phone, start, end) in seconds."""

    samples: np.ndarray
    sample_rate: int
    phones: list[Phone]


class _FliteWave(ctypes.Structure):
    _fields_ = (
        ("type", c_char_p),
        ("sample_rate", c_int),
        ("num_samples", c_int),
        ("num_channels", c_int),
        ("samples", POINTER(c_short)),
    )


class _FliteUtterance(ctypes.Structure):
    _fields_ = (("features", c_void_p),)


class Flite:
    """flite 2 through its library; voices kal16, awb, rms, slt."""

    # What `int_f0_target_mean` is for each voice's own pitch. rms does not heed it.
    _MEAN_HZ = {"kal16": 105.0, "awb": 129.0, "rms": 103.0, "slt": 171.0}
    _SPREAD_HZ = 14.0

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libflite.so.1")
            libraries = {v: ctypes.CDLL(f"libflite_cmu_us_{v}.so.1") for v in self._MEAN_HZ}
        except OSError as error:
            raise MissingModelError(
                f"flite is not installed ({error}); on Debian: apt-get install flite"
            ) from None
        self._library.flite_init()
        self._declare()
        self._voices = {}
        for name, library in libraries.items():
            register = getattr(library, f"register_cmu_us_{name}")
            register.restype, register.argtypes = c_void_p, [c_void_p]
            self._voices[name] = register(None)
        # flite keeps the names that it is given.
        self._names = {n: n.encode() for n in self._FEATURES}

    _FEATURES = ("int_f0_target_mean", "int_f0_target_stddev", "duration_stretch")

    def _declare(self) -> None:
        pointer = c_void_p
        for name, result, arguments in (
            ("new_utterance", pointer, []),
            ("utt_init", pointer, [pointer, pointer]),
            ("utt_set_input_text", pointer, [pointer, c_char_p]),
            ("utt_synth", pointer, [pointer]),
            ("utt_wave", POINTER(_FliteWave), [pointer]),
            ("utt_relation", pointer, [pointer, c_char_p]),
            ("relation_head", pointer, [pointer]),
            ("item_next", pointer, [pointer]),
            ("item_feat_float", c_float, [pointer, c_char_p]),
            ("item_feat_string", c_char_p, [pointer, c_char_p]),
            ("feat_set_float", None, [pointer, c_char_p, c_float]),
            ("delete_utterance", None, [pointer]),
        ):
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments

    def speak(self, voice: str, text: str, pitch: float, spread: float, stretch: float) -> Spoken:
        """Speaks in `voice`; rms keeps its own pitch."""
        lib = self._library
        utterance = lib.new_utterance()
        lib.utt_set_input_text(utterance, text.encode())
        lib.utt_init(utterance, self._voices[voice])
        features = ctypes.cast(utterance, POINTER(_FliteUtterance)).contents.features
        values = (self._MEAN_HZ[voice] * pitch, self._SPREAD_HZ * spread * pitch, stretch)
        for name, value in zip(self._FEATURES, values, strict=True):
            lib.feat_set_float(features, self._names[name], value)
        lib.utt_synth(utterance)
        wave = lib.utt_wave(utterance).contents
        samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).astype(np.float32)
        rate = wave.sample_rate
        phones, start = [], 0.0
        item = lib.relation_head(lib.utt_relation(utterance, b"Segment"))
        while item:
            end = lib.item_feat_float(item, b"end")
            phones.append((lib.item_feat_string(item, b"name").decode(), start, end))
            start, item = end, lib.item_next(item)
        lib.delete_utterance(utterance)
        # The diphone voice's sound is up to 3 % shorter than its phones say.
        share = len(samples) / rate / start
        return Spoken(samples / 32768, rate, [(p, a * share, b * share) for p, a, b in phones])


class _EspeakName(ctypes.Union):
    _fields_ = (("number", c_int), ("name", c_char_p), ("string", ctypes.c_char * 8))


class _EspeakEvent(ctypes.Structure):
    _fields_ = (
        ("type", c_int),
        ("unique", ctypes.c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user", c_void_p),
        ("id", _EspeakName),
    )


class Espeak:
    """espeak-ng through the library in the espeakng-loader wheel; phones in IPA.

    The library is one for the whole process and not thread-safe.
    """

    _SYNCHRONOUS, _PHONEME_EVENTS_IPA, _PHONEME, _END = 2, 3, 7, 0
    _WORDS_A_MINUTE, _PITCH, _RANGE = 175, 50, 50
    _PITCH_STEP = 0.0104  # of log F0 for each unit of the pitch parameter, measured

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        folder = espeakng_loader.get_data_path().encode()
        self._rate = self._library.espeak_Initialize(
            self._SYNCHRONOUS, 0, folder, self._PHONEME_EVENTS_IPA
        )
        self._pieces: list[np.ndarray] = []
        self._events: list[tuple[str, int]] = []
        kind = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_EspeakEvent))
        self._callback = kind(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, wave, count: int, events) -> int:  # noqa: ANN001 - ctypes pointers
        if wave and count > 0:
            self._pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != self._END:
            if events[index].type == self._PHONEME:
                name = events[index].id.string.decode("utf-8", "ignore").strip()
                self._events.append((name, events[index].sample))
            index += 1
        return 0

    def speak(self, voice: str, text: str, pitch: float, spread: float, stretch: float) -> Spoken:
        """Speaks in `voice`, e.g. "en-us+f3".

        Raises:
            MissingModelError: the library has no such voice.
        """
        self._pieces, self._events = [], []
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise MissingModelError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in (
            (1, self._WORDS_A_MINUTE / stretch),
            (3, self._PITCH + np.log(pitch) / self._PITCH_STEP),
            (4, self._RANGE * spread),
        ):
            low, high = (80, 450) if parameter == 1 else (0, 99)
            self._library.espeak_SetParameter(parameter, int(np.clip(round(value), low, high)), 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._pieces).astype(np.float32) / 32768
        ends = [sample for _, sample in self._events[1:]] + [len(samples)]
        phones = [
            (name or "pau", start / self._rate, end / self._rate)
            for (name, start), end in zip(self._events, ends, strict=True)
        ]
        return Spoken(samples, self._rate, phones)


class Festival:
    """festival in a process that stays; voices ked (diphones) and slt (HTS)."""

    _SLT = "/usr/share/festival/voices/us/cmu_us_slt_arctic_hts/hts/cmu_us_slt_arctic_hts.htsvoice"

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                ["festival", "--pipe"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except FileNotFoundError:
            raise MissingModelError(
                "festival is not installed; on Debian: "
                "apt-get install festival festvox-kdlpc16k festvox-us-slt-hts"
            ) from None
        self._folder = tempfile.TemporaryDirectory()

    def _ask(self, scheme: str) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(scheme + '\n(format t "@@done\\n")(fflush nil)\n')
        self._process.stdin.flush()
        for line in self._process.stdout:
            if "@@done" in line:
                return
        raise MissingModelError(
            "festival stopped; are festvox-kdlpc16k and festvox-us-slt-hts installed?"
        )

    def speak(self, voice: str, text: str, pitch: float, spread: float, stretch: float) -> Spoken:
        """Speaks in `voice`, "ked" or "slt"; slt keeps its own range."""
        wave, segments = Path(self._folder.name, "x.wav"), Path(self._folder.name, "x.seg")
        if voice == "ked":
            setting = (
                "(voice_ked_diphone) (set! int_lr_params '((target_f0_mean "
                f"{105 * pitch:.1f}) (target_f0_std {14 * spread * pitch:.1f}) "
                "(model_f0_mean 170) (model_f0_std 34))) "
                f"(Parameter.set 'Duration_Stretch {stretch:.3f})"
            )
        else:
            semitones = 12 * np.log2(pitch)
            setting = (
                f'(voice_cmu_us_slt_arctic_hts) (set! hts_engine_params \'(("-m" "{self._SLT}") '
                f'("-g" 0) ("-b" 0) ("-u" 0.5) ("-fm" {semitones:.2f}) ("-r" {1 / stretch:.3f})))'
            )
        quoted = text.replace("\\", "").replace('"', "")
        self._ask(
            f'{setting} (set! utt (Utterance Text "{quoted}")) (utt.synth utt) '
            f"(utt.save.wave utt \"{wave}\" 'riff) (utt.save.segs utt \"{segments}\")"
        )
        samples, rate = soundfile.read(wave, dtype="float32")
        phones, start = [], 0.0
        for line in segments.read_text().splitlines():
            fields = line.split()
            if len(fields) == 3:
                phones.append((fields[2], start, float(fields[0])))
                start = float(fields[0])
        return Spoken(samples, rate, phones)
