"""Evaluation sets from folders: balanced voices and languages, no leakage between utterances."""

from pathlib import Path

import numpy as np
import pytest

from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.errors import InputError
from models.evaluation.figures import ratio
from models.evaluation.recorded import (
    is_held_out,
    recorded_clones,
    recorded_dialogue_set,
    recorded_set,
)
from models.evaluation.strata import by_stratum, strata

TRAINED, HELD_OUT = "kokoro-af_heart", "kokoro-af_kore"
CHINESE, STRANGER = "kokoro-zf_xiaobei", "Anna"
SENTENCES = [f"This is sentence number {number}." for number in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three voices with six sentences each and one with two words; all sound different."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)

    def turn(text: str, voice: str, seconds: float) -> Turn:
        sound = rng.uniform(-0.1, 0.1, int(24_000 * seconds)).astype(np.float32)
        return Turn(0, text, samples=sound, extra={"voice": voice})

    english = [turn(text, voice, 2.5) for voice in (TRAINED, HELD_OUT) for text in SENTENCES]
    chinese = [turn(f"第{number}句话。", CHINESE, 2.5) for number in "一二三四五六"]
    short = [turn("Yes.", STRANGER, 1.2), turn("No.", STRANGER, 1.2), turn("Ah.", STRANGER, 0.5)]
    write_ncssd_dialogue(root, Dialogue("0", english + short))
    write_ncssd_dialogue(root, Dialogue("1", chinese, {"language": "zh"}))
    return root


def test_voices_and_languages_are_balanced_and_texts_unique(folder: Path) -> None:
    chosen = recorded_set(folder, 6)
    assert sorted(item.voice for item in chosen.items) == sorted([TRAINED, HELD_OUT, CHINESE] * 2)
    assert len({item.text for item in chosen.items}) == 6
    assert [len(places) for places in strata(chosen.items).values()] == [2, 2, 2]
    again = recorded_set(folder, 6)
    assert [item.text for item in again.items] == [item.text for item in chosen.items]


def test_references_are_other_utterances(folder: Path) -> None:
    chosen = recorded_set(folder, 100)
    assert len(chosen.items) >= 6
    for item in chosen.items:
        others = chosen.others[item.voice]
        assert others and not any(np.array_equal(item.samples, other) for other in others)


@pytest.mark.parametrize(("language", "voices"), [("en", {TRAINED, HELD_OUT}), ("zh", {CHINESE})])
def test_one_language_alone(folder: Path, language: str, voices: set[str]) -> None:
    chosen = recorded_set(folder, 6, language)
    assert {item.voice for item in chosen.items} == voices
    assert {item.language for item in chosen.items} == {language}


def test_folders_without_suitable_speech_are_refused(folder: Path, tmp_path: Path) -> None:
    write_ncssd_dialogue(
        tmp_path, Dialogue("0", [Turn(0, "One.", samples=np.ones(72_000, np.float32) / 9)])
    )
    with pytest.raises(InputError, match=r"no speaker .* two turns of at least 2 s"):
        recorded_set(tmp_path, 3)
    with pytest.raises(InputError, match="two turns in 'zh'"):
        recorded_set(tmp_path, 3, "zh")


def test_clones_are_compared_with_utterances_they_are_not_made_from(folder: Path) -> None:
    chosen = recorded_clones(folder, 2, 1)
    assert {subject.voice for subject in chosen.subjects} == {HELD_OUT, TRAINED}
    assert set(chosen.rivals) == {CHINESE, STRANGER}
    for subject in chosen.subjects:
        assert len(subject.reference) == 8 * 24_000 and len(subject.utterances) == 2
        first = subject.utterances[0][:1000]
        assert not any(np.array_equal(first, subject.reference[n : n + 1000]) for n in (0, 60_000))
    assert list(chosen.texts) == ["en"] and len(chosen.texts["en"]) == 1
    with pytest.raises(InputError, match="no speaker in"):
        recorded_clones(folder, 2, 1, "fr")


def test_a_cast_has_held_out_users_and_trained_agents(folder: Path) -> None:
    chosen = recorded_dialogue_set(folder, "en")
    assert (chosen.users, chosen.agents) == ([HELD_OUT], [TRAINED])
    assert list(chosen.others) == [TRAINED] and len(chosen.texts) >= 3
    with pytest.raises(InputError, match="both held-out and trained voices"):
        recorded_dialogue_set(folder, "zh")


def test_held_out_is_known_for_synthetic_voices_only() -> None:
    assert [is_held_out(v) for v in (TRAINED, HELD_OUT, STRANGER)] == [False, True, None]


def test_figures_per_stratum(folder: Path) -> None:
    items = recorded_set(folder, 6).items
    found = by_stratum(items, lambda places: [ratio("wer", "WER", [0.0] * len(places))])
    assert {(figure.key, figure.label, figure.num) for figure in found} == {
        ("wer_en_trained", "WER; English, trained voices", 2),
        ("wer_en_held_out", "WER; English, held-out voices", 2),
        ("wer_zh_trained", "WER; Mandarin, trained voices", 2),
    }
    (alone,) = by_stratum(items[:1], lambda places: [ratio("wer", "WER", [0.0])])
    assert (alone.key, alone.label) == ("wer", "WER")
