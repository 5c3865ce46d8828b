"""The measures on a stand-in that replies in the teacher's voice: it must score perfectly, and each
injected fault must show in its own figure."""

from typing import Any

import numpy as np
import pytest

from models.evaluation import clone, dialogue, robustness, sets, speech, speed, vocoder
from models.evaluation.figures import Figure, Result
from models.evaluation.panel import Panel
from tests.models.evaluation.conftest import CLEAR_WOMAN
from tests.models.evaluation.parrot import Parrot

TEXTS = ("The price of a small boat went up in March.", "She walked home along the quiet river.")

pytestmark = pytest.mark.usefixtures("espeak_teacher")


def options(number: int) -> Any:
    return number


def by_key(result: Result) -> dict[str, Figure]:
    return {figure.key: figure for figure in result.figures}


@pytest.fixture(scope="module")
def chosen(espeak_teacher: None) -> sets.EvaluationSet:
    # Fixed texts in a voice that the recogniser understands, so that changes of the sentence
    # generator do not affect the word error rate.
    items = [sets.say(CLEAR_WOMAN, text) for text in TEXTS]
    return sets.EvaluationSet(items, {CLEAR_WOMAN: sets.other_utterances(CLEAR_WOMAN)}, "teacher")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel(1)


def test_the_teacher_judged_against_itself_meets_every_bar(
    chosen: sets.EvaluationSet, panel: Panel
) -> None:
    result = speech.evaluate(Parrot(seed=sets.SPEECH), options, chosen, panel)
    found = by_key(result)
    # except naturalness: this teacher is espeak-ng
    asked = [figure for key, figure in found.items() if figure.bar and key != "distillmos"]
    assert all(figure.meets_bar for figure in asked), found
    assert found["distillmos"].value == pytest.approx(found["distillmos"].teacher, abs=0.3)
    assert found["wer"].value == pytest.approx(found["wer"].teacher, abs=25)
    assert found["timing_ms"].value < 5  # the panel rounds to 16 bits
    assert found["mcd_db"].value < 5  # the teacher varies rate and pitch slightly
    assert found["duration"].value < 15
    assert result.examples[0].sounds.keys() == {"teacher", "Repartee"}


def test_late_word_times_affect_timing_alone(chosen: sets.EvaluationSet, panel: Panel) -> None:
    found = by_key(speech.evaluate(Parrot(late_s=0.1), options, chosen, panel))
    assert found["timing_ms"].value == pytest.approx(100, abs=5)
    assert found["timing_ms"].meets_bar is False
    assert found["similarity"].meets_bar


def test_a_perfect_vocoder_and_a_noisy_one(chosen: sets.EvaluationSet, panel: Panel) -> None:
    found = by_key(vocoder.evaluate(Parrot(), chosen, panel))
    assert found["wer_difference"].value == 0 and found["distillmos_lost"].value == 0
    assert found["similarity"].value == pytest.approx(1) and found["f0_cents"].value == 0

    class Noisy(Parrot):
        def reconstruct(self, samples: np.ndarray) -> np.ndarray:
            noise = np.random.default_rng(0).normal(0, 0.1, len(samples))
            return (samples + noise).astype(np.float32)

    noisy = by_key(vocoder.evaluate(Noisy(), chosen, panel))
    assert noisy["distillmos_lost"].value > 0.15
    assert noisy["dnsmos"].value < found["dnsmos"].value
    assert noisy["similarity"].value < found["similarity"].value


def test_context_sensitivity_is_measured(panel: Panel) -> None:
    conditions = (dialogue.MAIN, dialogue.REMOVED)
    listening = dialogue.evaluate(
        Parrot("level"), options, 4, sets.dialogue_set(12), panel, conditions
    )
    found = by_key(listening)
    assert found["pitch_2_kept"].value == 100 and found["rate_2_kept"].value == 100
    assert found["semitones"].value > 3 and found["faster"].value > 1.15
    deaf = by_key(
        dialogue.evaluate(Parrot("none"), options, 4, sets.dialogue_set(12), panel, conditions[:1])
    )
    assert abs(deaf["semitones"].value) < 1.5


def test_conditions() -> None:
    pairs = dialogue.make_pairs(2, sets.dialogue_set(10), 4)
    for pair in pairs:
        assert [turn.who for turn in pair.turns] == [1, 0, 1, 0]
    full = {
        side: dialogue.history(pairs, 0, side, dialogue.Condition(4, "kept"))
        for side in dialogue.SIDES
    }
    for (_, text, a), (_, other, b) in zip(*(rows[:-1] for rows in full.values()), strict=True):
        assert text == other and np.array_equal(a, b)
    last = [rows[-1] for rows in full.values()]
    assert last[0][1] == last[1][1] and not np.array_equal(last[0][2], last[1][2])
    removed = dialogue.history(pairs, 0, "sad", dialogue.Condition(2, "removed"))
    assert [sound for _, _, sound in removed] == [None, None]
    assert dialogue.history(pairs, 0, "sad", dialogue.Condition(0, "kept")) == []
    shuffled = dialogue.history(pairs, 0, "sad", dialogue.Condition(1, "shuffled"))
    own = pairs[0].turns[-1].samples.values()
    assert not any(np.array_equal(shuffled[0][2], sound) for sound in own)


def test_a_cloned_voice_is_found_among_the_others(panel: Panel) -> None:
    result = clone.evaluate(Parrot(), options, sets.clone_set(3, 1), panel)
    found = by_key(result)
    assert found["clone_similarity"].value > 0.75
    assert found["clone_nearest"].value == 100

    class OneVoice(Parrot):
        def clone(self, samples: np.ndarray, name: str = "cloned") -> Any:
            return self.voices["slt"]

    fallen = by_key(clone.evaluate(OneVoice(), options, sets.clone_set(3, 1), panel))
    assert fallen["clone_nearest"].value < 100


def test_a_voice_lost_in_noise_shows(panel: Panel) -> None:
    class Particular(Parrot):
        def clone(self, samples: np.ndarray, name: str = "cloned") -> Any:
            quietest = (
                np.square(samples[: len(samples) // 240 * 240]).reshape(-1, 240).mean(1).min()
            )
            return super().clone(samples, name) if quietest < 1e-7 else self.voices["kal"]

    found = by_key(clone.evaluate(Particular(), options, sets.clone_set(3, 1), panel))
    assert found["clone_noisy"].value < found["clone_similarity"].value - 0.1


def test_faults_are_counted_and_shown() -> None:
    class Broken(Parrot):
        calls = 0

        def speak(self, *args: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("no more memory")
            reply = super().speak(*args)
            reply.retries = int(self.calls == 2)
            return reply

    result = robustness.evaluate(Broken(), options, 4)
    found = by_key(result)
    assert found["failures"].value == 25 and found["failures"].meets_bar is False
    assert found["retries"].value == 25
    assert "no more memory" in result.tables[0].rows[0][0]


def test_speed_is_the_replies_own() -> None:
    found = by_key(speed.evaluate(Parrot(), options, 2))
    assert found["first_audio_ms"].value == 20 and found["rtf"].value == 0.05
    assert found["long_dialogue"].value == 1
    assert 0.05 < found["memory_gb"].value < 24
