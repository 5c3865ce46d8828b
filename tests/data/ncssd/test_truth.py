"""Simulated recordings with ground truth, and the scorer."""

import copy
import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.errors import InputError
from data.ncssd.config import BuildConfig, RecogniseConfig
from data.ncssd.truth import report, scenes, words
from data.ncssd.truth.clips import Clip, join
from data.ncssd.truth.conditions import record
from data.ncssd.truth.maker import recording_facts
from data.ncssd.truth.scenes import Scene, VoicePool, monologues, natural_scenes
from data.ncssd.truth.score import Recording, _matches, score
from data.ncssd.truth.sound import add_background
from data.ncssd.truth.timeline import make_pair, make_timeline, person
from data.ncssd.truth.words import plain
from data.recognition.whisper import Transcript


def clips() -> dict[str, list[Clip]]:
    """Five voices whose utterances differ only in length."""
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
    """A build that matches the ground truth exactly."""
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


def test_a_timeline_has_two_voices_per_dialogue_and_keeps_every_turn():
    truth = recording().truth
    for number, span in enumerate(truth["dialogues"]):
        mine = [t for t in truth["turns"] if t["dialogue"] == number]
        assert len({t["speaker"] for t in mine}) == 2 == len(span["speakers"])
        assert min(t["start"] for t in mine) == pytest.approx(span["start"], abs=1e-3)
    assert any(t["backchannel"] for t in truth["turns"])
    assert truth == recording().truth, "a seed repeats"


def test_a_person_does_not_return_in_another_voice_without_a_silence():
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


def test_every_condition_occurs_in_many_file_types():
    heard: dict[str, set[tuple[str, int]]] = {}
    for index in range(30):
        kind, facts = recording_facts(index)
        heard.setdefault(facts["condition"], set()).add((kind, facts["channels"]))
    for condition, files in heard.items():
        assert len({kind for kind, _ in files}) >= 3, condition
        assert {channels for _, channels in files} == {1, 2}


def built(out: Path, truth: Path, **recognise: str) -> None:
    """A silent recording with its truth in `truth`, and a build of it in `out`."""
    for folder in (out, truth):
        folder.mkdir()
    (truth / "a.wav").write_bytes(b"sound")
    content = {"file": "a.wav", "duration": 1.0, "condition": "clean", "snr_db": 50.0}
    content |= {"turns": [], "dialogues": [], "segments": []}
    (truth / "a.truth.json").write_text(json.dumps(content))
    settings = BuildConfig().replace("recognise", **recognise).settings("recognise")
    (out / "build.json").write_text(json.dumps({"config": {"recognise": settings}}))


