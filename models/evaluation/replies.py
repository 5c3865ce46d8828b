"""Generates replies and records their properties."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from data.errors import InputError, RepError
from models.evaluation.faults import fault_of
from models.evaluation.sets import JUDGED_VOICES
from models.named_voices import NAMED
from models.voice import Voice


class EvaluatedSpeaker(Protocol):
    """The interface of `models.speaker.Speaker` that evaluation uses."""

    @property
    def voices(self) -> dict[str, Voice]: ...

    def clone(self, samples: np.ndarray, name: str = "cloned") -> Voice: ...

    def open_dialogue(self) -> Any: ...

    def add_turn(self, dialogue: Any, who: int, text: str, samples: np.ndarray | None) -> None: ...

    def speak(self, dialogue: Any, text: str, voice: Voice, options: Any = None) -> Any: ...

    def reconstruct(self, samples: np.ndarray) -> np.ndarray: ...


# Makes a reply's options from its number; defined in `measures.py`, so that tests need no models.
MakeOptions = Callable[[int], Any]


@dataclass
class SpokenReply:
    """A finished reply; `fault` describes what is wrong with it."""

    samples: np.ndarray
    words: list[tuple[str, float, float]] = field(default_factory=list)
    retries: int = 0
    first_audio_ms: float | None = None
    rtf: float | None = None
    fault: str | None = None


def speak(
    speaker: EvaluatedSpeaker,
    dialogue: Any,
    text: str,
    voice: Voice,
    options: Any,
    commit: bool = False,
) -> SpokenReply:
    """Generates one reply. Errors count as faults of the reply."""
    try:
        reply = speaker.speak(dialogue, text, voice, options)
        for _ in reply:
            pass
        samples = reply.samples()
    except InputError as error:
        return SpokenReply(np.zeros(0, np.float32), fault=f"refused: {error}")
    except (RepError, RuntimeError, ValueError, IndexError, KeyError) as error:
        return SpokenReply(np.zeros(0, np.float32), fault=f"{type(error).__name__}: {error}")
    spoken = SpokenReply(samples, list(reply.words), reply.retries, reply.first_audio_ms, reply.rtf)
    spoken.fault = fault_of(samples, text)
    if commit:
        reply.commit()
    return spoken


def voice_named(
    speaker: EvaluatedSpeaker, name: str, others: list[np.ndarray]
) -> tuple[Voice, str]:
    """Repartee's counterpart of a teacher voice: the bundled one, or a clone.

    Returns:
        The voice and its origin.
    """
    named, _ = NAMED.get(name, ("", ""))
    for bundled in (named, JUDGED_VOICES.get(name, ""), name, name.removeprefix("flite-")):
        if bundled in speaker.voices:
            return speaker.voices[bundled], f"bundled {bundled}"
    return speaker.clone(np.concatenate(others)[: 24_000 * 10], name), "cloned"
