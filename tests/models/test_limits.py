"""The predictor's cache stays within its window, whatever the input."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from data.errors import InputError
from data.limits import MAX_SPOKEN, MAX_TURN
from models.delivery.script import MAX_UNITS
from models.predictors.segments import last_segments
from models.predictors.units import Units, pieces_of, units_of, units_of_text
from models.speaker import Speaker, SpeakOptions
from models.text import normalise, phonemize
from tests.models.test_speaker import noise
from tests.tiny import tiny_segments

OPTIONS = SpeakOptions(seed=3)
LONG = "The train was late. We waited near the old bridge. " * 8
LONG_TEXTS = {
    "digits": "7" * 1999,
    "one word": "ba" * 3000,
    "words": "the train was late and " * 1700,
    "sentences": "I see. " * 5000,
    "a letter a word": "x q z " * 6000,
    "no blanks": "a1b2,c3;" * 4000,
}


@pytest.mark.parametrize("text", LONG_TEXTS.values(), ids=LONG_TEXTS)
@pytest.mark.parametrize("seconds", [0.0, 32.0])
def test_a_long_turn_stays_within_the_window(speaker: Speaker, text: str, seconds: float) -> None:
    dialogue = speaker.open_dialogue()
    buffers = [cache.values.shape for cache in dialogue.predictor.past]
    for _ in range(2):
        speaker.add_turn(dialogue, 0, text, noise(seconds) if seconds else None)
        assert 0 < dialogue.predictor.length <= dialogue.model.capacity
    assert [cache.values.shape for cache in dialogue.predictor.past] == buffers
    assert all(len(turn.text) <= MAX_TURN for turn in dialogue.turns)
    assert all(turn.samples is None or len(turn.samples) <= 30 * 24_000 for turn in dialogue.turns)


def watched(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records the context length of each step."""
    seen: list[int] = []
    model = speaker.open_dialogue().model
    advance = model._advance

    def looking(state, embedded):
        hidden = advance(state, embedded)
        seen.append(state.length)
        return hidden

    monkeypatch.setattr(model, "_advance", looking)
    return seen


def test_a_long_reply_stays_within_the_window(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watched(speaker, monkeypatch)
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, "Where were you?", noise(1.0))
    reply = speaker.speak(dialogue, LONG, speaker.voices["one"], OPTIONS)
    for _ in reply:
        pass
    assert dialogue.predictor.next_position > 2 * dialogue.model.capacity
    assert max(seen) <= dialogue.model.capacity
    reply.commit()
    assert dialogue.predictor.length <= dialogue.model.config.max_positions


def test_dropping_a_long_reply_restores_evicted_turns(
    speaker: Speaker,
) -> None:
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, "Where were you?", None)
    before = dialogue.predictor.copy()
    list(speaker.speak(dialogue, LONG, speaker.voices["one"], OPTIONS))
    assert dialogue.predictor.next_position > dialogue.model.capacity
    speaker.drop_reply(dialogue)
    now = dialogue.predictor
    assert (now.length, now.turn_ends) == (before.length, before.turn_ends)
    for cache, was in zip(now.past, before.past, strict=True):
        torch.testing.assert_close(
            cache.values[:, :, : now.length], was.values[:, :, : before.length]
        )


def test_an_interrupted_long_reply_keeps_the_turns_before_it(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, "Where were you?", None)
    reply = speaker.speak(dialogue, LONG, speaker.voices["one"], OPTIONS)
    list(reply)
    reply.commit(played_s=1.0)
    assert [turn.who for turn in dialogue.turns] == [0, 1]
    assert len(dialogue.predictor.turn_ends) == 2


@pytest.mark.parametrize("text", ["x" * (MAX_SPOKEN + 1), "I see. " * 1000, "9" * 39_000])
def test_a_text_too_long_to_speak_is_refused_at_once(speaker: Speaker, text: str) -> None:
    with pytest.raises(InputError, match=f"{len(text)} characters; at most {MAX_SPOKEN}"):
        speaker.speak(speaker.open_dialogue(), text, speaker.voices["one"])


def test_an_endless_text_source_is_cut_off(speaker: Speaker) -> None:
    taken = 0

    def pieces() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "😀" * 64  # unspeakable, so no other limit applies

    reply = speaker.speak(speaker.open_dialogue(), pieces(), speaker.voices["one"], OPTIONS)
    with pytest.raises(InputError, match=f"longer than {MAX_SPOKEN} characters"):
        list(reply)
    assert taken == MAX_SPOKEN // 64 + 1


def units_of_length(*words: int) -> Units:
    symbols, starts, spans = [1], [0], []
    for number, length in enumerate(words):
        spans.append((f"w{number}", len(symbols), len(symbols) + length))
        symbols += [10 + number % 40] * length
        starts += [1] + [0] * (length - 1)
    return Units(tuple(symbols), (0,) * len(symbols), tuple(starts), tuple(spans))


@pytest.mark.parametrize(
    "units",
    [
        units_of_length(1000),
        units_of_length(3, 500, 3),
        units_of_length(*[1] * 700),
        units_of_length(MAX_UNITS - 1, MAX_UNITS, MAX_UNITS - 1),
        units_of_length(MAX_UNITS, 1),
        units_of(phonemize([normalise("7" * 300)])[0]),
        units_of(phonemize([normalise("bcdfghjklm" * 30)])[0]),
    ],
)
def test_pieces_fit_and_partition_the_units(units: Units) -> None:
    pieces = pieces_of(units, MAX_UNITS)
    assert all(2 <= len(piece) <= MAX_UNITS for piece in pieces)
    assert all(piece.symbols[0] == units.symbols[0] for piece in pieces)
    assert sum((piece.symbols[1:] for piece in pieces), ()) == units.symbols[1:]
    assert [word for piece in pieces for word, _, _ in piece.words] == [
        w for w, _, _ in units.words
    ]
    for piece in pieces:
        assert all(1 <= first <= last <= len(piece) for _, first, last in piece.words)
    # no more pieces than needed: words are cut only where longer than a piece
    assert len(pieces) <= 2 * len(units) / MAX_UNITS + 2


@pytest.mark.parametrize("most", [40, 60, 200])
@pytest.mark.parametrize("frames", [0, 5, 100, 700])
@pytest.mark.parametrize("text", ["Yes.", "no stops in it " * 20, "I see it now. " * 30])
def test_a_truncated_turn_fits_and_keeps_a_valid_pointer(text: str, frames: int, most: int) -> None:
    units = units_of_text(normalise(text))
    pointer = torch.arange(frames) * len(units) // frames if frames else None
    kept = last_segments(tiny_segments(units, pointer), most)
    assert 0 < sum(segment.num_positions for segment in kept) <= most
    assert kept[-1].units[-1].tolist() == [units.symbols[-1], 0, 0]
    for segment in kept:
        assert segment.units[0, 0] == units.symbols[0]
        if segment.pointer is not None and segment.frames is not None:
            assert len(segment.pointer) == len(segment.frames)
            assert 0 <= int(segment.pointer.min()) <= int(segment.pointer.max())
            assert int(segment.pointer.max()) < len(segment.units)
            assert bool((segment.pointer.diff() >= 0).all())
    if frames:
        assert int(kept[-1].frames.values[-1, 0]) == frames - 1


def test_a_number_of_hundreds_of_digits_is_spoken(speaker: Speaker) -> None:
    reply = speaker.speak(
        speaker.open_dialogue(), "12 " + "7" * 310, speaker.voices["one"], OPTIONS
    )
    chunks = [len(chunk) for chunk in reply]
    assert reply.complete and np.sum(chunks) > 24_000