def test_words_are_scored_with_the_builds_recogniser(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(report, "score_words", lambda _, config: asked.append(config))
    truth, out = tmp_path / "truth", tmp_path / "out"
    settings = {"endpoint": "http://h/v1", "model": "large", "language": "en"}
    built(out, truth, recogniser="endpoint", **settings)
    report.score_build(truth, out, with_words=True)
    assert asked == [RecogniseConfig("endpoint", **settings)]


def test_true_turns_are_recognised_together_in_their_language(tmp_path, monkeypatch):
    """Whisper knows no regions; each turn is padded by 0.15 s."""
    asked = []

    def recogniser(turns, language):
        asked.append(([len(samples) for samples in turns], language))
        return [Transcript("我不知", "zh", 0.9), Transcript("好。", "zh", 0.9)]

    monkeypatch.setattr(words, "read_audio", lambda path, rate: np.zeros(4 * rate, np.float32))
    monkeypatch.setattr(words.recognise, "load", lambda config: recogniser)
    turns = [{"speaker": "a", "start": 0.05, "end": 1.0, "text": "我不知道。"}]
    turns.append({"speaker": "b", "start": 2.0, "end": 3.0, "text": "好"})
    counts = words.WordCounts()
    recording = Recording({}, tmp_path / "a.wav", [], [])
    words._recognise(counts, turns, recording, RecogniseConfig(), "zh-CN")
    assert asked == [([18_400, 20_800], "zh")]
    assert (counts.true_errors, counts.true_words) == (1, 5)


def test_chinese_characters_are_scored_as_words():
    assert plain("你好,World! 3个。") == "你 好 world 3 个"


def test_a_build_without_words_has_no_word_scores(tmp_path):
    truth, out = tmp_path / "truth", tmp_path / "out"
    built(out, truth, recogniser="none")
    with pytest.raises(InputError, match="no words to score"):
        report.score_build(truth, out, with_words=True)
    assert report.score_build(truth, out, with_words=False)["all"]["hours"] > 0


def test_a_perfect_build_has_perfect_scores():
    figures = score(recording()).figures()
    for name in ("der", "jer", "wrong_speaker", "der_in_dialogues"):
        assert figures[name] == pytest.approx(0.0, abs=1e-6), name
    for name in ("boundary_f1", "short_turn_recall", "dialogue_recall", "dialogue_precision"):
        assert figures[name] == pytest.approx(1.0), name
    assert figures["overlap_flag_f1"] == pytest.approx(1.0)


def test_swapped_speakers_are_errors():
    found = recording()
    turn = next(t for t in found.dialogues[0]["turns"] if t["overlap"] == 0)
    turn["speaker"] = 1 - turn["speaker"]
    assert score(found).wrong_speaker == 1


def test_shifted_boundaries_and_lost_turns_and_dialogues_are_errors():
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


def test_missing_and_confused_segments_are_errors():
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
def test_a_background_has_the_requested_snr(kind, snr_db):
    rng = np.random.default_rng(0)
    speech = np.zeros(72_000, bool)
    speech[:48_000] = True
    samples = np.where(speech, 0.05 * rng.standard_normal(72_000), 0.0).astype(np.float32)
    mixed = add_background(samples, speech, kind, snr_db, rng)
    added = mixed - samples
    measured = 10 * np.log10((samples[speech] ** 2).mean() / (added**2).mean())
    assert abs(measured - snr_db) < 0.5


@pytest.fixture
def pool(monkeypatch) -> VoicePool:
    """Three men and three women who differ only in pitch and position."""
    voices = {}
    for index, name in enumerate(("m-a", "m-b", "m-c", "f-d", "f-e", "f-f")):
        hz = 110.0 if name[0] == "m" else 220.0
        own = clips()["a"]
        voices[name] = [replace(clip, voice=name, f0_hz=hz + index) for clip in own]
    places = iter(np.eye(6) + 0.3)
    monkeypatch.setattr(scenes, "_centre", lambda _: next(places))
    return VoicePool(voices)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("pair", "sexes"), [("mixed", 2), ("same-sex", 1), ("similar", 1)])
def test_a_scene_has_the_requested_pair(pool, pair, sexes, seed):
    truth = pool.timeline(Scene(pair, "clean", 50.0, 2.0), random.Random(seed)).truth()
    names = {turn["speaker"] for turn in truth["turns"]}
    assert len(names) == 2 and len({name[0] for name in names}) == sexes
    assert len(truth["dialogues"]) == 1 and truth["duration"] > 110


def test_a_monologue_is_no_dialogue(pool):
    truth = pool.timeline(Scene("monologue", "clean", 50.0, 2.0), random.Random(1)).truth()
    assert not truth["dialogues"] and len({t["speaker"] for t in truth["turns"]}) == 1
    found = Recording(truth, None, [{"start": 0.0, "end": 120.0, "segments": []}], [])
    assert (score(found).monologues, score(found).monologue_dialogues) == (1, 0)


@pytest.mark.parametrize("make", [natural_scenes, monologues])
def test_every_condition_occurs(make):
    made = list(itertools.islice(make(3.0), 60))
    assert {"clean", "room", "telephone", "noise", "music"} <= {one.condition for one in made}
    pairs = {one.pair for one in made if one.condition == "clean"}
    assert pairs >= ({"monologue"} if make is monologues else {"mixed", "same-sex", "similar"})


@pytest.mark.parametrize("condition", ["clean", "room", "telephone", "noise", "channels"])
def test_a_recorded_scene_is_as_long_as_its_truth(condition, monkeypatch):
    rng = np.random.default_rng(3)
    sound = 0.1 * rng.standard_normal(24_000 * 6).astype(np.float32)
    monkeypatch.setattr(Clip, "load", lambda self: sound[: round(self.speech_s * 24_000)])
    line = make_pair([clips()["a"], clips()["b"]], 20.0, random.Random(2))
    samples = record(line, condition, 20.0, rng)
    assert samples.shape[-1] == round(line.duration * 24_000)
    if condition == "channels":
        left, right = (line.placed[0].clip.voice == p.clip.voice for p in line.placed[:2])
        assert left != right
        first = line.placed[0]
        part = samples[:, round(first.at * 24_000) : round((first.at + 0.3) * 24_000)]
        assert 15 < 10 * np.log10((part[0] ** 2).mean() / (part[1] ** 2).mean()) < 40
    if condition == "telephone":
        power = np.abs(np.fft.rfft(samples)) ** 2
        hz = np.fft.rfftfreq(samples.shape[0], 1 / 24_000)
        assert power[hz > 4200].sum() < 1e-4 * power.sum()
