"""Phone times: transferred from a synthesizer, and recovered by forced alignment."""

import numpy as np
import torch

from models.predictors.alignment import align_units
from models.predictors.phones import pointer_of, unit_ends
from models.predictors.segments import sentence_spans
from models.predictors.sequence import MAX_ADVANCE
from models.predictors.units import Units, neighbours, units_of
from models.text import SYMBOLS, phonemize
from tests.tiny import tiny_segments

# flite's slt, "Hello there." (flite -psdur).
HELLO = "pau:0.164 hh:0.255 ax:0.304 l:0.412 ow:0.523 dh:0.572 eh:0.664 r:0.838 pau:1.011"


def flite_phones(line: str) -> list[tuple[str, float, float]]:
    phones, start = [], 0.0
    for token in line.split():
        name, end = token.split(":")
        phones.append((name, start, float(end)))
        start = float(end)
    return phones


def units_for(text: str) -> Units:
    return units_of(phonemize([text])[0])


def test_synthesizer_times_are_transferred() -> None:
    units = units_for("Hello there.")
    ends = dict(
        zip([SYMBOLS[s] for s in units.symbols], unit_ends(flite_phones(HELLO), units), strict=True)
    )
    assert ends["<en-us>"] == 0.164
    assert ends["h"] == 0.255
    assert ends["oʊ"] == 0.523
    assert ends["ð"] == 0.572
    assert ends["."] == 1.011


def test_a_pointer_covers_the_text() -> None:
    units = units_for("Hello there.")
    pointer = pointer_of(unit_ends(flite_phones(HELLO), units), 26, 0.04, MAX_ADVANCE)
    assert pointer[0] == 0
    assert pointer[-1] == len(units) - 1
    steps = np.diff(pointer)
    assert steps.min() >= 0 and steps.max() <= MAX_ADVANCE


def test_alignment_finds_a_known_path() -> None:
    units = units_for("We waited near the old bridge.")
    generator = np.random.default_rng(0)
    path = np.minimum(np.cumsum(generator.integers(0, 3, 60)), len(units) - 1)
    path -= path[0]
    symbols = torch.tensor(units.symbols)[path]
    logits = 4.0 * torch.nn.functional.one_hot(symbols, len(SYMBOLS)).float()
    logits += torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    found = align_units(logits.log_softmax(-1), units)
    assert np.abs(found.numpy() - path).mean() < 0.3
    assert found.diff().min() >= 0 and found.diff().max() <= MAX_ADVANCE


def test_alignment_of_too_short_audio_ends_early() -> None:
    units = units_for("We waited near the old bridge for a very long time.")
    path = align_units(torch.zeros(4, len(SYMBOLS)).log_softmax(-1), units)
    assert len(path) == 4 and path[-1] <= 3 * MAX_ADVANCE


def test_segments_partition_all_frames() -> None:
    units = units_for("The train was late. We waited near the bridge. Yes.")
    frames = 3 * len(units)
    pointer = torch.arange(frames) // 3
    segments = tiny_segments(units, pointer, speaker=1)
    assert [segment.continues for segment in segments] == [False, True, True]
    assert torch.equal(torch.cat([s.frames.values[:, 0] for s in segments]), torch.arange(frames))
    for segment in segments:
        assert segment.pointer[0] == 0
        assert segment.pointer.max() == len(segment.units) - 1
    assert sum(end - start for start, end in sentence_spans(units)) == len(units) - 1


def test_stress_and_word_starts_belong_to_phones() -> None:
    units = units_for("Hello there")
    assert len(units.symbols) == len(units.stress) == len(units.starts)
    assert SYMBOLS[units.symbols[-1]] == "."
    assert [word for word, _, _ in units.words] == ["Hello", "there"]
    for _, first, _ in units.words:
        assert units.starts[first] == 1
    assert 1 in units.stress


def test_neighbours_are_padded_at_the_ends() -> None:
    around = neighbours(torch.tensor([5, 6, 7]), torch.tensor([0, 1, 2, 2]))
    assert around.tolist() == [[0, 5, 6], [5, 6, 7], [6, 7, 0], [6, 7, 0]]
