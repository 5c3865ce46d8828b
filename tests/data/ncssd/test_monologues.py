"""One person never becomes a dialogue, on one channel or two, through the whole build."""

from pathlib import Path

import numpy as np
import pytest

from data.audio import SAMPLE_RATE
from data.audio.voice_embedding import unit
from data.ncssd.channel_speakers import channel_stretches, with_overlaps
from data.ncssd.config import BuildConfig
from data.ncssd.engine import Serial
from data.ncssd.pipeline import Built, build
from data.ncssd.sources import find_media, read_sources
from data.ncssd.speakers import two_people
from data.ncssd.stretches import Stretch
from tests.data.ncssd import made
from tests.data.ncssd.conftest import QUICK


def alternating(utterances: tuple[np.ndarray, ...], pause_s: float = 0.5) -> np.ndarray:
    """Utterances on alternating channels with hiss, `[2, T]`."""
    pause = round(pause_s * SAMPLE_RATE)
    tracks = np.zeros((2, sum(len(u) + pause for u in utterances) + pause), np.float32)
    at = pause
    for index, utterance in enumerate(utterances):
        tracks[index % 2, at : at + len(utterance)] = utterance
        at += len(utterance) + pause
    noise = np.random.default_rng(7).standard_normal(tracks.shape).astype(np.float32)
    return tracks + 3e-4 * noise


def built_from(samples: np.ndarray, tmp_path: Path) -> Built:
    (tmp_path / "in").mkdir()
    made.write(tmp_path / "in" / "reader.wav", samples, 24_000)
    sources = read_sources(find_media([tmp_path / "in"]), {}, False)
    return build(sources, tmp_path / "out", QUICK, Serial())


def test_two_sentences_read_over_and_over_are_no_dialogue(tmp_path):
    result = built_from(alternating(made.reading()).sum(axis=0), tmp_path)
    assert result.accepted == []
    assert {row["dropped"] for row in result.dropped} <= {"one speaker", "perhaps one speaker"}


@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_one_reader_on_alternating_channels_is_no_dialogue(tmp_path, gain):
    """A speaker per channel was once taken for granted: the probability of two people was 1."""
    tracks = alternating(made.reading()) * np.array([[1.0], [gain]], np.float32)
    result = built_from(tracks, tmp_path)
    assert result.accepted == []
    (row,) = result.dropped
    assert row["speaker_channels"] and row["dropped"] == "perhaps one speaker"
    assert row["two_people"] < 0.2


def test_two_people_on_two_channels_are_a_dialogue_even_without_overlaps(tmp_path):
    lines = tuple(made.line(index % 2, index) for index in range(8))
    (row,) = built_from(alternating(lines), tmp_path).accepted
    assert row["speaker_channels"] and row["two_people"] > 0.9


def test_speech_in_both_channels_at_once_is_evidence_of_two_people():
    apart = np.zeros((2, 1000), bool)
    apart[0, :500] = apart[1, 500:] = True
    overlapped = apart.copy()
    overlapped[1, 470:500] = True  # 3 % of the speech
    assert with_overlaps(0.22, apart) == pytest.approx(0.22)
    assert with_overlaps(0.22, overlapped) > 0.9
    assert with_overlaps(0.0001, overlapped) < 0.1, "a little cannot outweigh the same voice"
    assert with_overlaps(0.0, apart) == pytest.approx(0.0, abs=1e-6)
    assert with_overlaps(1.0, overlapped) == 1.0


def test_a_channel_that_only_speaks_over_the_other_has_a_voice_too():
    sound = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    tracks = np.zeros((2, 100), bool)
    tracks[0, 10:90] = tracks[1, 40:60] = True
    found = channel_stretches(tracks, [sound, sound], BuildConfig(), [0, 1])
    assert [(s.label, s.spans) for s in found] == [
        *((0, [(10, 40)]), (0, [(60, 90)])),
        (1, [(40, 60)]),
    ]


def test_a_voice_with_short_stretches_only_is_compared_too():
    rng = np.random.default_rng(1)
    one, other = unit(rng.standard_normal((2, 256)))
    some = [Stretch([(200 * i, 200 * i + 150)], one, 0) for i in range(6)]
    some += [Stretch([(200 * i + 160, 200 * i + 190)], other, 1) for i in range(6)]
    ((a, b, chance),) = two_people(some)
    assert (a, b) == (0, 1) and chance > 0.5
