"""The voices that a speaker can use: bundled ones, cloned ones, and those that are being tried."""

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.answering import AnySpeaker
from app.library import Library, VoiceFacts
from app.voice_sample import VoiceSample, clean_sample
from data.errors import InputError

MAX_TRIED = 32
SAMPLE_TEXT = "Hello, nice to meet you. This is how I sound. What shall we talk about?"
OPENAI_VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse",
    "marin", "cedar",
)  # fmt: skip
"""Names that OpenAI's clients send; ours speak for them in turn."""


@dataclass(frozen=True)
class Cloned:
    """A cloned voice that is not kept yet, and the sample that it was cloned from."""

    voice: Any
    sample: VoiceSample


class VoiceStore:
    """Finds, clones, keeps and removes voices; for several threads.

    Bundled voices keep their names: a voice of the library that bears one is left out. They also
    come first, so that no cloned voice speaks for whoever asks for none.

    Args:
        speaker: whose `voices` the store maintains.
        library: where cloned voices are kept; the usual folder if not given.
        aliases: the voice that speaks for a name of OpenAI's, where not the usual one.
    """

    def __init__(
        self,
        speaker: AnySpeaker,
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
        """By name, those that everybody may use."""
        return self.speaker.voices

    def aliases(self) -> dict[str, str]:
        """By names of OpenAI's, the names of the voices that speak for them."""
        return {name: self.resolve(name) for name in (*OPENAI_VOICES, *self._aliases)}

    def resolve(self, name: str) -> str:
        """The name of the voice that speaks for an alias; any other name as it is."""
        names = list(self.voices)
        if name in names:
            return name
        if name in self._aliases:
            return self._aliases[name]
        if name in OPENAI_VOICES:
            return names[OPENAI_VOICES.index(name) % len(names)]
        return name

    def find(self, name: str) -> Any:
        """The voice of this name or alias, kept or tried; the first there is for no name.

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
            raise InputError(f"voice {name!r:.60} is none of {', '.join(voices)}")
        return voices[known]

    def clone(self, clips: Iterable[np.ndarray], name: str = "cloned") -> Cloned:
        """Clones a voice from clips of it, each `[T]` float32 at 24 kHz.

        Raises:
            InputError: the clips will not do.
        """
        sample = clean_sample(clips)
        return Cloned(self.speaker.clone(sample.samples, name), sample)

    def tried(self, name: str | None) -> Cloned:
        """What is tried under this name; raises InputError when it is nothing, or forgotten."""
        found = self._tried.get(name or "")
        if found is not None:
            return found
        if name:
            raise InputError("others have tried their voices since; press Clone again")
        raise InputError("there is no voice yet; give a sample and press Clone first")

    def try_out(self, cloned: Cloned) -> str:
        """A name, hard to guess, under which a voice that is not kept can be used, until
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
        """Clones a voice and keeps it; what can be refused is refused before any work.

        Args:
            clips: of the voice, each `[T]` float32 at 24 kHz.
            name: of the voice from now on.
            consent: who allows the use of the voice, in words.
            transcribe: says what is said in the cleaned sample.
            language: of the sample, a code.
            spoken: checks the consent as the person spoke it against the sample, `[T]` at 24 kHz,
                and gives it in words; None where there are words alone. See `app.spoken_consent`.

        Raises:
            InputError: no consent, a name that is taken or no name, or sound that will not do.
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
        """Keeps a cloned voice in the library; everybody can use it at once.

        Raises:
            InputError: no consent, or a name that is taken or no name.
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
        """A bundled voice of that name stays; raises InputError when there is no cloned one."""
        with self._changing:
            self.library.remove(name)
            self._forget({name})

    def sync(self) -> None:
        """Takes over what other processes have kept in the library, or removed from it."""
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
        """Takes cloned voices of these names away; bundled ones stay."""
        voices = self.voices.items()
        self.speaker.voices = {k: v for k, v in voices if k not in names or k in self._bundled}
        for name in names:
            self._stamps.pop(name, None)
