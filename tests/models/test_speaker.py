"""The speaker with tiny random models: properties that do not depend on the weights."""

import dataclasses
import gc
import random
import threading
import time
import weakref

import numpy as np
import pytest
import torch

from data.errors import InputError
from models.mel import FRAME_SAMPLES
from models.predictors.steps import FrameStep, SampledFrame
from models.speaker import Speaker, SpeakOptions
from models.text import normalise
from models.text.cutting import text_up_to
from tests.tiny import tiny_speaker

TEXT = "The train was late. We waited near the old bridge."
OPTIONS = SpeakOptions(seed=3)


def noise(seconds: float) -> np.ndarray:
    generator = np.random.default_rng(0)
    return (0.1 * generator.standard_normal(int(24_000 * seconds))).astype(np.float32)


def ended(threads: list[threading.Thread], within_s: float = 1.0) -> bool:
    deadline = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def freed(speaker: Speaker, within_s: float = 2.0) -> bool:
    """Whether no reply holds a slot any more."""
    deadline = time.monotonic() + within_s
    while speaker.engine.num_slots and time.monotonic() < deadline:
        time.sleep(0.005)
    return not speaker.engine.num_slots


def spoken(speaker: Speaker, text: object = TEXT, options: SpeakOptions = OPTIONS) -> np.ndarray:
    reply = speaker.speak(speaker.open_dialogue(), text, speaker.voices["one"], options)
    return np.concatenate(list(reply))


def test_a_seed_repeats(speaker: Speaker) -> None:
    np.testing.assert_allclose(spoken(speaker), spoken(speaker), atol=1e-5)
    other = spoken(speaker, options=SpeakOptions(seed=4))
    assert len(other) != len(spoken(speaker)) or not np.allclose(other, spoken(speaker))


