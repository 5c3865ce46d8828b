"""One speaker per channel: detection, removal of cross-talk, and builds from channels."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from data.audio import SAMPLE_RATE
from data.audio.preparation import Correction
from data.ncssd.channels import Dominance, write_channels
from data.ncssd.engine import Serial
from data.ncssd.pipeline import Built, build
from data.ncssd.sources import find_media, read_sources
from data.ncssd.truth.sound import music
from tests.data.ncssd import made
from tests.data.ncssd.conftest import QUICK


def two_tracks(turns: int = 8, overlap_s: float = 0.3) -> np.ndarray:
    """A two-person conversation with overlaps, one track per speaker, `[2, T]`."""
    at, placed = round(0.5 * SAMPLE_RATE), []
    for index in range(turns):
        sound = made.line(index % 2, index)
        placed.append((index % 2, at, sound))
        at += len(sound) - round(overlap_s * SAMPLE_RATE)
    tracks = np.zeros((2, at + SAMPLE_RATE), np.float32)
    for speaker, first, sound in placed:
        tracks[speaker, first : first + len(sound)] += sound
    return tracks


def hiss(tracks: np.ndarray, level: float) -> np.ndarray:
    noise = np.random.default_rng(5).standard_normal(tracks.shape).astype(np.float32)
    return tracks + level * noise


def leaked(tracks: np.ndarray, db: float, delay_ms: float = 0.0) -> np.ndarray:
    """Adds an attenuated, delayed copy of each track to the other."""
    shift = round(delay_ms / 1000 * SAMPLE_RATE)
    later = np.pad(tracks, ((0, 0), (shift, 0)))[:, : tracks.shape[1]]
    return tracks + 10 ** (db / 20) * later[::-1]


SCALES = np.array([[1.0], [0.1]], np.float32)
APART = {
    "a studio each": lambda t: hiss(t, 1e-4),
    "a telephone's cross-talk": lambda t: leaked(hiss(t, 2e-4), -35.0),
    "strong cross-talk": lambda t: leaked(hiss(t, 1e-4), -20.0),
    "late cross-talk": lambda t: leaked(hiss(t, 1e-4), -25.0, 12.0),
    "one is soft": lambda t: hiss(t * SCALES, 1e-4),
    "a noisy line": lambda t: hiss(t, 3e-3),
    "an offset": lambda t: hiss(t, 1e-4) + 0.05,
    "no hiss at all": lambda t: t,
}
TOGETHER = {
    "one microphone": lambda t: np.stack([t.sum(0), t.sum(0)]),
    "a second, farther microphone": lambda t: np.stack(
        [t.sum(0), 0.3 * np.pad(t.sum(0), (90, 0))[:-90]]
    ),
    "panned a little": lambda t: np.stack([t[0] + 0.6 * t[1], t[1] + 0.6 * t[0]]),
    "one channel is silent": lambda t: np.stack([t.sum(0), 0 * t[0]]),
    "one channel is hiss": lambda t: np.stack([t.sum(0), hiss(0 * t, 1e-3)[0]]),
    "one channel is the other's negative": lambda t: np.stack([t.sum(0), -t.sum(0)]),
    "music in both": lambda t: np.stack([0.1 * t[0], 0.1 * t[1]]) + quiet_music(t.shape[1]),
}


def quiet_music(length: int) -> np.ndarray:
    return 0.1 * music(length, np.random.default_rng(3))


def found(tracks: np.ndarray, rate: int = SAMPLE_RATE) -> bool:
    dominance = Dominance(rate)
    for first in range(0, tracks.shape[1], 10_007):
        dominance.push(tracks[:, first : first + 10_007])
    return dominance.one_speaker_per_channel


@pytest.mark.parametrize("kind", APART)
def test_one_speaker_per_channel_is_detected(kind):
    assert found(APART[kind](two_tracks()))


@pytest.mark.parametrize("kind", TOGETHER)
def test_other_stereo_is_not_taken_for_one_speaker_per_channel(kind):
    assert not found(TOGETHER[kind](two_tracks()))


def test_an_empty_recording_has_no_speakers_per_channel():
    assert not Dominance(8_000).one_speaker_per_channel
    assert not found(np.zeros((2, 100), np.float32))


@pytest.mark.parametrize(
    ("db", "delay_ms", "rate"),
    [(-20.0, 0.0, 24_000), (-14.0, 5.0, 24_000), (-26.0, 20.0, 48_000), (-30.0, 1.0, 8_000)],
)
def test_cross_talk_is_taken_out(tmp_path, db, delay_ms, rate):
    """In single speech the other channel falls by 15 dB or more; the speaker's is unchanged."""
    tracks = hiss(two_tracks(overlap_s=-0.3), 1e-4)
    source = made.write(tmp_path / "call.wav", leaked(tracks, db, delay_ms), rate)
    facts = write_channels(source, Correction(), tmp_path / "clean.wav")
    assert facts["cross_talk_db"] == pytest.approx([db, db], abs=1.0)
    clean = soundfile.read(tmp_path / "clean.wav")[0].T
    assert soundfile.info(tmp_path / "clean.wav").subtype == "PCM_24"
    alone = slice(round(0.6 * SAMPLE_RATE), round(2.5 * SAMPLE_RATE))  # the first speaks
    own, other = (10 * np.log10(np.square(one[alone]).mean() + 1e-12) for one in clean)
    assert other - own < db - 10.0
    length = min(clean.shape[1], tracks.shape[1])
    assert np.corrcoef(clean[0, :length], tracks[0, :length])[0, 1] > 0.97
    assert list(tmp_path.glob(".part*")) == []


