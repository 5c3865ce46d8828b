"""Levels and bit depth of the output, and the details of rejections."""

import numpy as np
import pytest
import soundfile

from app.cli.build import main
from data.audio import SAMPLE_RATE, read_audio
from data.audio.snr import frame_power
from data.ncssd.config import BuildConfig
from data.ncssd.engine import Serial
from data.ncssd.pipeline import Built, build
from data.ncssd.sources import find_media, read_sources
from data.ncssd.store import read_rows
from tests.data.ncssd import made
from tests.data.ncssd.conftest import QUICK


def built(path, out, config: BuildConfig = QUICK) -> Built:
    return build(read_sources(find_media([path]), {}, False), out, config, Serial())


def speech_dbfs(paths) -> float:
    power = np.concatenate([frame_power(read_audio(path), SAMPLE_RATE) for path in paths])
    return 10 * float(np.log10(power[power > power.max() / 1000].mean()))


@pytest.mark.parametrize(
    ("gain", "asked", "expected"),
    [(0.2, -23.0, -23.0), (1.0, -23.0, -23.0), (1.5, -30.0, -30.0), (0.5, 0.0, -29.1)],
)
def test_speech_is_written_at_one_level(tmp_path, gain, asked, expected):
    sound = made.conversation(6)
    soundfile.write(tmp_path / "a.flac", gain * sound, SAMPLE_RATE, "PCM_24")
    config = QUICK.replace("export", level_dbfs=asked)
    (row,) = built(tmp_path / "a.flac", tmp_path / "out", config).accepted
    paths = sorted((tmp_path / "out" / "ncssd" / row["id"]).glob("*.wav"))
    assert speech_dbfs(paths) == pytest.approx(expected, abs=0.8)
    assert max(float(np.abs(read_audio(path)).max()) for path in paths) <= 0.96


@pytest.mark.parametrize(
    ("suffix", "subtype", "written"),
    [
        ("wav", "PCM_16", "PCM_16"),
        ("wav", "PCM_24", "PCM_24"),
        ("wav", "PCM_32", "PCM_24"),
        ("wav", "FLOAT", "PCM_24"),
        ("flac", "PCM_16", "PCM_16"),
        ("flac", "PCM_24", "PCM_24"),
        ("ogg", "VORBIS", "PCM_16"),
    ],
)
def test_bit_depth_is_preserved(tmp_path, suffix, subtype, written):
    """24-bit recordings were once truncated to 16 bits, and soft ones to fewer."""
    sound = made.conversation(4)
    soundfile.write(tmp_path / f"a.{suffix}", sound, SAMPLE_RATE, subtype)
    (row,) = built(tmp_path / f"a.{suffix}", tmp_path / "out").accepted
    for path in (tmp_path / "out" / "ncssd" / row["id"]).glob("*.wav"):
        assert soundfile.info(path).subtype == written


@pytest.mark.parametrize(
    ("arguments", "reason", "why"),
    [
        (["--min-snr", "59"], "low SNR", "at least 59 is needed (--min-snr)"),
        (["--min-turns", "40"], "too few turns", "40 are needed, 2 of each speaker"),
        (["--min-two-people", "1.1"], "perhaps one speaker", "at least 1.1"),
        (["--min-bandwidth", "11999"], "turns fail: bandwidth", "turns fail by their bandwidth"),
        (["--min-dnsmos", "4.9"], "low DNSMOS", "at least 4.9 is needed (--min-dnsmos)"),
    ],
)
def test_thresholds_are_flags_and_rejections_state_the_margin(tmp_path, arguments, reason, why):
    made.write(tmp_path / "a.wav", made.conversation(6), 16_000)
    out = tmp_path / "out"
    command = [str(tmp_path / "a.wav"), "--out", str(out), "--workers", "1", "--quiet"]
    assert main([*command, "--recogniser", "none", *arguments]) == 0
    (row,) = read_rows(out / "dropped.jsonl")
    assert row["dropped"] == reason and why in row["why"]
