"""Evaluation sets from folders in NCSSD layout: the teacher's speech or recordings."""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from data.dialogue import Turn, read_ncssd
from data.errors import InputError
from data.synthetic import VOICES
from data.synthetic.kokoro.voices import kokoro_voices
from models.evaluation.sets import (
    LONG_SENTENCES,
    NUM_COMPARED,
    NUM_OTHERS,
    REFERENCE_S,
    CloneSet,
    DialogueSet,
    EvaluationSet,
    Item,
    Subject,
    cut_reference,
)
from models.evaluation.strata import Placed
from models.evaluation.words import spoken_language

SHORTEST_S = 2.0
"""Minimum of what is scored: DistillMOS rates one or two words low, whoever speaks."""
_SHORTEST_OTHER_S = 1.0
_LONGEST_S = 20.0
_MOST_RIVALS = 25
_MOST_TEXTS = 400
_MOST_AGENTS = 6


@dataclass(frozen=True)
class _Utterance:
    """A turn of a folder, with its audio still on disk."""

    turn: Turn
    voice: str
    language: str
    seconds: float

    @property
    def held_out(self) -> bool | None:
        return is_held_out(self.voice)

    @property
    def place(self) -> str:
        """Sort key for a pseudo-random but fixed order."""
        sound = self.turn.audio.name if self.turn.audio else ""
        return _pseudo_random_key(f"{sound} {self.voice} {self.turn.text}")

    def item(self) -> Item:
        samples = self.turn.load()
        assert samples is not None
        phones = [tuple(phone) for phone in self.turn.extra.get("phones", ())]
        return Item(
            self.turn.text, self.voice, samples, phones, self.language, self.held_out
        )  # fmt: skip


def _pseudo_random_key(name: str) -> str:
    """Sort key for a pseudo-random but fixed order of names."""
    return hashlib.sha256(name.encode()).hexdigest()


def is_held_out(voice: str) -> bool | None:
    """Whether a voice is excluded from training; None for non-synthetic voices."""
    known = VOICES.get(voice) or kokoro_voices().get(voice)
    return None if known is None else known.held_out


def recorded_clones(root: Path, num: int, num_texts: int, language: str | None = None) -> CloneSet:
    """Speakers with enough audio for cloning and comparison; each language has its own texts.

    Args:
        root: dialogues in NCSSD layout.
        num: most voices.
        num_texts: texts per clone.
        language: `en` or `zh`; None: both.

    Raises:
        InputError: no speaker has enough audio.
    """
    by_voice = _by_voice(root, language)
    subjects, rivals = [], {}
    for (spoken, _, voice), found in _fairly(by_voice):
        reference, utterances = _reference(found)
        if utterances and len(subjects) < num:
            sounds = [one.item().samples for one in utterances]
            own = cut_reference([one.item().samples for one in reference])
            subjects.append(Subject(voice, own, sounds, spoken, is_held_out(voice)))
        elif len(rivals) < _MOST_RIVALS:
            rivals[voice] = [one.item().samples for one in (utterances or found)[:NUM_COMPARED]]
    if not subjects:
        raise InputError(
            f"no speaker in {root} has more than {REFERENCE_S:g} s of speech; cloning needs that "
            "much, and the comparison needs further utterances"
        )
    texts, long_texts = {}, {}
    for spoken in sorted({subject.language for subject in subjects}):
        offered = [item.text for item in recorded_set(root, 60, spoken).items]
        texts[spoken] = offered[:num_texts]
        long_texts[spoken] = " ".join(offered[num_texts:][:LONG_SENTENCES] or offered)
    return CloneSet(subjects, rivals, texts, long_texts, _source(root, subjects))


def recorded_dialogue_set(root: Path, language: str) -> DialogueSet:
    """Texts and voices of a folder that the teacher spoke, to be spoken again by the teacher.

    Args:
        root: dialogues in NCSSD layout, spoken by Kokoro.
        language: `en` or `zh`.

    Raises:
        InputError: there are no trained or no held-out voices of Kokoro.
    """
    chosen = recorded_set(root, _MOST_TEXTS, language)
    voices = sorted(chosen.others)
    users = [voice for voice in voices if is_held_out(voice)]
    agents = [voice for voice in voices if is_held_out(voice) is False]
    agents = sorted(agents, key=lambda voice: not kokoro_voices()[voice].base)[:_MOST_AGENTS]
    if not users or not agents:
        raise InputError(
            f"{root} holds no {language!r} speech of both held-out and trained voices of the "
            "teacher; make it with: launch.py data synthetic --split test --engines teacher"
        )
    others = {voice: chosen.others[voice] for voice in agents}
    texts = [item.text for item in chosen.items]
    return DialogueSet(texts, users, agents, others, chosen.source, language)


