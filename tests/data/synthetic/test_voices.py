"""Voices and manners: number, distinctness, and the rule of answers."""

import random
from collections import Counter

from data.synthetic import ANSWER_TO, MANNERS, VOICES
from data.synthetic.manner import manners_of_dialogue, performed
from data.synthetic.voices import draw_pair


def test_there_are_two_hundred_voices_of_three_synthesizers() -> None:
    assert len(VOICES) >= 200
    assert {voice.synthesizer for voice in VOICES.values()} == {"flite", "festival", "espeak-ng"}
    acts = {(v.base, v.formant, v.pitch, v.colour) for v in VOICES.values()}
    assert len(acts) == len(VOICES), "no two voices are the same under two names"


def test_twenty_are_held_out_and_none_of_them_named() -> None:
    held_out = {id for id, voice in VOICES.items() if voice.held_out}
    assert len(held_out) == 20
    assert not any(VOICES[id].named for id in held_out)
    assert {"flite-kal16", "flite-awb", "flite-rms", "flite-slt"} <= VOICES.keys()
    rng = random.Random(0)
    train = {v.id for _ in range(4_000) for v in draw_pair(rng, "train")}
    test = {v.id for _ in range(400) for v in draw_pair(rng, "test")}
    assert not train & held_out
    assert held_out <= test


def test_named_voices_have_forty_percent() -> None:
    rng = random.Random(1)
    drawn = Counter(v.named for _ in range(2_000) for v in draw_pair(rng, "train"))
    assert 0.36 < drawn[True] / 4_000 < 0.44


def test_two_speakers_are_two_voices() -> None:
    rng = random.Random(2)
    for split in ("train", "test"):
        assert all(a.id != b.id for a, b in (draw_pair(rng, split) for _ in range(500)))


def test_the_answer_follows_the_rule() -> None:
    rng = random.Random(3)
    heard = Counter()
    for _ in range(400):
        manners = manners_of_dialogue(rng, rng.randint(2, 8))
        for user, agent in zip(manners[::2], manners[1::2], strict=False):
            assert agent == ANSWER_TO[user]
            heard[user] += 1
    assert heard.keys() == MANNERS.keys() == ANSWER_TO.keys()
    assert ANSWER_TO["angry"] == "calm" and ANSWER_TO["sad"] == "sad"
    assert min(heard.values()) > 100


def test_manners_stay_apart_in_every_performance() -> None:
    rng = random.Random(4)
    for _ in range(300):
        excited, sad = performed("excited", rng), performed("sad", rng)
        assert excited.pitch > 1.1 > 0.95 > sad.pitch
        assert excited.rate > 1.0 > 0.95 > sad.rate
        assert excited.level_db > sad.level_db + 2
