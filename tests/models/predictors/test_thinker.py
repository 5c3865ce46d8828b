"""The thinker: training and inference agree, states follow words, audio affects the answer."""

import pytest
import torch
import torch.nn.functional as F

from models.predictors.sampling import SamplingOptions
from models.predictors.thinker import (
    AGENT,
    GENERATING,
    MAX_TOKENS,
    PAD,
    START,
    STOP,
    USER,
    Exchange,
    Thinker,
)
from tests.tiny import tiny_thinker

GREEDY = SamplingOptions(temperature=0.0)


@pytest.fixture
def thinker() -> Thinker:
    return tiny_thinker()


def sound(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(frames, 16, generator=torch.Generator().manual_seed(seed))


def said(thinker: Thinker, text: str, who: int = AGENT) -> Exchange:
    return Exchange(who, tokens=thinker.backbone.encode(text))


def dialogue(thinker: Thinker) -> list[Exchange]:
    return [
        Exchange(USER, sound=sound(17)),
        said(thinker, "Yes. The oven is in."),
        Exchange(USER, sound=sound(10, 1)),
    ]


def answered(thinker: Thinker, turns: list[Exchange], seed: int = 0, **options: float) -> list:
    generator = torch.Generator().manual_seed(seed)
    chosen = SamplingOptions(**{"temperature": 0.0, **options})
    return list(thinker.answer(turns, chosen, generator))


def test_training_and_inference_build_the_same_sequence(thinker: Thinker) -> None:
    """Cached step-by-step generation predicts what the training sequence predicts."""
    turns = dialogue(thinker)
    steps = answered(thinker, turns)
    tokens = [token for token, _ in steps if token is not None]
    read = thinker.read([[*turns, Exchange(AGENT, tokens=tokens)]])
    hidden = thinker.backbone(read.vectors)[0]
    last = hidden[len(hidden) - len(tokens) - 1 :]
    assert thinker.backbone.logits(last).argmax(-1)[: len(tokens)].tolist() == tokens
    states = thinker.state_head(last).argmax(-1).tolist()
    assert states[1 : len(steps)] == [state for _, state in steps[1:]]


def test_batch_rows_are_independent(thinker: Thinker) -> None:
    """Padding changes neither vectors nor targets of a row."""
    short = [Exchange(USER, sound=sound(7)), said(thinker, "No.")]
    alone, together = thinker.read([short]), thinker.read([[*dialogue(thinker), *short], short])
    length = alone.vectors.shape[1]
    torch.testing.assert_close(together.vectors[1, :length], alone.vectors[0])
    assert together.token_target[1, :length].tolist() == alone.token_target[0].tolist()
    assert (together.token_target[1, length:] == -1).all()


def test_only_the_agents_words_are_predicted(thinker: Thinker) -> None:
    read = thinker.read([[*dialogue(thinker), said(thinker, "I see.")]])
    tokens = read.token_target[0][read.token_target[0] >= 0].tolist()
    assert thinker.backbone.decode(tokens) == "Yes. The oven is in. I see."
    typed = thinker.read([[said(thinker, "The baker is in.", USER), said(thinker, "No.")]])
    tokens = typed.token_target[0][typed.token_target[0] >= 0].tolist()
    assert thinker.backbone.decode(tokens) == "No."


def test_speech_starts_with_the_first_whole_sentence(thinker: Thinker) -> None:
    tokens = thinker.backbone.encode("The oven is in. No.")
    expected = [PAD, PAD, PAD, PAD, START, GENERATING, GENERATING, STOP]
    assert thinker.states_of(tokens) == expected
    assert thinker.states_of(thinker.backbone.encode("the oven")) == [PAD, START, STOP]


def test_every_answer_ends(thinker: Thinker) -> None:
    """Two hundred answers at a high temperature."""
    thinker.state_head.bias.data[STOP] += 1.0  # or answers get long
    turns = [Exchange(USER, sound=sound(9))]
    for seed in range(200):
        steps = answered(thinker, turns, seed, temperature=2.0)
        *words, (token, state) = steps
        assert all(token is not None and state != STOP for token, state in words)
        assert len(steps) == MAX_TOKENS if state != STOP else token is None and words


def test_an_answer_without_stop_is_cut_off(thinker: Thinker) -> None:
    thinker.state_head.bias.data[STOP] = -1e4
    steps = answered(thinker, dialogue(thinker))
    assert len(steps) == MAX_TOKENS and steps[-1][1] != STOP


def test_an_answer_is_never_empty(thinker: Thinker) -> None:
    thinker.state_head.bias.data[STOP] = 1e4
    steps = answered(thinker, dialogue(thinker))
    assert len(steps) == 2 and steps[0][0] is not None and steps[1] == (None, STOP)


def test_user_audio_affects_the_answer(thinker: Thinker) -> None:
    first = thinker.read([[Exchange(USER, sound=sound(12)), Exchange(AGENT)]])
    second = thinker.read([[Exchange(USER, sound=sound(12, 3)), Exchange(AGENT)]])
    one, two = (thinker.backbone(read.vectors)[0, -1] for read in (first, second))
    assert not torch.allclose(one, two, atol=1e-3)


def test_losses_fall_when_trained(thinker: Thinker) -> None:
    """It learns to answer by the audio, and to recognise its words."""
    thinker.train().requires_grad_(True)
    tokens = [torch.full((4,), thinker.backbone.word(word)) for word in ("oven", "baker")]
    rows = [
        [Exchange(USER, sound=sound(12, number), spoken_tokens=tokens[number]), said(thinker, text)]
        for number, text in enumerate(("I see the oven.", "The baker is in. No."))
    ]
    optimizer = torch.optim.Adam(thinker.parameters(), 1e-2)
    totals = []
    for _ in range(150):
        losses = thinker.losses(rows)
        optimizer.zero_grad()
        total = sum(vars(losses).values())
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    assert sum(totals[-10:]) < 0.2 * sum(totals[:10])
    thinker.eval()
    for row in rows:
        tokens = [token for token, _ in answered(thinker, row[:1]) if token is not None]
        assert tokens == row[1].tokens


def test_audio_enters_as_soft_tokens() -> None:
    thinker = tiny_thinker()
    table = thinker.backbone.table
    sure = thinker._soft_tokens(200.0 * F.normalize(table, dim=-1))
    nearest = torch.cdist(sure, table).argmin(-1)
    assert (nearest == torch.arange(len(table))).float().mean() > 0.9
    torch.testing.assert_close(thinker._soft_tokens(torch.zeros_like(table))[0], table.mean(0))