def recorded_set(root: Path, num: int, language: str | None = None) -> EvaluationSet:
    """Turns of at least two seconds, each text once, and other utterances of their speakers.

    Balanced over languages, trained and held-out voices, and the voices within these. Deterministic
    for a folder and a number.

    Args:
        root: dialogues in NCSSD layout.
        num: most turns.
        language: `en` or `zh`; None: both.

    Raises:
        InputError: there are no such turns.
    """
    by_voice = _by_voice(root, language)
    offered = {key: _divided(found) for key, found in by_voice.items()}
    usable = {key: parts for key, parts in offered.items() if all(parts)}
    chosen = _round_robin({key: asked for key, (asked, _) in usable.items()}, num)
    if not chosen:
        spoken = f" in {language!r}" if language else ""
        raise InputError(
            f"no speaker in {root} has two turns{spoken} of at least {SHORTEST_S:g} s with sound; "
            "one is spoken again, the other is the voice's reference"
        )
    voices = {utterance.voice for utterance in chosen}
    others = {
        voice: [one.item().samples for one in rest]
        for (_, _, voice), (_, rest) in usable.items()
        if voice in voices
    }
    items = [utterance.item() for utterance in chosen]
    return EvaluationSet(items, others, _source(root, items))


def _source(root: Path, spoken: Sequence[Placed]) -> str:
    by_teacher = all(one.held_out is not None for one in spoken)
    return f"teacher ({root.name})" if by_teacher else f"recordings of {root.name}"


def _by_voice(root: Path, language: str | None) -> dict[tuple, list[_Utterance]]:
    """Utterances by language, kind of voice, and voice."""
    found: dict[tuple, list[_Utterance]] = defaultdict(list)
    for utterance in _utterances(root):
        if language in (None, utterance.language):
            key = (utterance.language, str(utterance.held_out), utterance.voice)
            found[key].append(utterance)
    return found


def _fairly(by_voice: dict[tuple, list[_Utterance]]) -> Iterator[tuple[tuple, list[_Utterance]]]:
    """Voices of all strata in turn, held-out and non-synthetic ones first."""
    strata: dict[tuple, list[tuple]] = defaultdict(list)
    for key in sorted(by_voice, key=lambda k: _pseudo_random_key(k[2])):
        strata[key[1] == "False", key[0]].append(key)
    for row in itertools.zip_longest(*(strata[name] for name in sorted(strata))):
        yield from ((key, by_voice[key]) for key in row if key is not None)


def _reference(found: list[_Utterance]) -> tuple[list[_Utterance], list[_Utterance]]:
    """Utterances to clone a voice from, and others to compare with, which may be empty."""
    ordered = sorted(found, key=lambda utterance: utterance.place)
    seconds = itertools.accumulate(utterance.seconds for utterance in ordered)
    needed = next((n for n, total in enumerate(seconds, 1) if total >= REFERENCE_S), len(ordered))
    return ordered[:needed], ordered[needed:][:NUM_COMPARED]


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
    """Utterances to speak again and utterances for reference, without overlap."""
    ordered = sorted(found, key=lambda utterance: utterance.place)
    num_others = min(NUM_OTHERS, len(ordered) // 2)
    others, rest = ordered[:num_others], ordered[num_others:]
    return [one for one in rest if one.seconds >= SHORTEST_S], others


def _round_robin(by_voice: dict[tuple, list[_Utterance]], num: int) -> list[_Utterance]:
    """Cycles through strata, and through voices within each; uses each text once."""
    strata: dict[tuple, list[list[_Utterance]]] = defaultdict(list)
    for key in sorted(by_voice, key=lambda k: _pseudo_random_key(k[2])):
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
