"""The voices available to a speaker: bundled, cloned, and tried but not stored."""

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.answering import SpeakerProtocol
from app.library import Library, VoiceFacts
from app.voice_sample import VoiceSample, clean_sample
from data.errors import InputError

MAX_TRIED = 32
_MANDARIN = "at home in Mandarin"  # of a voice that speaks English with an accent
SAMPLE_TEXT = "Hello, nice to meet you. This is how I sound. What shall we talk about?"
OPENAI_VOICES = {
    "alloy": "woman", "ash": "man", "ballad": "man", "coral": "woman", "echo": "man",
    "fable": "man", "nova": "woman", "onyx": "man", "sage": "woman", "shimmer": "woman",
    "verse": "man", "marin": "woman", "cedar": "man",
}  # fmt: skip
"""Names that OpenAI's clients send, and how these voices sound."""


@dataclass(frozen=True)
class Cloned:
    """A cloned voice that is not stored yet, and its sample."""

    voice: Any
    sample: VoiceSample


class VoiceStore:
    """Finds, clones, stores and removes voices; thread-safe.

    Bundled voices take precedence: a library voice of the same name is skipped. They also come
    first, so that the default voice is never a cloned one.

    Args:
        speaker: the speaker whose `voices` are maintained.
        library: library of cloned voices (default: the user's).
        aliases: overrides of the voices that OpenAI's names map to.
    """

    def __init__(
        self,
        speaker: SpeakerProtocol,
        library: Library | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.library = library or Library()
        self.speaker = speaker
        self._aliases = dict(aliases or {})
        self._bundled = tuple(n for n, v in speaker.voices.items() if v.prompt is None)
        self.library.reserved = self._bundled
        self._tried: dict[str, Cloned] = {}
        self._changing = threading.Lock()  # `speaker.voices`
        self._stamps: dict[str, tuple[int, int]] = {}
        self.sync()

    @property
    def voices(self) -> dict[str, Any]:
        """The stored voices by name."""
        return self.speaker.voices

    def aliases(self) -> dict[str, str]:
        """The voices that OpenAI's names map to."""
        return {name: self.resolve(name) for name in (*OPENAI_VOICES, *self._aliases)}

    def resolve(self, name: str) -> str:
        """Resolves an alias to a voice's name; returns other names unchanged."""
        names = list(self.voices)
        if name in names:
            return name
        if name in self._aliases:
            return self._aliases[name]
        if name in OPENAI_VOICES:
            kind = OPENAI_VOICES[name]
            alike = [one for one in names if self._is_english(one, kind)] or names
            rank = [one for one, what in OPENAI_VOICES.items() if what == kind].index(name)
            return alike[rank % len(alike)]
        return name

    def _is_english(self, name: str, kind: str) -> bool:
        """Whether a bundled voice is that of an English "man" or "woman"."""
        about = self.voices[name].description
        return about.startswith(f"a {kind},") and _MANDARIN not in about

    def find(self, name: str) -> Any:
        """The voice with this name or alias, stored or tried; the first one for "".

        Raises:
            InputError: there is none.
        """
        if (tried := self._tried.get(name)) is not None:
            return tried.voice
        voices = self.voices
        if not name:
            return next(iter(voices.values()))
        known = self.resolve(name)
        if known not in voices:
            raise InputError(f"unknown voice {name!r:.60}; choose one of {', '.join(voices)}")
        return voices[known]

    def clone(self, clips: Iterable[np.ndarray], name: str = "cloned") -> Cloned:
        """Clones a voice from clips, each `[T]` float32 at 24 kHz.

        Raises:
            InputError: the clips are unsuitable.
        """
        sample = clean_sample(clips)
        return Cloned(self.speaker.clone(sample.samples, name), sample)

    def tried(self, name: str | None) -> Cloned:
        """The voice tried under this name; raises InputError if there is none or it has expired."""
        found = self._tried.get(name or "")
        if found is not None:
            return found
        if name:
            raise InputError("others have tried their voices since; press Clone again")
        raise InputError("there is no voice yet; give a sample and press Clone first")

    def try_out(self, cloned: Cloned) -> str:
        """Registers a voice without storing it; returns an unguessable name, valid until
        `MAX_TRIED` others have been tried."""
        name = f"tried-{secrets.token_urlsafe(12)}"
        self._tried[name] = cloned
        while len(self._tried) > MAX_TRIED:
            self._tried.pop(next(iter(self._tried)))
        return name

    def clone_and_keep(
        self,
        clips: Iterable[np.ndarray],
        name: str,
        consent: str,
        transcribe: Callable[[np.ndarray], str],
        language: str = "en",
        spoken: Callable[[np.ndarray], str] | None = None,
    ) -> tuple[VoiceFacts, VoiceSample]:
        """Clones and stores a voice; checks everything possible before any work.

        Args:
            clips: clips of the voice, each `[T]` float32 at 24 kHz.
            name: name of the new voice.
            consent: who consented to the use of the voice, as free text.
            transcribe: transcribes the cleaned sample.
            language: language code of the sample.
            spoken: checks the spoken consent against the sample, `[T]` at 24 kHz, and returns its
                text; None for written consent only. See `app.spoken_consent`.

        Raises:
            InputError: no consent, an invalid or taken name, or unsuitable clips.
            OutputError: the library cannot be written.
        """
        self.library.prepare(name, consent)
        cloned = self.clone(clips, name)
        if spoken is not None:
            consent = spoken(cloned.sample.samples)
        words = transcribe(cloned.sample.samples)
        return self.keep(cloned, name, consent, words, language), cloned.sample

    def keep(
        self, cloned: Cloned, name: str, consent: str, transcript: str = "", language: str = "en"
    ) -> VoiceFacts:
        """Stores a cloned voice in the library; it is available at once.

        Raises:
            InputError: no consent, or an invalid or taken name.
            OutputError: the library cannot be written.
        """
        with self._changing:
            named = replace(cloned.voice, name=name)
            facts = self.library.keep(named, cloned.sample, consent, transcript, language)
            named = replace(named, description=facts.description, consent=facts.consent)
            self.speaker.voices = {**self.voices, name: named}
            self._stamps[name] = self.library.stamps()[name]
        return facts

    def remove(self, name: str) -> None:
        """Removes a cloned voice; raises InputError if there is none. Bundled voices stay."""
        with self._changing:
            self.library.remove(name)
            self._forget({name})

    def sync(self) -> None:
        """Picks up voices that other processes have stored or removed."""
        with self._changing:
            now = self.library.stamps()
            changed = {name for name, stamp in now.items() if self._stamps.get(name) != stamp}
            gone = set(self._stamps) - set(now)
            if not changed and not gone:
                return
            self._forget(gone | changed)
            style_dim = len(next(iter(self.voices.values())).style)
            found = self.library.voices(style_dim, sorted(changed))
            self.speaker.voices = {**self.voices, **found}
            self._stamps = now

    def _forget(self, names: set[str]) -> None:
        """Drops cloned voices with these names; bundled ones stay."""
        voices = self.voices.items()
        self.speaker.voices = {k: v for k, v in voices if k not in names or k in self._bundled}
        for name in names:
            self._stamps.pop(name, None)
