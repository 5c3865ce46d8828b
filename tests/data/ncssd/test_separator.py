"""The separation network: spectrograms, masks, training, and use of the masks."""

import numpy as np
import pytest
import torch

from data.errors import InputError
from data.ncssd import separator_training
from data.ncssd.overlap_separation import SeparatedDialogue, _weights, _windows
from data.ncssd.separator import (
    FINE,
    UNITS,
    Separator,
    SeparatorConfig,
    combs,
    frames_of,
    inverse,
    load_separator,
    transform,
    unit_of,
)
from data.ncssd.separator_training import (
    WINDOW,
    Examples,
    _mixed,
    _partner,
    blurred,
    loss_of,
    make_examples,
    train,
)
from data.ncssd.training_plan import TrainingPlan
from data.ncssd.truth.clips import read_corpora
from data.ncssd.truth.separation import si_sdr_db
from tests.data.ncssd import made
from tests.data.ncssd.test_segmentation import write_corpus

TINY = SeparatorConfig(combs=8, dim=16, memory=8, num_layers=1)


@pytest.mark.parametrize("rate", [16_000, 24_000])
@pytest.mark.parametrize("length", [4_000, 24_001])
def test_the_inverse_reconstructs_the_samples(rate, length):
    samples = torch.randn(2, length, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(inverse(transform(samples, rate), rate, length), samples, atol=1e-5)


def test_features_agree_at_the_sample_rates_of_training_and_use():
    """It is trained at 16 kHz and used at 24 kHz."""
    frames = []
    for rate in (16_000, 24_000):
        time = torch.arange(rate) / rate
        tone = sum(torch.sin(2 * torch.pi * 210 * k * time) / k for k in range(1, 9))
        frames.append(frames_of(transform(torch.as_tensor(tone), rate))[10:50])
    assert (frames[0] - frames[1]).abs().mean() < 0.02


def test_masks_sum_to_at_most_one_and_cover_every_bin():
    torch.manual_seed(0)
    model = Separator(TINY)
    masks = model(torch.randn(2, 10, TINY.num_inputs), torch.ones(2, 10, 2), torch.rand(2, 2, 16))
    assert masks.shape == (2, 10, 2, UNITS)
    assert (masks > 0).all() and (masks.sum(dim=2) < 1).all()
    units = unit_of(769)
    assert units.shape == (769,) and units.max() == UNITS - 1 == units[-1]
    assert torch.equal(units[:FINE], torch.arange(FINE))
    assert (units.diff() >= 0).all()


def test_a_comb_peaks_at_the_harmonics_of_its_pitch():
    template = combs(128)[48]  # an octave above the lowest: 130 Hz
    bins = np.arange(FINE) * 15.625
    assert template[round(130 / 15.625)] > 0 > template[round(195 / 15.625)]
    assert np.allclose(np.linalg.norm(combs(128), axis=1), 1.0, atol=1e-5)
    assert abs(template[bins < 65]).max() < 1e-6


def test_the_loss_is_lowest_for_correct_masks():
    torch.manual_seed(0)
    which = torch.rand(1, 6, 2, UNITS).round()
    which[:, :, 1] = 1 - which[:, :, 0]
    mixture = torch.randn(1, 6, 513, dtype=torch.complex64)
    sources = which[..., unit_of(513)] * mixture[:, :, None]
    both = torch.ones(1, 6, dtype=torch.bool)
    right, half, wrong = (
        float(loss_of(m, mixture, sources, both)) for m in (which, 0 * which + 0.5, 1 - which)
    )
    assert right < -30 < half < wrong


def test_simulated_diarisation_shifts_boundaries_slightly():
    rng = np.random.default_rng(0)
    activity = np.zeros((160, 2), bool)
    activity[:100, 0] = activity[60:, 1] = True
    seen = [blurred(activity, rng) for _ in range(200)]
    known = [one for one in seen if not one.all()]
    assert 160 < len(known) < 200
    assert all(one[0, 0] and one[-1, 1] for one in known), "what reaches the edge goes on beyond it"
    ends = [int(one[:, 0].sum()) for one in known]
    assert abs(np.mean(ends) - 100) < 2 and 3 < np.std(ends) < 9


def test_training_resumes_and_its_weights_load(tmp_path, monkeypatch):
    write_corpus(tmp_path / "corpus")
    monkeypatch.setattr(separator_training, "_LINE_S", 30.0)
    monkeypatch.setattr(separator_training, "SeparatorConfig", lambda: TINY)
    weights, stopped = tmp_path / "w" / "whole.safetensors", tmp_path / "w" / "halves.safetensors"
    plan = TrainingPlan(minutes_of_sound=0.5, steps=4, rounds=2, batch=2, seed=3)
    train([tmp_path / "corpus"], plan, weights)
    real, calls = separator_training.batch_loss, iter([False, False, False, True])

    def interrupted(*batch):
        if next(calls):
            raise KeyboardInterrupt
        return real(*batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(separator_training, "batch_loss", interrupted)
        train([tmp_path / "corpus"], plan, stopped)
    with pytest.raises(InputError, match="other settings"):
        train([tmp_path / "corpus"] * 2, plan, stopped)
    train([tmp_path / "corpus"], plan, stopped)
    assert stopped.read_bytes() == weights.read_bytes()
    assert load_separator(weights).config == TINY
    clips = read_corpora([tmp_path / "corpus"])
    one, again, other = (make_examples(clips, plan, turn) for turn in (0, 0, 1))
    assert np.array_equal(one.sources, again.sources), "a seed repeats"
    assert not np.array_equal(one.sources[:1], other.sources[:1])
    overlapped = one.activity.all(axis=2).sum(axis=1)
    assert (overlapped >= 12).all()
    assert np.isfinite(one.sources).all() and np.abs(one.sources[:, :2]).max() > 0.05


def test_voices_of_different_recordings_are_mixed_into_overlaps_of_two_people():
    """Four examples: the second voice of the third is the first one's first, and never meets it."""
    rng = np.random.default_rng(0)
    length = WINDOW * 256
    examples = Examples(
        sources=np.ones((4, 3, length)) * np.arange(1, 5)[:, None, None],
        alone=np.ones((4, 2, 512)) * np.arange(1, 5)[:, None, None],
        activity=np.ones((4, WINDOW, 2), bool),
        people=np.array([["a", "b"], ["c", "d"], ["e", "a"], ["f", "g"]]),
        conditions=np.array(["clean", "clean", "clean", "room"]),
    )
    examples.activity[1, :, 1] = False
    examples.activity[1, :12, 1] = True
    pairs = set()
    for _ in range(60):
        pick = rng.integers(0, 4, 8)
        sources, alone, activity = _mixed(examples, pick, rng)
        gain = sources[:, 0, 0] / (pick + 1)
        assert np.abs(20 * np.log10(gain)).max() <= 3.01
        assert np.allclose(alone[:, 1, 0], sources[:, 1, 0]), "the same voice, at the same level"
        assert (activity.all(axis=2).sum(axis=1) >= 12).all()
        short = activity[:, :, 1].sum(axis=1) == 12
        pairs |= {(int(first), bool(few)) for first, few in zip(pick, short, strict=True)}
    assert {(0, True), (0, False), (1, True), (1, False)} <= pairs, "second voices are exchanged"
    assert (3, True) not in pairs, "not between conditions"
    for _ in range(200):
        assert _partner(examples, 0, rng) in (0, 1, None), "nobody overlaps themself"


def conversation() -> tuple[np.ndarray, list[np.ndarray], list[list[float]]]:
    """A man and a woman by espeak-ng; the last two turns overlap by 1.5 s."""
    rate, now = 24_000, 1.0
    tracks = [np.zeros(rate * 40, np.float32) for _ in range(2)]
    segments = []
    for index in range(6):
        sound = made.line((1, 2)[index % 2], index)
        first = round(now * rate)
        tracks[index % 2][first : first + sound.shape[0]] += sound
        segments.append([now, now + sound.shape[0] / rate, index % 2])
        now = segments[-1][1] + (-1.5 if index == 4 else 0.4)
    return tracks[0] + tracks[1] + made.silence(40.0), tracks, segments


class Oracle:
    """In place of the network: computes masks from the true tracks."""

    def __init__(self, tracks: list[np.ndarray], segments: list[list[float]]) -> None:
        num = tracks[0].shape[0] // 384 + 1
        active = np.zeros((num, 2), bool)
        for start, end, speaker in segments:
            active[round(start / 0.016) : round(end / 0.016), int(speaker)] = True
        ((first, last),) = _windows(active)
        own = [
            transform(torch.from_numpy(track[first * 384 : last * 384]), 24_000).abs().square()
            for track in tracks
        ]
        units = torch.zeros(2, own[0].shape[0], UNITS)
        units.index_add_(2, unit_of(769), torch.stack(own))
        self.masks = (units / (units.sum(dim=0) + 1e-9)).transpose(0, 1)[None]

    def profile(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.mean(dim=1)

    def __call__(self, frames: torch.Tensor, activity: torch.Tensor, profiles: torch.Tensor):
        assert profiles.shape[:2] == (1, 2)
        return self.masks[:, : frames.shape[1]]


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    _, tracks, segments = conversation()
    monkeypatch.setattr(
        "data.ncssd.overlap_separation.load_separator", lambda **_: Oracle(tracks, segments)
    )


@pytest.mark.usefixtures("oracle")
def test_overlaps_are_separated_and_the_rest_is_unchanged():
    samples, tracks, segments = conversation()
    separated = SeparatedDialogue(samples, segments)
    first, last = (round(segments[i][j] * 24_000) for i, j in ((5, 0), (4, 1)))
    for speaker in (0, 1):
        found = separated.sound(speaker)
        true = tracks[speaker][first:last]
        gain = si_sdr_db(found[first:last], true) - si_sdr_db(samples[first:last], true)
        assert gain > 8.0
        before, after = separated.sdr_db(speaker, first / 24_000, last / 24_000) or (0.0, 0.0)
        assert after > 3.0 and before == pytest.approx(si_sdr_db(samples[first:last], true), abs=2)
        far = first - 2 * 24_000
        assert np.abs(found[:far] - samples[:far]).max() < 1e-6


def test_the_bundled_network_separates_voices_and_knows_how_well():
    """It was trained on natural voices, not on these."""
    samples, tracks, segments = conversation()
    separated = SeparatedDialogue(samples, segments)
    first, last = (round(segments[i][j] * 24_000) for i, j in ((5, 0), (4, 1)))
    for speaker in (0, 1):
        true = tracks[speaker][first:last]
        sdr_db = si_sdr_db(separated.sound(speaker)[first:last], true)
        assert sdr_db - si_sdr_db(samples[first:last], true) > 7.0
        mixture_db = si_sdr_db(samples[first:last], true)
        expected = separated.sdr_db(speaker, first / 24_000, last / 24_000)
        assert expected == pytest.approx((mixture_db, sdr_db), abs=3.0)


@pytest.mark.usefixtures("oracle")
def test_a_voice_with_little_single_speech_is_not_separated():
    samples, _, segments = conversation()
    overlap = segments[5][0], segments[4][1]
    assert SeparatedDialogue(samples, segments).sdr_db(0, *overlap) is not None
    alone = SeparatedDialogue(samples, [segments[4], [*overlap, 1]])
    assert alone.sdr_db(0, *overlap) is None
    assert np.array_equal(alone.sound(0), samples)


def test_neighbouring_overlaps_are_processed_together_and_none_is_missed():
    active = np.zeros((4_000, 2), bool)
    active[:, 0] = True
    for first in (100, 180, 600, *range(1_000, 3_900, 50)):
        active[first : first + 30, 1] = True
    windows = _windows(active)
    heard = np.zeros(4_000, int)
    for first, last in windows:
        heard[first:last] += 1
    assert heard.max() == 1
    assert heard[active.all(axis=1)].all()
    assert windows[0] == (36, 274)
    assert max(b - a for a, b in windows) <= 1_250 + 60


def test_a_mask_applies_only_near_the_other_speaker():
    heard = np.zeros((200, 2), np.float32)
    heard[:120, 0] = heard[100:, 1] = 1.0
    first, second = _weights(heard)
    assert first[:80].max() < 1e-6 and first[95:180].min() > 0.99
    assert second[140:190].max() < 1e-6 and second[10:125].min() > 0.99
