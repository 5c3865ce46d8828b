"""The voices that people have cloned: a folder, one safetensors file a voice."""

import datetime
import hashlib
import json
import logging
import os
import re
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from app.voice_sample import VoiceSample
from data.errors import InputError
from models.checkpoint import write_tensors
from models.voice import Prompt, Voice

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_TEXT = 2000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.IGNORECASE)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_KEY = "repartee_voice"


@dataclass(frozen=True)
class VoiceFacts:
    """What is known of a cloned voice.

    Attributes:
        name: letters, digits, `.`, `_` and `-`; no other voice has it.
        transcript: of the sample; may be empty.
        language: a code, as `en`.
        consent: who allowed the use of the voice, in words.
        source_sha256: of the cleaned sample.
        created: an ISO date and time, in UTC.
        seconds: of speech in the sample.
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
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "repartee" / "voices"


def checked_name(name: str) -> str:
    """The name, if a voice and its file may have it.

    Raises:
        InputError: it may not.
    """
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise InputError(
            f"{name!r:.60} cannot be a voice's name; take up to 40 letters, digits, '.', '_', '-', "
            "a letter or digit first"
        )
    return name


class Library:
    """Args: folder: made when the first voice is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

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
        """Keeps a voice under its name; nothing half written is ever found there.

        Raises:
            InputError: no consent, or a name that is taken or no name.
        """
        if not consent.strip():
            raise InputError(
                "there is no consent; a voice is kept only with a statement of who allows its use"
            )
        path = self.path(voice.name)
        if path.exists():
            raise InputError(
                f"there is a voice {voice.name!r} already; remove it or take another name"
            )
        pcm = (np.clip(sample.samples, -1, 1) * 32767).astype(np.int16)
        facts = VoiceFacts(
            voice.name,
            transcript.strip()[:MAX_TEXT],
            language,
            consent.strip()[:MAX_TEXT],
            hashlib.sha256(pcm.tobytes()).hexdigest(),
            datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            round(sample.speech_s, 2),
        )
        self._write(path, voice.style, torch.from_numpy(pcm), facts)
        return facts

    def names(self) -> list[str]:
        """The names of the voices, whether or not their files can be read."""
        if not self.folder.is_dir():
            return []
        found = [path.stem for path in self.folder.glob("*.safetensors")]
        return sorted(name for name in found if _NAME.fullmatch(name))

    def load(self, name: str) -> tuple[Voice, VoiceFacts]:
        """A voice and its facts.

        Raises:
            InputError: there is none of this name, or its file is damaged.
        """
        path = self.path(name)
        if not path.is_file():
            raise InputError(f"there is no cloned voice {name!r} in {self.folder}")
        style, sample, facts = read_voice_file(path)
        prompt = Prompt(facts.transcript, sample.numpy().astype(np.float32) / 32767)
        return Voice(name, facts.description, style, prompt), facts

    def voices(self, style_dim: int) -> dict[str, Voice]:
        """All voices that these models can speak in; of others the log says why not."""
        found = {}
        for name in self.names():
            try:
                voice, _ = self.load(name)
            except InputError as error:
                logger.warning("the voice %s is left out: %s", name, error)
                continue
            if voice.style.shape != (style_dim,):
                logger.warning(
                    "the voice %s is left out: it was made for other models; clone it again", name
                )
                continue
            found[name] = voice
        return found

    def remove(self, name: str) -> None:
        """Raises InputError when there is no such voice."""
        path = self.path(name)
        if not path.is_file():
            raise InputError(f"there is no cloned voice {name!r} in {self.folder}")
        path.unlink()

    def export(self, name: str, target: Path) -> None:
        """Copies a voice's file. Raises InputError when there is none, or `target` exists."""
        path = self.path(name)
        if not path.is_file():
            raise InputError(f"there is no cloned voice {name!r} in {self.folder}")
        if target.exists():
            raise InputError(f"{target} exists already; give a new file")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())

    def take_in(self, source: Path, name: str | None = None) -> VoiceFacts:
        """Takes in a voice's file, which is read whole and written anew.

        Raises:
            InputError: it is no such file, or its name is taken or no name.
        """
        style, sample, facts = read_voice_file(source)
        named = VoiceFacts(**{**asdict(facts), "name": checked_name(name or facts.name)})
        path = self.path(named.name)
        if path.exists():
            raise InputError(
                f"there is a voice {named.name!r} already; give --name or remove that one"
            )
        self._write(path, style, sample, named)
        return named

    def _write(
        self, path: Path, style: torch.Tensor, sample: torch.Tensor, facts: VoiceFacts
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {"style": style.float().contiguous(), "sample": sample.contiguous()}
        write_tensors(path, tensors, {_KEY: json.dumps(asdict(facts))})


def read_voice_file(path: Path) -> tuple[torch.Tensor, torch.Tensor, VoiceFacts]:
    """Style `[style_dim]`, sample `[T]` int16 at 24 kHz, and facts of a voice's file.

    Nothing is unpickled, and no more is read than a voice may hold.

    Raises:
        InputError: it is not a voice's file, or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the file of an exported voice")
    _check_size(path)
    try:
        with safe_open(path, "pt") as file:
            facts = _facts((file.metadata() or {}).get(_KEY, ""))
            if set(file.keys()) != {"style", "sample"}:
                raise InputError(f"{path} holds other things than a voice; export the voice again")
            style, sample = file.get_tensor("style"), file.get_tensor("sample")
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not the file of a voice, or damaged ({error})") from None
    good = style.dim() == sample.dim() == 1 and sample.dtype == torch.int16
    if not good or not style.is_floating_point() or not torch.isfinite(style).all():
        raise InputError(f"{path} does not hold a voice; export the voice again")
    return style.float(), sample, facts


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise InputError(f"{path} has {size} bytes; a voice has at most {MAX_FILE_BYTES}")
    with path.open("rb") as file:
        start = file.read(8)
    header = struct.unpack("<Q", start)[0] if len(start) == 8 else size
    if header > min(size, MAX_HEADER_BYTES):
        raise InputError(f"{path} is not the file of a voice, or damaged (its header is too long)")


def _facts(text: str) -> VoiceFacts:
    try:
        values = json.loads(text)
        facts = VoiceFacts(**values)
    except (ValueError, TypeError):
        raise InputError(
            "the file does not say whose voice it is; export the voice again"
        ) from None
    texts = (facts.name, facts.transcript, facts.language, facts.consent, facts.created)
    if not all(isinstance(value, str) and len(value) <= MAX_TEXT for value in texts):
        raise InputError("the file's facts of the voice are damaged; export the voice again")
    if not isinstance(facts.seconds, int | float) or not facts.consent.strip():
        raise InputError("the file names no consent to the use of the voice; it is not taken in")
    return facts
