"""Timelines: utterances placed in time by seeded distributions."""

import itertools
import random
from dataclasses import asdict, dataclass, field
from typing import Any

from data.audio.voice_embedding import Span
from data.ncssd.truth.clips import Clip

_GAP_SD_S = 0.35  # standard deviation of gaps between turns
_MAX_GAP_S = 1.6
_BACKCHANNEL_S = 1.0
_LONG_TURN_S = 3.0
# of espeak-ng's variants, by its own files
_WOMEN = frozenset(
    (
        *("f1", "f2", "f3", "f4", "f5", "Alicia", "Andrea", "Annie", "anika", "aunty", "belinda"),
        *("grandma", "linda", "shelby", "steph"),
    )
)


@dataclass(frozen=True)
class Habits:
    """Turn-taking statistics; the defaults are those of the scored recordings."""

    gap_mean_s: float = 0.25  # negative gaps are overlaps
    min_gap_s: float = -0.8
    overlap_share: float = 1 / 3  # largest overlap, as a fraction of the shorter turn
    backchannel_share: float = 0.25  # fraction of sufficiently long turns with a backchannel


@dataclass(frozen=True)
class Placed:
    """An utterance whose speech starts at `at` seconds; `part` is its dialogue, -1 for none."""

    clip: Clip
    at: float
    part: int
    backchannel: bool = False

    @property
    def end(self) -> float:
        return self.at + self.clip.speech_s


@dataclass
class Timeline:
    """All utterances of one recording."""

    placed: list[Placed] = field(default_factory=list)
    duration: float = 0.0

    def truth(self) -> dict[str, Any]:
        """Segments of speech, turns and dialogues, as JSON values."""
        segments = [
            [round(p.at + a, 4), round(p.at + b, 4), p.clip.voice]
            for p in self.placed
            for a, b in p.clip.relative()
        ]
        turns = [
            {
                "start": round(p.at, 4),
                "end": round(p.end, 4),
                "speaker": p.clip.voice,
                "text": p.clip.text,
                "dialogue": p.part,
                "backchannel": p.backchannel,
            }
            for p in self.placed
        ]
        dialogues = [asdict(d) for d in self._dialogues()]
        return {
            "duration": round(self.duration, 4),
            "segments": sorted(segments),
            "turns": sorted(turns, key=lambda turn: turn["start"]),
            "dialogues": dialogues,
        }

    def _dialogues(self) -> list["DialogueSpan"]:
        out = []
        for part in sorted({p.part for p in self.placed if p.part >= 0}):
            mine = [p for p in self.placed if p.part == part]
            speakers = sorted({p.clip.voice for p in mine})
            out.append(DialogueSpan(min(p.at for p in mine), max(p.end for p in mine), speakers))
        return out


def spoken_alone(line: Timeline, least_s: float) -> tuple[list[str], list[list[Span]]]:
    """Voices, and spans in frames of 20 ms, of the segments longer than `least_s` during which
    nobody else speaks."""
    segments = line.truth()["segments"]
    voices, groups = [], []
    for start, end, voice in segments:
        free = all(a >= end or b <= start for a, b, other in segments if other != voice)
        if free and end - start > least_s:
            voices.append(voice)
            groups.append([(round(start * 50), round(end * 50))])
    return voices, groups


@dataclass(frozen=True)
class DialogueSpan:
    """A two-person conversation; times in seconds of the recording."""

    start: float
    end: float
    speakers: list[str]


class _Deck:
    """A voice's utterances in shuffled order, without repeats until all are used."""

    def __init__(self, clips: list[Clip], rng: random.Random) -> None:
        self._clips, self._rng, self._left = clips, rng, list[Clip]()

    def draw(self, longest_s: float = 12.0) -> Clip | None:
        for _ in range(2):
            for index, clip in enumerate(self._left):
                if clip.speech_s <= longest_s:
                    return self._left.pop(index)
            self._left = self._rng.sample(self._clips, len(self._clips))
        return None


def make_timeline(
    clips: dict[str, list[Clip]],
    seconds: float,
    rng: random.Random,
    habits: Habits = Habits(),
) -> Timeline:
    """Dialogues of two voices, monologues of a third, and silences, for about `seconds`.

    Dialogues are separated by a silence of over 4 s, by a third voice after a short pause, or only
    by the change of voices. A person returns only after a silence, which is therefore inserted when
    fewer than three new people are left.
    """
    people = {person(voice) for voice in clips}
    line, part, now = Timeline(), 0, rng.uniform(0.5, 3.0)
    before: list[str] = []
    while now < seconds:
        pair = _pick(clips, 2, before, rng)
        now = _dialogue(line, [clips[voice] for voice in pair], part, now, rng, habits)
        before += pair
        part += 1
        kind = rng.choice(["silence", "silence", "third", "change"])
        if kind == "silence" or len(people - {person(voice) for voice in before}) < 3:
            now += rng.uniform(4.6, 9.0)
            before = []
        elif kind == "third":
            voice = _pick(clips, 1, before, rng)[0]
            before.append(voice)
            now = _monologue(line, clips[voice], now + rng.uniform(0.4, 1.5), rng)
            now += rng.uniform(0.4, 1.5)
        else:
            now += rng.uniform(0.8, 2.0)
    line.duration = now + 1.0
    return line


