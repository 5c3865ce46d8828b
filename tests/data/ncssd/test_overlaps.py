"""Overlaps in a build: separated audio, uncertain turns, and scoring."""

import json

import numpy as np
import pytest

from data.audio import SAMPLE_RATE, read_audio, write_audio
from data.ncssd import overlaps
from data.ncssd.config import BuildConfig
from data.ncssd.export import export_ncssd, name_dialogues
from data.ncssd.stage import Context
from data.ncssd.store import Row, Store
from data.ncssd.truth.score import Recording
from data.ncssd.truth.separation import has_foreign_words, score_separation, si_sdr_db, write_voices
from tests.data.ncssd.test_separator import conversation, oracle  # noqa: F401


def dialogue(segments: list[list[float]]) -> Row:
    turns: list[Row] = []
    for start, end, speaker in segments:
        turns.append({"start": round(start, 3), "end": round(end, 3), "speaker": speaker})
        turns[-1] |= {"overlap": 0.0, "backchannel": False}
    for turn in turns[4:]:
        turn |= {"mixed": True, "overlap": 1.5}
    row = {"sha256": "0" * 64, "audio": "a.wav", "start": turns[0]["start"], "source": "a.wav"}
    row |= {"end": turns[-1]["end"], "turns": turns, "segments": segments, "bits": 24}
    return row


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Context, Row, list[np.ndarray]]:
    root = tmp_path_factory.mktemp("store")
    samples, tracks, segments = conversation()
    write_audio(root / "a.wav", samples, bits=24)
    return (
        Context(BuildConfig().replace("overlaps", separate=True), Store(root)),
        dialogue(segments),
        tracks,
    )


@pytest.mark.usefixtures("oracle")
def test_an_overlapped_turn_has_separated_audio(made, tmp_path):
    context, row, tracks = made
    context = Context(context.config.replace("overlaps", min_sdr_db=-60.0), context.store)
    (done,) = overlaps.run(row, context, "key")
    assert "segments" not in done
    assert [("separated" in t, "mixed" in t) for t in done["turns"]] == [
        *[(False, False)] * 4,
        *[(True, False)] * 2,
    ]
    assert all(t["separation_db"] > 0 for t in done["turns"][4:])
    first, last = (
        round(t * SAMPLE_RATE) for t in (row["turns"][5]["start"], row["turns"][4]["end"])
    )
    for turn in done["turns"][4:]:
        own = context.read_turn(done, turn, first / SAMPLE_RATE, last / SAMPLE_RATE)
        true = tracks[turn["speaker"]][first:last]
        both = context.read(row["audio"], first / SAMPLE_RATE, last / SAMPLE_RATE)
        assert own.shape == true.shape
        assert si_sdr_db(own, true) > si_sdr_db(both, true) + 5.0
        around = context.read_turn(done, turn, turn["start"] - 9.0, turn["end"] + 9.0)
        assert around.shape[0] == pytest.approx((turn["end"] - turn["start"] + 0.5) * 24_000, abs=2)
    row = {**name_dialogues([done])[0], "license": None, "snr_db": 30.0}
    export_ncssd([row], context, tmp_path / "ncssd")
    folder = tmp_path / "ncssd" / row["id"]
    entries = json.loads((folder / "metadata.json").read_text())["utterents"]
    assert entries["4"]["separated"] is True and entries["4"]["separation_db"] > 0
    assert "separated" not in entries["0"]

    truth = {"segments": [[a, b, f"voice {who}"] for a, b, who in row_segments(made)]}
    truth["turns"] = [
        {"start": a, "end": b, "speaker": who, "text": ""} for a, b, who in truth["segments"]
    ]
    media = tmp_path / "a.wav"
    media.write_bytes((context.store.root / "a.wav").read_bytes())
    write_voices(media, truth, {f"voice {who}": tracks[who] for who in (0, 1)})
    counts = score_separation(Recording(truth, media, [], [row]), tmp_path / "ncssd").figures()
    assert counts["overlapped_turns"] == 2 and counts["of_them_separated"] == 1.0
    assert counts["si_sdr_gain_db"] > 5.0

    # the scorer itself: what is written where the mixture was is what is measured
    sound = read_audio(folder / f"5_1_d{row['id']}.wav")
    write_audio(folder / f"5_1_d{row['id']}.wav", 0 * sound + 1e-3)
    worse = score_separation(Recording(truth, media, [], [row]), tmp_path / "ncssd").figures()
    assert worse["si_sdr_gain_db"] < counts["si_sdr_gain_db"] - 5.0


def row_segments(made) -> list[list[float]]:
    return made[1]["segments"]


