"""The library of cloned voices: a folder with one safetensors file per voice."""

import contextlib
import datetime
import hashlib
import json
import logging
import os
import re
import struct
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from app.voice_sample import MAX_SAMPLE_S, VoiceSample
from data.audio import SAMPLE_RATE
from data.audio.pcm import to_float, to_int16
from data.errors import InputError, OutputError
from data.files import (
    atomic_write,
    clean_leftovers,
    explain,
    folder_lock,
    prepare_file,
    prepare_folder,
)
from data.text import unprintable, valid_text
from models.checkpoint import write_tensors
from models.voice import Prompt, Voice

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_TEXT = 2000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.IGNORECASE)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = "repartee_voice"
_MAX_STYLE = 4096  # dimensions
_MAX_STYLE_VALUE = 1000.0  # a style's mean square is 1
_NO_CONSENT = "there is no consent; state who consented to the use of the voice"
_LEFT_S = 3600.0  # age of a partial file that no writer can still hold


@dataclass(frozen=True)
class VoiceFacts:
    """Metadata of a cloned voice.

    Attributes:
        name: letters, digits, `.`, `_` and `-`; unique.
        transcript: of the sample; may be empty.
        language: a code such as `en`.
        consent: who consented to the use of the voice, as free text.
        source_sha256: hash of the cleaned sample.
        created: ISO date and time, UTC.
        seconds: speech in the sample, s.
    """

    name: str
    transcript: str
    language: str
    consent: str
    source_sha256: str
    created: str
    seconds: float

    @property
    def description(self) -> str:
        return f"cloned from {self.seconds:.1f} s on {self.created[:10]}"


def default_folder() -> Path:
    """`REPARTEE_VOICES`, or a folder in the user's data directory."""
    chosen = os.environ.get("REPARTEE_VOICES")
    if chosen:
        return Path(chosen)
    return data_folder() / "voices"


def data_folder() -> Path:
    """The folder for what this program keeps for its user."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "repartee"


def checked_name(name: str) -> str:
    """The name, validated for a voice and its file.

    Raises:
        InputError: it is invalid.
    """
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise InputError(
            f"{name!r:.60} is not a valid voice name; use up to 40 letters, digits, '.', '_', '-', "
            "starting with a letter or digit"
        )
    return name


class Library:
    """Args:
    folder: created when the first voice is stored.
    reserved: names of bundled voices, which no other voice may take.
    """

    def __init__(self, folder: Path | None = None, reserved: Collection[str] = ()) -> None:
        self.folder = folder or default_folder()
        self.reserved = reserved

    def path(self, name: str) -> Path:
        return self.folder / f"{checked_name(name)}.safetensors"

    def keep(
        self,
        voice: Voice,
        sample: VoiceSample,
        consent: str,
        transcript: str = "",
        language: str = "en",
    ) -> VoiceFacts:
        """Stores a voice under its name, atomically.

        Raises:
            InputError: no consent, or the name is invalid or taken.
        """
        pcm = to_int16(sample.samples)
        facts = VoiceFacts(
            voice.name,
            _tidy(transcript),
            language,
            _tidy(consent),
            hashlib.sha256(pcm.tobytes()).hexdigest(),
            datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            round(sample.speech_s, 2),
        )
        self._add(voice.style, torch.from_numpy(pcm), facts)
        return facts

    def prepare(self, name: str, consent: str) -> None:
        """Checks, before any work, that a voice can be stored under `name`.

        Raises:
            InputError: no consent, or the name is invalid or taken.
            OutputError: the library cannot be written.
        """
        if not consent.strip():
            raise InputError(f"the voice cannot be stored: {_NO_CONSENT}")
        self._check_free(name)
        prepare_folder(self.folder)

    def names(self) -> list[str]:
        """The names of the voices, readable or not."""
        return sorted(self.stamps())

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Inode and modification time of each voice's file by name, to detect changes."""
        found = {}
        if self.folder.is_dir():
            for path in self.folder.glob("*.safetensors"):
                with contextlib.suppress(FileNotFoundError):  # removed concurrently
                    status = path.stat()
                    found[path.stem] = (status.st_ino, status.st_mtime_ns)
        return {name: stamp for name, stamp in found.items() if _NAME.fullmatch(name)}

    def load(self, name: str) -> tuple[Voice, VoiceFacts]:
        """A voice and its metadata.

        Raises:
            InputError: there is no such voice, or its file is damaged.
        """
        path = self.path(name)
        try:
            style, sample, facts = read_voice_file(path)
        except InputError:
            if path.is_file():
                raise
            raise InputError(f"there is no cloned voice {name!r} in {self.folder}") from None
        prompt = Prompt(facts.transcript, to_float(sample.numpy()))
        return Voice(name, facts.description, style, prompt, facts.consent), facts

    def voices(self, style_dim: int, names: Iterable[str] | None = None) -> dict[str, Voice]:
        """The voices (of these names) that the models can use; logs why others are skipped."""
        found = {}
        for name in self.names() if names is None else names:
            if name in self.reserved:
                logger.warning(
                    "skipping voice %s: a bundled voice has its name; export it, remove it "
                    "and import it under another name",
                    name,
                )
                continue
            try:
                voice, _ = self.load(name)
            except InputError as error:
                logger.warning("skipping voice %s: %s", name, error)
                continue
            if voice.style.shape != (style_dim,):
                logger.warning(
                    "skipping voice %s: it was made for other models; clone it again", name
                )
                continue
            found[name] = voice
        return found

    def remove(self, name: str) -> None:
        """Raises InputError if there is no such voice, OutputError if it cannot be removed."""
        path = self.path(name)
        if not path.is_file():
            raise InputError(f"there is no cloned voice {name!r} in {self.folder}")
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(explain(error, f"cannot remove {path}")) from error

    def export(self, name: str, target: Path) -> None:
        """Copies a voice's file.

        Raises:
            InputError: there is none, or `target` exists.
            OutputError: `target` cannot be written.
        """
        path = self.path(name)
        if not path.is_file():
            raise InputError(f"there is no cloned voice {name!r} in {self.folder}")
        if target.exists():
            raise InputError(f"{target} already exists; give a new file")
        prepare_file(target, make_folder=True)
        atomic_write(target, path.read_bytes())

    def take_in(self, source: Path, name: str | None = None) -> VoiceFacts:
        """Imports a voice's file by parsing and rewriting it.

        Raises:
            InputError: it is not a voice file, or its name is invalid or taken.
        """
        style, sample, facts = read_voice_file(source)
        named = VoiceFacts(**{**asdict(facts), "name": checked_name(name or facts.name)})
        self._add(style, sample, named)
        return named

    def _check_free(self, name: str) -> None:
        checked_name(name)
        # Some file systems are case-insensitive.
        known = {other.lower(): other for other in self.names()}
        bundled = {other.lower(): other for other in self.reserved}
        if taken := bundled.get(name.lower()):
            raise InputError(f"{taken!r} is already a bundled voice; choose another name")
        if taken := known.get(name.lower()):
            raise InputError(
                f"{self.folder} already has a voice {taken!r}; choose another name or remove "
                "that one"
            )

    def _add(self, style: torch.Tensor, sample: torch.Tensor, facts: VoiceFacts) -> None:
        """Writes a new voice; concurrent writers wait."""
        path = self.path(facts.name)
        problem = _wrong_with(style, sample, facts)
        if problem:
            raise InputError(f"the voice cannot be stored: {problem}")
        self.prepare(facts.name, facts.consent)
        tensors = {"style": style.float().contiguous(), "sample": sample.contiguous()}
        with folder_lock(self.folder, wait=True):
            self._check_free(facts.name)
            clean_leftovers(self.folder, older_than_s=_LEFT_S)
            write_tensors(path, tensors, {_KEY: json.dumps(asdict(facts))})