def test_a_slow_predictor_does_not_change_the_audio(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = speaker.speak(speaker.open_dialogue(), TEXT, speaker.voices["one"], OPTIONS)
    chunks = [len(chunk) for chunk in quick]
    model, pauses = speaker.open_dialogue().model, random.Random(0)
    step = model.step

    def slow(steps: list[FrameStep]) -> list[SampledFrame]:
        time.sleep(pauses.choice([0.0, 0.0, 0.03]))
        return step(steps)

    monkeypatch.setattr(model, "step", slow)
    reply = speaker.speak(speaker.open_dialogue(), TEXT, speaker.voices["one"], OPTIONS)
    assert [len(chunk) for chunk in reply] == chunks
    np.testing.assert_allclose(reply.samples(), quick.samples(), atol=1e-5)


def test_chunks_are_whole_frames_and_start_small(speaker: Speaker) -> None:
    reply = speaker.speak(speaker.open_dialogue(), TEXT, speaker.voices["one"], OPTIONS)
    chunks = list(reply)
    assert all(len(chunk) % 960 == 0 for chunk in chunks)
    assert len(chunks[0]) <= 4 * 960
    assert reply.complete and reply.first_audio_ms is not None and reply.rtf is not None


def test_streamed_text(speaker: Speaker) -> None:
    pieces = iter(["The train was", " late. We wai", "ted near the old bridge."])
    np.testing.assert_allclose(spoken(speaker, pieces), spoken(speaker), atol=1e-5)


def test_words_are_in_order_and_within_the_audio(speaker: Speaker) -> None:
    reply = speaker.speak(speaker.open_dialogue(), TEXT, speaker.voices["one"], OPTIONS)
    list(reply)
    assert [word for word, _, _ in reply.words] == TEXT.replace(".", "").split()
    starts = [start for _, start, _ in reply.words]
    assert starts == sorted(starts)
    assert all(start <= end <= reply.duration_s + 1e-3 for _, start, end in reply.words)


def test_commit_adds_the_turn_to_the_history(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, "When does it leave?", noise(1.0))
    before = dialogue.predictor.length
    reply = speaker.speak(dialogue, TEXT, speaker.voices["one"], OPTIONS)
    samples = np.concatenate(list(reply))
    reply.commit()
    assert [turn.who for turn in dialogue.turns] == [0, 1]
    np.testing.assert_array_equal(dialogue.turns[1].samples, samples)
    assert dialogue.predictor.length > before or dialogue.predictor.turn_ends


def test_an_interrupted_turn_is_cut_at_the_playback_position(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    reply = speaker.speak(dialogue, TEXT, speaker.voices["one"], OPTIONS)
    list(reply)
    middle = next(start for _, start, end in reply.words[3:] if end > start) + 0.001
    reply.commit(played_s=middle)
    turn = dialogue.turns[-1]
    heard = [word for word, start, _ in reply.words if start < middle]
    assert TEXT.startswith(turn.text)
    assert turn.text.replace(".", "").split() == heard
    assert len(turn.samples) == round(middle * 24_000)


def test_a_cut_turn_keeps_its_written_words() -> None:
    """The "one" of "1" was found in "someone", so words that were not played were kept."""
    text = "I took 1 of them — Dr. Wu's. Later I met someone nice, for $1,250 or so."
    said = normalise(text).replace("— ", "").split()
    kept = [text_up_to(text, said[:count]) for count in range(len(said) + 1)]
    assert kept[0] == "" and kept[-1] == text
    assert kept[3] == "I took 1"
    assert kept[7] == "I took 1 of them — Dr. Wu's."
    assert kept[8].endswith("Later") and kept[11].endswith("someone")
    assert {words.split()[-1] for words in kept[14:20]} == {"$1,250"}


def test_a_cut_chinese_turn_is_counted_by_characters() -> None:
    text = "我买了3本书，然后去了 New York。"
    said = [word for word in normalise(text, None).replace(",", " ").split() if word]
    assert text_up_to(text, []) == ""
    assert text_up_to(text, ["我", "买了"]) == "我买了"
    assert text_up_to(text, ["我", "买了", "三"]) == "我买了3"
    assert text_up_to(text, [*"我买了三本书然后去了", "New"]) == "我买了3本书，然后去了 New"
    assert text_up_to(text, said) == text


def test_a_turn_cut_in_its_first_sentence_keeps_its_words(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words were known only after the whole sentence, so the turn entered the history without
    text."""
    sentence = "the train was late and we waited near the old bridge " * 3
    whole = speaker.speak(speaker.open_dialogue(), sentence, speaker.voices["one"], OPTIONS)
    list(whole)
    heard = [word for word, start, _ in whole.words if start < 1.0]
    assert 0 < len(heard) < len(whole.words)
    dialogue, over = speaker.open_dialogue(), threading.Event()
    step = dialogue.model.step

    def stuck(steps: list[FrameStep]) -> list[SampledFrame]:
        if len(steps[0].frames) >= 45:
            over.wait(10)
        return step(steps)

    monkeypatch.setattr(dialogue.model, "step", stuck)
    reply = speaker.speak(dialogue, sentence, speaker.voices["one"], OPTIONS)
    chunks = iter(reply)
    while reply.duration_s < 1.0:
        next(chunks)
        known = [(word, start) for word, start, _ in reply.words if start < reply.duration_s]
        assert known == [(w, start) for w, start, _ in whole.words if start < reply.duration_s]
    threading.Timer(0.1, over.set).start()
    reply.commit(played_s=1.0)
    assert dialogue.turns[-1].text.split() == heard
    assert dialogue.predictor.turn_ends


def test_cancel_ends_the_iteration_and_frees_the_slot(speaker: Speaker) -> None:
    reply = speaker.speak(speaker.open_dialogue(), TEXT * 20, speaker.voices["one"], OPTIONS)
    next(iter(reply))
    reply.cancel()
    assert list(reply) == []
    assert freed(speaker)


def test_an_uncommitted_reply_leaves_no_trace(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, "Where were you?", None)
    length = dialogue.predictor.length
    list(speaker.speak(dialogue, TEXT, speaker.voices["one"], OPTIONS))
    speaker.drop_reply(dialogue)
    assert dialogue.predictor.length == length
    assert len(dialogue.turns) == 1


def test_a_turn_taken_back_leaves_no_trace(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, "Where were you?", noise(1.0))
    known = dialogue.mark()
    speaker.add_turn(dialogue, 0, "And what did you", noise(0.5))
    speaker.take_back_turn(dialogue)
    assert dialogue.mark() == known and len(dialogue.turns) == 1
    with pytest.raises(InputError, match="no turn to take back"):
        speaker.take_back_turn(dialogue)


def test_two_dialogues_do_not_mix(speaker: Speaker) -> None:
    alone = spoken(speaker)
    first = speaker.speak(speaker.open_dialogue(), TEXT, speaker.voices["one"], OPTIONS)
    second = speaker.speak(speaker.open_dialogue(), TEXT, speaker.voices["two"], OPTIONS)
    other = np.concatenate(list(second))
    beside = np.concatenate(list(first))
    # Batched steps round differently from single ones.
    assert np.linalg.norm(beside - alone) < 0.01 * np.linalg.norm(alone)
    assert len(other) != len(alone) or not np.allclose(other, alone)


@pytest.mark.parametrize(("rate", "share"), [(2.0, 0.5), (0.5, 2.0)])
def test_rate_scales_the_duration(speaker: Speaker, rate: float, share: float) -> None:
    scaled, plain = spoken(speaker, options=SpeakOptions(seed=3, rate=rate)), spoken(speaker)
    sentences = 2  # each is padded to a whole frame
    assert abs(len(scaled) - share * len(plain)) <= sentences * FRAME_SAMPLES


def test_order_aabb_rebuilds_the_past_for_each_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speaker = tiny_speaker("gpt-talker")
    dialogue = speaker.open_dialogue()
    config = dataclasses.replace(dialogue.model.config, order="AABB")
    monkeypatch.setattr(dialogue.model, "config", config)

    def answer() -> np.ndarray:
        reply = speaker.speak(dialogue, "I see.", speaker.voices["one"], OPTIONS)
        samples = np.concatenate(list(reply))
        reply.commit()
        return samples

    speaker.add_turn(dialogue, 0, "When does it leave?", noise(1.0))
    assert dialogue.predictor.length == 0
    first = answer()
    assert len(first) and dialogue.predictor.length > 0
    speaker.add_turn(dialogue, 0, "Is that so?", noise(1.5))
    answer()
    assert [turn.who for turn in dialogue.turns] == [0, 1, 0, 1]
    for _ in range(12):  # exceeds the window: the oldest turns are dropped
        speaker.add_turn(dialogue, 0, "When does it leave?", noise(2.0))
    assert len(answer())
    assert dialogue.predictor.length <= 3 * config.max_positions // 2


def test_only_the_end_of_two_hours_of_history_is_encoded(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    samples = np.tile(noise(10.0), 720)
    speaker.add_turn(dialogue, 0, "So this is how it went.", samples)
    assert dialogue.predictor.length < 1000


@pytest.mark.parametrize("level", [0.0, 1e-4, 1.0])
@pytest.mark.parametrize("text", ["So this is how it went.", ""])
def test_after_silence_and_noise_replies_end(speaker: Speaker, level: float, text: str) -> None:
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, text, 10 * level * noise(1.0))
    reply = speaker.speak(dialogue, "I see.", speaker.voices["one"], OPTIONS)
    made = np.concatenate(list(reply))
    assert reply.complete and np.isfinite(made).all() and len(made) < 20 * 24_000


@pytest.mark.parametrize("text", ["", "   ", "🙂🙂", "***"])
def test_empty_text_is_refused_at_once(speaker: Speaker, text: str) -> None:
    with pytest.raises(InputError, match="nothing to speak"):
        speaker.speak(speaker.open_dialogue(), text, speaker.voices["one"])


@pytest.mark.parametrize(
    ("text", "script"),
    [("你好，世界", "Chinese"), ("Hi, اسمي سام", "Arabic"), ("Привет", "Cyrillic")],
)
def test_unsupported_scripts_are_named(speaker: Speaker, text: str, script: str) -> None:
    dialogue, voice = speaker.open_dialogue(), speaker.voices["one"]
    with pytest.raises(InputError, match=f"{script}.*speak English only"):
        speaker.speak(dialogue, text, voice)
    with pytest.raises(InputError, match=script):
        list(speaker.speak(dialogue, iter([text[:3], text[3:]]), voice))


def test_bilingual_voices_speak_both_languages() -> None:
    speaker = tiny_speaker("gpt-talker")
    model = speaker.open_dialogue().model
    model.config = dataclasses.replace(model.config, languages=("en-us", "zh"))
    dialogue, voice = speaker.open_dialogue(), speaker.voices["one"]
    speaker.add_turn(dialogue, 0, "今天天气怎么样？", None)
    reply = speaker.speak(dialogue, "今天很好。You can go out.", voice, OPTIONS)
    assert np.isfinite(np.concatenate(list(reply))).all()
    said = [word for word, _, _ in reply.words]
    assert said[-4:] == ["You", "can", "go", "out"]
    assert "".join(said[:-4]) == "今天很好"
    with pytest.raises(InputError, match=r"Arabic.*English and Mandarin only"):
        speaker.speak(dialogue, "مرحبا بك", voice)


def test_damaged_or_empty_history_is_refused(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    with pytest.raises(InputError, match="NaN"):
        speaker.add_turn(dialogue, 0, "Hello.", np.array([0.0, np.nan], np.float32))
    with pytest.raises(InputError, match="neither"):
        speaker.add_turn(dialogue, 0, " ", None)
    with pytest.raises(InputError, match=r"0 .the user. or 1"):
        speaker.add_turn(dialogue, 2, "Hello.", None)
    assert not dialogue.turns


def test_bad_voice_samples_are_refused(speaker: Speaker) -> None:
    with pytest.raises(InputError, match="silent"):
        speaker.clone(np.zeros(48_000, np.float32))
    with pytest.raises(InputError, match="at least 1 s"):
        speaker.clone(noise(0.5))


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="pitch"):
        SpeakOptions(pitch=9.0)
    for seed in (-1, 2**70):
        with pytest.raises(InputError, match="seed"):
            SpeakOptions(seed=seed)
    with pytest.raises(InputError, match="temperature"):
        SpeakOptions(temperature=-1.0)


def test_prompted_predictors_start_from_the_voice_sample(speaker: Speaker) -> None:
    """Prompted predictors get a cloned voice's sample once, before the whole dialogue."""
    model = speaker.open_dialogue().model
    voice = speaker.clone(noise(3.0))
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, "Where were you?", noise(1.0))
    length = dialogue.predictor.length
    lengths = []
    for said_by in (voice, voice, speaker.voices["one"]):
        list(speaker.speak(dialogue, "Yes.", said_by, OPTIONS))
        speaker.drop_reply(dialogue)
        lengths.append(dialogue.predictor.length)
    led = length + (75 + 3 + 4 if model.prompted else 0)  # frames, turn, language, audio, manner
    assert lengths == [led, led, length]
    assert len(dialogue.turns) == 1


def test_an_unreferenced_dialogue_is_freed_at_once(speaker: Speaker) -> None:
    gc.collect()
    gc.disable()
    try:
        dialogue = speaker.open_dialogue()
        list(speaker.speak(dialogue, "I see.", speaker.voices["one"], SpeakOptions(seed=1)))
        known = weakref.ref(dialogue)
        del dialogue
        deadline = time.monotonic() + 5  # its threads are finishing
        while known() is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert known() is None
    finally:
        gc.enable()


def test_an_unreferenced_reply_leaves_no_trace(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, 0, "Who is there?", None)
    before = dialogue.mark()
    list(speaker.speak(dialogue, "I see.", speaker.voices["one"], SpeakOptions(seed=1)))
    assert dialogue.mark().length > before.length
    speaker.drop_reply(dialogue)
    assert dialogue.mark() == before


def test_input_is_rounded_to_16_bits(speaker: Speaker) -> None:
    """Digital silence in a band, left by resampling, is encoded as from a 16-bit file."""
    sound = noise(2.0)
    rounded = np.rint(sound * 32767).astype(np.float32) / 32767
    assert not np.array_equal(sound, rounded)
    assert torch.equal(speaker.clone(sound).style, speaker.clone(rounded).style)
    assert torch.equal(speaker.listen(sound), speaker.listen(rounded))
    np.testing.assert_array_equal(speaker.reconstruct(sound), speaker.reconstruct(rounded))


def test_warming_up_runs_the_models_unless_they_have_just_run(speaker: Speaker) -> None:
    assert speaker.engine.rested_s == float("inf")
    speaker.warm_up()
    costs = speaker.engine.costs
    assert costs["call"].count and costs["step"].count
    ran = costs["call"].count
    speaker.warm_up()
    assert costs["call"].count == ran
    speaker.engine._worked_at -= 10
    speaker.warm_up(speaker.predictors[0])
    assert costs["call"].count > ran