def test_cross_talk_is_estimated_despite_interruptions(tmp_path):
    """Blocks in which the other starts to speak once biased the estimate: nothing was found."""
    tracks = hiss(two_tracks(turns=12, overlap_s=0.7), 1e-4)
    source = made.write(tmp_path / "call.wav", leaked(tracks, -38.0), 24_000)
    facts = write_channels(source, Correction(), tmp_path / "clean.wav")
    assert facts["cross_talk_db"] == pytest.approx([-38.0, -38.0], abs=1.0)


def test_channels_without_cross_talk_stay_as_they_are(tmp_path):
    tracks = hiss(two_tracks(), 1e-3)
    source = made.write(tmp_path / "call.wav", tracks, 24_000)
    assert write_channels(source, Correction(), tmp_path / "c.wav")["cross_talk_db"] == [None, None]
    clean = soundfile.read(tmp_path / "c.wav")[0].T
    for one, other in zip(clean, tracks, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.9999
    loud = np.quantile(np.abs(clean), 0.95, axis=1)
    assert loud[0] == pytest.approx(loud[1], rel=0.15), "both are brought to one level"


def built(folder: Path, out: Path, mode: str) -> Built:
    config = QUICK.replace("decode", channels=mode)
    return build(read_sources(find_media([folder]), {}, False), out, config, Serial())


def test_a_call_is_built_from_its_channels(tmp_path):
    """Every turn is found, including overlaps, with audio from its own channel alone."""
    tracks = hiss(two_tracks(), 3e-4)
    (tmp_path / "in").mkdir()
    made.write(tmp_path / "in" / "call.ogg", leaked(tracks, -25.0)[::-1], 24_000)
    rows = built(tmp_path / "in", tmp_path / "out", "auto").accepted
    assert len(rows) == 1 and rows[0]["speaker_channels"] and rows[0]["two_people"] == 1.0
    turns = rows[0]["turns"]
    assert [turn["speaker"] for turn in turns] == [0, 1] * 4
    assert [turn["channel"] for turn in turns] == [1, 0] * 4
    assert all(turn["overlap"] > 0.1 for turn in turns)
    for index, turn in enumerate(turns):
        path = next((tmp_path / "out" / "ncssd" / rows[0]["id"]).glob(f"{index}_*.wav"))
        sound = soundfile.read(path)[0]
        first = round((turn["start"] - 0.06) * SAMPLE_RATE)
        part = slice(max(0, first), max(0, first) + len(sound))
        length = min(len(sound), tracks[0, part].shape[0])
        likeness = [np.corrcoef(sound[:length], t[part][:length])[0, 1] for t in tracks]
        assert likeness[turn["speaker"]] > 0.8 > 0.3 > abs(likeness[1 - turn["speaker"]])


def test_detection_of_channels_can_be_disabled(tmp_path):
    (tmp_path / "in").mkdir()
    made.write(tmp_path / "in" / "call.wav", hiss(two_tracks(), 3e-4), 24_000)
    rows = built(tmp_path / "in", tmp_path / "out", "mix").accepted
    assert all("speaker_channels" not in row for row in rows)
