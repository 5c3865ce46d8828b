"""Recordings with known truth, and the scorer: perfect is perfect, and every fault shows."""

import copy
import json
import random
from pathlib import Path

import numpy as np
import pytest

from data.errors import InputError
from data.ncssd.config import BuildConfig, RecogniseConfig
from data.ncssd.truth import report
from data.ncssd.truth.clips import Clip, join
from data.ncssd.truth.maker import recording_facts
from data.ncssd.truth.score import Recording, _matches, score
from data.ncssd.truth.sound import add_background
from data.ncssd.truth.timeline import make_timeline, person

pytest.importorskip("pyannote.metrics")


def clips() -> dict[str, list[Clip]]:
    """Five voices whose utterances are known by their lengths alone."""
    rng = random.Random(1)
    out = {}
    for voice in ("a", "b", "c", "d", "e"):
        own = []
        for index in range(12):
            spans = ((0.1, 0.1 + rng.choice([0.5, 2.0, 3.5, 6.0])),)
            own.append(Clip(voice, f"word {index}", None, spans, spans))
        out[voice] = own
    return out


def recording() -> Recording:
    """A build that found exactly what is true."""
    truth = json.loads(json.dumps(make_timeline(clips(), 240.0, random.Random(3)).truth()))
    dialogues = []
    for number, span in enumerate(truth["dialogues"]):
        turns = [t for t in truth["turns"] if t["dialogue"] == number]
        order = list(dict.fromkeys(t["speaker"] for t in turns))
        others = truth["turns"]
        entries = [
            {
                "start": t["start"],
                "end": t["end"],
                "speaker": order.index(t["speaker"]),
                "overlap": sum(
                    max(0.0, min(t["end"], o["end"]) - max(t["start"], o["start"]))
                    for o in others
                    if o["speaker"] != t["speaker"]
                ),
            }
            for t in turns
        ]
        scene = [0.0, truth["duration"]]
        dialogues.append(
            {"start": span["start"], "end": span["end"], "turns": entries, "scene": scene}
        )
    scenes = [{"start": 0.0, "end": truth["duration"], "segments": truth["segments"]}]
    return Recording(truth, None, scenes, dialogues)


def test_a_timeline_has_two_voices_a_dialogue_and_keeps_every_turn():
    truth = recording().truth
    for number, span in enumerate(truth["dialogues"]):
        mine = [t for t in truth["turns"] if t["dialogue"] == number]
        assert len({t["speaker"] for t in mine}) == 2 == len(span["speakers"])
        assert min(t["start"] for t in mine) == pytest.approx(span["start"], abs=1e-3)
    assert any(t["backchannel"] for t in truth["turns"])
    assert truth == recording().truth, "a seed repeats"


def test_without_a_silence_nobody_comes_back_in_another_size_or_accent():
    voices = ("flite-slt", "flite-slt+t1.06p1.0", "festival-slt", "flite-rms", "festival-ked")
    voices += ("espeak-en-us+f2", "espeak-en-gb-scotland+f5", "espeak-en-us+m3", "espeak-en-029")
    own = clips()["a"]
    many = {v: [Clip(v, c.text, c.path, c.spans, c.fine) for c in own] for v in voices}
    for seed in range(5):
        line = make_timeline(many, 900.0, random.Random(seed))
        parts: dict[str, set[tuple[int, str]]] = {}
        end = 0.0
        for placed in sorted(line.placed, key=lambda placed: placed.at):
            if placed.at - end > 4.0:
                parts = {}
            end = max(end, placed.end)
            parts.setdefault(person(placed.clip.voice), set()).add((placed.part, placed.clip.voice))
            assert len(parts[person(placed.clip.voice)]) == 1
    assert person("espeak-en-us+f2") == person("espeak-en-gb-scotland+f5")
    assert person("flite-slt+t1.06p1.0") == person("festival-slt") != person("flite-rms")


def test_every_condition_is_heard_in_many_kinds_of_file():
    heard: dict[str, set[tuple[str, int]]] = {}
    for index in range(30):
        kind, facts = recording_facts(index)
        heard.setdefault(facts["condition"], set()).add((kind, facts["channels"]))
    for condition, files in heard.items():
        assert len({kind for kind, _ in files}) >= 3, condition
        assert {channels for _, channels in files} == {1, 2}


