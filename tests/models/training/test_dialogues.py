"""Training rows of a predictor: stretches of dialogues with every number of past turns."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data.limits import MAX_PAST_TURNS
from models.predictors.plan import NUM_BINS, PLAN_FIELDS, PlanScale
from models.predictors.units import units_of_text
from models.training import dialogues as module
from models.training.dialogues import DialogueRecipe, Dialogues, languages_of, plan_range

RECIPE = DialogueRecipe()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Dialogues:
    """Nine dialogues of two turns and one of eight, 100 positions per turn."""
    plan = torch.zeros(len(PLAN_FIELDS))
    monkeypatch.setattr(module, "all_plans", lambda *_: [[plan]])

    def turn(_: Dialogues, __: object, index: int, *___: object) -> list[SimpleNamespace]:
        return [SimpleNamespace(num_positions=100, index=index)]

    monkeypatch.setattr(Dialogues, "_turn", turn)
    turns = {str(n): [2 * n, 2 * n + 1] for n in range(9)} | {"9": list(range(100, 108))}
    units = units_of_text("Hello.")
    corpus = SimpleNamespace(by_dialogue=turns, utterances=[SimpleNamespace(units=units)])
    encoded = [SimpleNamespace(style=np.zeros(4))]
    return Dialogues(corpus, encoded, None, lambda index: torch.zeros(1), RECIPE, 1000)  # type: ignore


def rows_of(drawn: Dialogues) -> list[list[int]]:
    generator = np.random.default_rng(0)
    batches = [drawn.draw(generator, None) for _ in range(200)]  # type: ignore
    return [[segment.index for segment in row] for batch in batches for row in batch]


def test_numbers_of_past_turns_are_sampled_uniformly(
    drawn: Dialogues,
) -> None:
    rows = rows_of(drawn)
    shares = {length: n / len(rows) for length, n in Counter(map(len, rows)).items()}
    assert set(shares) == set(range(1, MAX_PAST_TURNS + 2))
    assert all(0.08 < share < 0.22 for share in shares.values()), shares
    assert all(row == list(range(row[0], row[0] + len(row))) for row in rows)


def test_languages_of_a_corpus() -> None:
    english, mandarin = (
        SimpleNamespace(units=units_of_text(text, None)) for text in ("Hello.", "你好")
    )

    def languages(utterances: list[SimpleNamespace]) -> tuple[str, ...]:
        return languages_of(SimpleNamespace(utterances=utterances))  # type: ignore[arg-type]

    assert languages([english]) == ("en-us",)
    assert languages([mandarin, english, mandarin]) == ("zh", "en-us")
    assert languages([english] * 199 + [mandarin]) == ("en-us",)  # one stray turn does not count


def test_six_past_turns_fit_and_the_oldest_are_dropped(drawn: Dialogues) -> None:
    assert RECIPE.max_length > (MAX_PAST_TURNS + 1) * 150
    drawn.recipe = DialogueRecipe(max_length=350)
    assert {len(row) for row in rows_of(drawn)} == {1, 2, 3}


@pytest.mark.parametrize("constant", [[], [0], [3], [0, 1], [0, 1, 2, 3]])
def test_a_constant_plan_field_gets_default_bins(constant: list[int]) -> None:
    """Bins of a field with a single value had no width, so no value fell into any."""
    values = torch.randn(50, len(PLAN_FIELDS), generator=torch.Generator().manual_seed(0))
    values[:, constant] = torch.tensor([0.0, 0.0, -1.0, 4.0])[constant]
    scale = PlanScale(*plan_range([list(values)]))
    bins = scale.bins(values)
    assert bins.min() >= 0 and bins.max() < NUM_BINS
    for field in range(len(PLAN_FIELDS)):
        assert len(bins[:, field].unique()) == 1 or field not in constant
        assert len(bins[:, field].unique()) > 5 or field in constant