def make_pair(
    clips: list[list[Clip]], seconds: float, rng: random.Random, habits: Habits = Habits()
) -> Timeline:
    """One conversation of two voices for about `seconds`."""
    line = Timeline()
    start = rng.uniform(0.5, 2.0)
    line.duration = _dialogue(line, clips, 0, start, rng, habits, until=seconds) + 1.0
    return line


def make_monologue(clips: list[Clip], seconds: float, rng: random.Random) -> Timeline:
    """One voice reading aloud, with pauses, for about `seconds`."""
    line, deck, now = Timeline(), _Deck(clips, rng), rng.uniform(0.5, 2.0)
    while now < seconds:
        clip = deck.draw()
        if clip is None:
            break
        line.placed.append(Placed(clip, now, -1))
        now += clip.speech_s + rng.uniform(0.2, 1.2)
    line.duration = now + 1.0
    return line


def _pick(
    clips: dict[str, list[Clip]], number: int, before: list[str], rng: random.Random
) -> list[str]:
    """Voices of different people (`person`), avoiding the people in `before` (since the last long
    silence) while there are others.
    """
    voices = [voice for voice, own in clips.items() if len(own) >= 4] or list(clips)
    voices = rng.sample(voices, len(voices))
    taken = {person(voice) for voice in before}
    voices.sort(key=lambda voice: person(voice) in taken)
    picked: list[str] = []
    for voice in voices:
        if all(person(voice) != person(other) for other in picked):
            picked.append(voice)
        if len(picked) == number:
            break
    return picked if len(picked) == number else voices[:number]


def person(voice: str) -> str:
    """The person behind a voice of the corpus.

    All variants of a recorded voice are one person: "flite-slt+t1.06p1.0" and "festival-slt" are
    both "slt". espeak-ng's variants of its single formant voice are partly indistinguishable, so
    they count as one man and one woman.
    """
    synthesizer, _, name = voice.partition("-")
    base, *variants = name.split("+") if name else [voice]
    if synthesizer != "espeak":
        return base
    return "a woman" if variants and variants[0] in _WOMEN else "a man"


def _dialogue(
    line: Timeline,
    pair: list[list[Clip]],
    part: int,
    now: float,
    rng: random.Random,
    habits: Habits,
    until: float | None = None,
) -> float:
    """Adds turns of two voices from `now` on: 8 to 20, or as many as reach `until` seconds; returns
    the end."""
    decks = [_Deck(clips, rng) for clips in pair]
    who, last_end = rng.randrange(2), now
    for index in range(rng.randint(8, 20)) if until is None else itertools.count():
        clip = decks[who].draw()
        if clip is None or (until is not None and last_end >= until):
            break
        gap = min(max(rng.gauss(habits.gap_mean_s, _GAP_SD_S), habits.min_gap_s), _MAX_GAP_S)
        if gap < 0:
            previous = line.placed[-1].clip.speech_s if index else 0.0
            gap = max(gap, -min(clip.speech_s, previous) * habits.overlap_share)
        at = last_end + (gap if index else 0.0)
        line.placed.append(Placed(clip, at, part))
        last_end = max(last_end, at + clip.speech_s)
        if clip.speech_s > _LONG_TURN_S and rng.random() < habits.backchannel_share:
            _backchannel(line, decks[1 - who], at, clip.speech_s, part, rng)
        who = 1 - who
    return last_end


def _backchannel(
    line: Timeline, deck: _Deck, at: float, length: float, part: int, rng: random.Random
) -> None:
    clip = deck.draw(_BACKCHANNEL_S)
    if clip is not None:
        inside = at + rng.uniform(1.0, max(1.0, length - clip.speech_s - 0.6))
        # appended before its turn ends, since the list is ordered by start
        line.placed.insert(len(line.placed) - 1, Placed(clip, inside, part, backchannel=True))


def _monologue(line: Timeline, clips: list[Clip], now: float, rng: random.Random) -> float:
    deck = _Deck(clips, rng)
    for _ in range(rng.randint(2, 4)):
        clip = deck.draw()
        if clip is None:
            break
        line.placed.append(Placed(clip, now, -1))
        now += clip.speech_s + rng.uniform(0.2, 0.7)
    return now