def built(out: Path, truth: Path, **recognise: str) -> None:
    """A recording without speech in `truth`, and a build of it in `out`."""
    for folder in (out, truth):
        folder.mkdir()
    (truth / "a.wav").write_bytes(b"sound")
    content = {"file": "a.wav", "duration": 1.0, "condition": "clean", "snr_db": 50.0}
    content |= {"turns": [], "dialogues": [], "segments": []}
    (truth / "a.truth.json").write_text(json.dumps(content))
    settings = BuildConfig().replace("recognise", **recognise).settings("recognise")
    (out / "build.json").write_text(json.dumps({"config": {"recognise": settings}}))


def test_words_are_scored_by_the_recogniser_of_the_build(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(report, "score_words", lambda _, config: asked.append(config))
    truth, out = tmp_path / "truth", tmp_path / "out"
    built(out, truth, recogniser="endpoint", endpoint="http://h/v1", model="large")
    report.score_build(truth, out, with_words=True)
    assert asked == [RecogniseConfig("endpoint", "en", "large", "http://h/v1")]


def test_a_build_without_words_has_none_to_score(tmp_path):
    truth, out = tmp_path / "truth", tmp_path / "out"
    built(out, truth, recogniser="none")
    with pytest.raises(InputError, match="no words to score"):
        report.score_build(truth, out, with_words=True)
    assert report.score_build(truth, out, with_words=False)["all"]["hours"] > 0


def test_a_perfect_build_has_perfect_figures():
    figures = score(recording()).figures()
    for name in ("der", "jer", "wrong_speaker", "der_in_dialogues"):
        assert figures[name] == pytest.approx(0.0, abs=1e-6), name
    for name in ("boundary_f1", "short_turn_recall", "dialogue_recall", "dialogue_precision"):
        assert figures[name] == pytest.approx(1.0), name
    assert figures["overlap_flag_f1"] == pytest.approx(1.0)


def test_swapped_speakers_are_seen_as_wrong():
    found = recording()
    turn = next(t for t in found.dialogues[0]["turns"] if t["overlap"] == 0)
    turn["speaker"] = 1 - turn["speaker"]
    assert score(found).wrong_speaker == 1


def test_moved_boundaries_lost_turns_and_lost_dialogues_are_seen():
    perfect = score(recording())
    moved = recording()
    for turn in moved.dialogues[0]["turns"]:
        turn["end"] += 0.4
    assert score(moved).boundary_hits < perfect.boundary_hits
    lost = recording()
    for dialogue in lost.dialogues:
        dialogue["turns"] = [t for t in dialogue["turns"] if t["end"] - t["start"] >= 1.0]
    assert score(lost).short_hits < perfect.short_hits
    fewer = copy.copy(recording())
    fewer.dialogues.pop()
    assert score(fewer).dialogues_hit == perfect.dialogues_hit - 1


def test_segments_that_are_missing_or_confused_are_errors():
    half = recording()
    half.scenes[0]["segments"] = half.scenes[0]["segments"][::2]
    assert score(half).figures()["der_missed"] > 0.2
    one = recording()
    one.scenes[0]["segments"] = [[a, b, "same"] for a, b, _ in one.scenes[0]["segments"]]
    assert score(one).figures()["der_confusion"] > 0.3


def test_boundaries_pair_one_to_one():
    assert _matches([1.0, 1.1], [1.05], 0.25) == 1
    assert _matches([1.0, 2.0], [1.2, 2.2], 0.25) == 2
    assert _matches([1.0], [1.3], 0.25) == 0


def test_spans_join_over_short_pauses():
    assert join([(0.0, 1.0), (1.2, 2.0), (2.5, 3.0)], 0.3) == [(0.0, 2.0), (2.5, 3.0)]


@pytest.mark.parametrize(("kind", "snr_db"), [("music", 10.0), ("noise", 5.0)])
def test_a_background_lies_as_far_below_the_speech_as_was_asked(kind, snr_db):
    rng = np.random.default_rng(0)
    speech = np.zeros(72_000, bool)
    speech[:48_000] = True
    samples = np.where(speech, 0.05 * rng.standard_normal(72_000), 0.0).astype(np.float32)
    mixed = add_background(samples, speech, kind, snr_db, rng)
    added = mixed - samples
    measured = 10 * np.log10((samples[speech] ** 2).mean() / (added**2).mean())
    assert abs(measured - snr_db) < 0.5
