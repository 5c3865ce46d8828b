"""festival as a long-running process driven through a pipe.

Measured RTF once running: 0.002 (diphone voices) to 0.035 (HTS). The HTS voice ignores pitch
settings; its pitch is changed by resynthesis.
"""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import soundfile

from data.errors import MissingModelError
from data.synthetic.phones import Phone, Spoken

PACKAGES = {
    "ked_diphone": "festvox-kdlpc16k",
    "cmu_us_slt_arctic_hts": "festvox-us-slt-hts",
}
IGNORES_PITCH = frozenset({"cmu_us_slt_arctic_hts"})
_F0_HZ, _F0_DEVIATION, _STRETCH = 105.0, 15.0, 1.1
_DONE = "@@done"


class Festival:
    """One festival process; `close` ends it."""

    def __init__(self) -> None:
        program = check()
        self._folder = tempfile.TemporaryDirectory(prefix="festival-")
        self._process = subprocess.Popen(
            [program, "--pipe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # shielded from Ctrl-C
        )
        self._hts_parameters: set[str] = set()

    def speak(
        self, voice: str, text: str, pitch: float, pitch_range: float, stretch: float
    ) -> Spoken:
        """Synthesises a text; see the module's `speak`."""
        wav, segments = (Path(self._folder.name) / name for name in ("turn.wav", "turn.seg"))
        wav.unlink(missing_ok=True)
        quoted = text.replace("\\", " ").replace('"', " ")
        self._do(
            f"(voice_{voice})"
            + self._settings(voice, pitch, pitch_range, stretch)
            + f'(set! turn (Utterance Text "{quoted}"))(utt.synth turn)'
            + f'(utt.save.wave turn "{wav}" \'riff)(utt.save.segs turn "{segments}")'
        )
        if not wav.exists():
            raise MissingModelError(
                f"festival has no voice {voice}; install it: sudo apt install {PACKAGES[voice]}"
            )
        samples, sample_rate = soundfile.read(wav, dtype="float32")
        return Spoken(samples, sample_rate, _read_segments(segments))

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=10)
        self._folder.cleanup()

    def _settings(self, voice: str, pitch: float, pitch_range: float, stretch: float) -> str:
        if voice in IGNORES_PITCH:
            # Save the default parameters once, since selecting a voice does not restore them.
            keep = f"(set! plain_{voice} hts_engine_params)"
            first = "" if voice in self._hts_parameters else keep
            self._hts_parameters.add(voice)
            rate = f'("-r" {1 / stretch:.4f})'
            return f"{first}(set! hts_engine_params (append plain_{voice} '({rate})))"
        return (
            f"(set! int_lr_params '((target_f0_mean {_F0_HZ * pitch:.2f}) "
            f"(target_f0_std {_F0_DEVIATION * pitch * pitch_range:.2f}) "
            "(model_f0_mean 170) (model_f0_std 34)))"
            f"(Parameter.set 'Duration_Stretch {_STRETCH * stretch:.4f})"
        )

    def _do(self, command: str) -> None:
        """Sends a command and waits for a marker that festival prints when it is done."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(f'{command}\n(format t "{_DONE}\\n")(fflush nil)\n')
            self._process.stdin.flush()
            line = ""
            while _DONE not in line:
                line = self._process.stdout.readline()
                if not line:
                    raise BrokenPipeError
        except BrokenPipeError:
            raise MissingModelError(
                "festival ended unexpectedly; reinstall it: sudo apt install festival "
                + " ".join(PACKAGES.values())
            ) from None


def check() -> str:
    """The path of the program. Raises MissingModelError when it is not installed."""
    program = shutil.which("festival")
    if program is None:
        raise MissingModelError(
            "festival is not installed; install it: sudo apt install festival "
            + " ".join(PACKAGES.values())
        )
    return program


def speak(
    voice: str, text: str, pitch: float = 1.0, pitch_range: float = 1.0, stretch: float = 1.0
) -> Spoken:
    """Synthesises a text with this process's festival, which is started once.

    Args:
        voice: a key of PACKAGES.
        text: English text.
        pitch, pitch_range, stretch: factors on the voice's own F0 mean, F0 deviation and durations.

    Raises:
        MissingModelError: festival or the voice is not installed.
    """
    return _festival().speak(voice, text, pitch, pitch_range, stretch)


@cache
def _festival() -> Festival:
    return Festival()


def _read_segments(path: Path) -> list[Phone]:
    """Parses lines of `end 100 name` after a `#`."""
    phones, start = [], 0.0
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        parts = line.split()
        if len(parts) == 3:
            phones.append((parts[2], start, float(parts[0])))
            start = float(parts[0])
    return phones