def read_voice_file(path: Path) -> tuple[torch.Tensor, torch.Tensor, VoiceFacts]:
    """Reads style `[style_dim]`, sample `[T]` int16 at 24 kHz, and metadata of a voice file.

    Nothing is unpickled, and the size is limited.

    Raises:
        InputError: it is not a voice file, or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the file of an exported voice")
    _check_size(path)
    try:
        with safe_open(path, "pt") as file:
            facts = _facts((file.metadata() or {}).get(_KEY, ""))
            if set(file.keys()) != {"style", "sample"}:
                raise InputError(f"{path} has unexpected content; export the voice again")
            style, sample = file.get_tensor("style"), file.get_tensor("sample")
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        # RuntimeError is PyTorch's, which opens the file again: it may be removed meanwhile.
        raise InputError(f"{path} is not a voice file, or damaged ({error})") from None
    problem = _wrong_with(style, sample, facts)
    if problem:
        raise InputError(f"{path} has no valid voice: {problem}; export the voice again")
    return style.float(), sample, facts


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise InputError(f"{path} has {size} bytes; a voice has at most {MAX_FILE_BYTES}")
    with path.open("rb") as file:
        start = file.read(8)
    header = struct.unpack("<Q", start)[0] if len(start) == 8 else size
    if header > min(size, MAX_HEADER_BYTES):
        raise InputError(f"{path} is not a voice file, or damaged (its header is too long)")


def _facts(text: str) -> VoiceFacts:
    try:
        return VoiceFacts(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise InputError("the file has no voice metadata; export the voice again") from None


def _tidy(text: str) -> str:
    return valid_text(text).replace("\r\n", "\n").replace("\r", "\n").strip()[:MAX_TEXT]


def _wrong_with(style: torch.Tensor, sample: torch.Tensor, facts: VoiceFacts) -> str:
    """What is invalid about a voice, or ""."""
    if style.dim() != 1 or not style.is_floating_point() or not 0 < len(style) <= _MAX_STYLE:
        return "its style is not a vector of numbers"
    if not bool((style.float().abs() <= _MAX_STYLE_VALUE).all()):  # false for NaN too
        return f"its style has values that are not finite, or beyond {_MAX_STYLE_VALUE:.0f}"
    if sample.dim() != 1 or sample.dtype != torch.int16:
        return "its sample is not 16-bit audio"
    if len(sample) > MAX_SAMPLE_S * SAMPLE_RATE:
        return f"its sample is longer than {MAX_SAMPLE_S:.0f} s"
    return _wrong_with_facts(facts)


def _wrong_with_facts(facts: VoiceFacts) -> str:
    for name, value in asdict(facts).items():
        if name == "seconds":
            continue
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            return f"its {name} is not a text of at most {MAX_TEXT} characters"
        if found := unprintable(value):
            return f"its {name} holds {found}"
    seconds = facts.seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return "its seconds are no number"
    if not 0 <= seconds <= MAX_SAMPLE_S:
        return f"its seconds are {seconds!r:.20}, not from 0 to {MAX_SAMPLE_S:.0f}"
    if not facts.consent.strip():
        return _NO_CONSENT
    if not _LANGUAGE.fullmatch(facts.language):
        return f"its language is {facts.language!r:.40}; give a code such as en or en-us"
    if not _SHA256.fullmatch(facts.source_sha256):
        return "its source_sha256 is not a SHA-256"
    try:
        datetime.datetime.fromisoformat(facts.created)
    except ValueError:
        return f"its date is {facts.created!r:.40}, not an ISO 8601 date"
    return ""