@pytest.mark.usefixtures("oracle")
def test_a_turn_whose_other_speaker_is_faint_keeps_the_recording_without_a_mark(made, tmp_path):
    context, row, _ = made
    context = Context(context.config.replace("overlaps", faint_db=-9.0), context.store)
    (done,) = overlaps.run(row, context, "faint")
    assert not any("separated" in t or "mixed" in t for t in done["turns"])
    assert all(abs(t["separation_db"]) < 3 for t in done["turns"][4:]), "two equally loud voices"
    row = {**name_dialogues([done])[0], "license": None, "snr_db": 30.0}
    export_ncssd([row], context, tmp_path / "ncssd")
    truth = {"segments": [[a, b, f"voice {who}"] for a, b, who in row_segments(made)], "turns": []}
    media = context.store.root / "a.wav"
    counts = score_separation(Recording(truth, media, [], [row]), tmp_path / "ncssd").figures()
    assert counts["overlapped_turns"] == 2 and counts["of_them_faint"] == 1.0


@pytest.mark.usefixtures("oracle")
def test_turns_with_a_low_predicted_sdr_keep_the_mixture_and_its_mark(made):
    context, row, _ = made
    context = Context(context.config.replace("overlaps", min_sdr_db=90.0), context.store)
    (done,) = overlaps.run(row, context, "doubted")
    assert [t.get("mixed", False) for t in done["turns"]] == [*[False] * 4, True, True]
    assert not any("separated" in t for t in done["turns"])
    assert not context.store.path("overlaps", "doubted", ".wav").exists()
    off = Context(context.config.replace("overlaps", separate=False), context.store)
    (plain,) = overlaps.run(row, off, "off")
    assert plain["turns"] == row["turns"]


def test_the_other_speakers_words_are_found_in_a_text():
    truth = {
        "turns": [
            {"start": 0.0, "end": 3.0, "speaker": "a", "text": "I went to the market today."},
            {"start": 2.0, "end": 4.0, "speaker": "b", "text": "Really? You are so lucky."},
            {"start": 9.0, "end": 12.0, "speaker": "b", "text": "Umbrella."},
        ]
    }

    def found(text: str) -> bool:
        return has_foreign_words(truth, {"start": 0.0, "end": 3.0, "text": text}, "a")

    assert not found("I went to the market today")
    assert not found("I went to a market to date")
    assert found("I went to the market really")
    assert found("I went to the market you are")
    assert not found("I went so to the market today"), "one short word may be misheard"
    assert not found("I went to the umbrella"), "not said meanwhile"
    assert not found("")


def test_the_other_speakers_characters_are_found_in_a_chinese_text():
    truth = {
        "turns": [
            {"start": 0.0, "end": 3.0, "speaker": "a", "text": "我今天去了市场。"},
            {"start": 2.0, "end": 4.0, "speaker": "b", "text": "真的吗?你运气真好。"},
        ]
    }

    def found(text: str) -> bool:
        return has_foreign_words(truth, {"start": 0.0, "end": 3.0, "text": text}, "a")

    assert not found("我今天去了市场") and not found("我今天去了市长")
    assert found("我今天去了市场真的吗") and found("我今天你运气去了市场")


def test_overlapped_turns_in_a_channel_of_their_own_are_scored_by_their_texts(
    tmp_path, monkeypatch
):
    """Their audio needs no comparison."""
    monkeypatch.setattr("data.ncssd.truth.separation.utterances_of", lambda row, _: row["turns"])
    media = tmp_path / "a.wav"
    truth = {"segments": [[0.0, 3.0, "a"], [2.0, 4.0, "b"]]}
    texts = {"a": "I went to the market today.", "b": "Really? You are so lucky."}
    truth["turns"] = [
        {"start": start, "end": end, "speaker": who, "text": texts[who]}
        for start, end, who in truth["segments"]
    ]
    turns: list[Row] = [
        {"start": 0.0, "end": 3.0, "speaker": 0, "channel": 0, "overlap": 1.0},
        {"start": 2.0, "end": 4.0, "speaker": 1, "channel": 1, "overlap": 1.0},
        {"start": 4.5, "end": 4.9, "speaker": 0, "channel": 0, "overlap": 0.0},
    ]
    for heard, share in (("You are so lucky.", 0.0), ("today you are so lucky", 0.5)):
        for turn, text in zip(turns, (texts["a"], heard, "Yes."), strict=True):
            turn["text"] = text
        row = {"id": "x", "source": "a.wav", "start": 0.0, "end": 5.0, "turns": turns}
        counts = score_separation(Recording(truth, media, [], [row]), tmp_path).figures()
        assert counts["other_in_text"] == share
        assert counts["overlapped_turns"] == 0
