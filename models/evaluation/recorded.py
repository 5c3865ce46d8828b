"""Evaluation sets out of folders in NCSSD layout: a corpus of the teacher's, or recordings."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from data.dialogue import Turn, read_ncssd
from data.errors import InputError
from data.synthetic import VOICES
from data.synthetic.kokoro.voices import kokoro_voices
from models.evaluation.sets import NUM_OTHERS, EvaluationSet, Item
from models.evaluation.words import spoken_language

SHORTEST_S = 2.0
"""Of what is judged: DistillMOS thinks little of a word or two, whoever says them."""
_SHORTEST_OTHER_S = 1.0
_LONGEST_S = 20.0


@dataclass(frozen=True)
class _Utterance:
    """A turn of a folder; its sound is still on the disk."""

    turn: Turn
    voice: str
    language: str
    seconds: float

    @property
    def held_out(self) -> bool | None:
        return is_held_out(self.voice)

    @property
    def place(self) -> str:
        """Where it comes in an order that chance decides, the same one each time."""
        name = f"{self.turn.audio.name if self.turn.audio else ''} {self.voice} {self.turn.text}"
        return hashlib.sha256(name.encode()).hexdigest()

    def item(self) -> Item:
        samples = self.turn.load()
        assert samples is not None
        phones = [tuple(phone) for phone in self.turn.extra.get("phones", ())]
        return Item(
            self.turn.text, self.voice, samples, phones, self.language, self.held_out
        )  # fmt: skip


def is_held_out(voice: str) -> bool | None:
    """Whether training never hears a voice; None for who is no synthesizer's."""
    known = VOICES.get(voice) or kokoro_voices().get(voice)
    return None if known is None else known.held_out


def recorded_set(root: Path, num: int, language: str | None = None) -> EvaluationSet:
    """Turns of at least two seconds, each text once, and other utterances of their speakers.

    Languages, trained and held-out voices, and among them all voices have equal shares. The same
    folder and number give the same set.

    Args:
        root: dialogues in NCSSD layout.
        num: turns, at most.
        language: `en` or `zh` alone; None takes both.

    Raises:
        InputError: there is no such turn.
    """
    by_voice: dict[tuple, list[_Utterance]] = defaultdict(list)
    for utterance in _utterances(root):
        if language in (None, utterance.language):
            key = (utterance.language, str(utterance.held_out), utterance.voice)
            by_voice[key].append(utterance)
    offered = {key: _divided(found) for key, found in by_voice.items()}
    usable = {key: parts for key, parts in offered.items() if all(parts)}
    chosen = _round_robin({key: asked for key, (asked, _) in usable.items()}, num)
    if not chosen:
        spoken = f" in {language!r}" if language else ""
        raise InputError(
            f"no speaker in {root} has two turns{spoken} of at least {SHORTEST_S:g} s with sound; "
            "one is spoken again and the other tells the voice"
        )
    voices = {utterance.voice for utterance in chosen}
    others = {
        voice: [one.item().samples for one in rest]
        for (_, _, voice), (_, rest) in usable.items()
        if voice in voices
    }
    known = all(utterance.held_out is not None for utterance in chosen)
    source = f"teacher ({root.name})" if known else f"recordings of {root.name}"
    return EvaluationSet([utterance.item() for utterance in chosen], others, source)


def _utterances(root: Path) -> Iterator[_Utterance]:
    for dialogue in read_ncssd(root):
        for turn in dialogue.turns:
            if turn.audio is None or not turn.text.strip():
                continue
            seconds = soundfile.info(str(turn.audio)).duration
            if not _SHORTEST_OTHER_S <= seconds <= _LONGEST_S:
                continue
            voice = turn.extra.get("voice") or f"{dialogue.id}-{turn.speaker}"
            language = dialogue.extra.get("language") or spoken_language(turn.text)
            yield _Utterance(turn, voice, language, seconds)


def _divided(found: list[_Utterance]) -> tuple[list[_Utterance], list[_Utterance]]:
    """What may be asked of a voice, and what tells how it sounds: never the same utterance."""
    ordered = sorted(found, key=lambda utterance: utterance.place)
    num_others = min(NUM_OTHERS, len(ordered) // 2)
    others, rest = ordered[:num_others], ordered[num_others:]
    return [one for one in rest if one.seconds >= SHORTEST_S], others


def _round_robin(by_voice: dict[tuple, list[_Utterance]], num: int) -> list[_Utterance]:
    """Takes from stratum after stratum, and in each from voice after voice, each text once."""
    strata: dict[tuple, list[list[_Utterance]]] = defaultdict(list)
    for key in sorted(by_voice, key=lambda k: hashlib.sha256(k[2].encode()).hexdigest()):
        strata[key[:2]].append(list(by_voice[key]))
    queues = [_in_turn(voices) for _, voices in sorted(strata.items())]
    chosen: list[_Utterance] = []
    said: set[str] = set()
    while queues and len(chosen) < num:
        queue = queues.pop(0)
        for utterance in queue:
            if utterance.turn.text not in said:
                said.add(utterance.turn.text)
                chosen.append(utterance)
                queues.append(queue)
                break
    return chosen


def _in_turn(voices: list[list[_Utterance]]) -> Iterator[_Utterance]:
    for place in range(max(map(len, voices))):
        yield from (voice[place] for voice in voices if place < len(voice))
