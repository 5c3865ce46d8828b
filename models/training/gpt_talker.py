"""Recipe: the GPT-Talker predictor, on dialogues."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint import save_model
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig, collate
from models.predictors.plan import PLAN_FIELDS, measure_plan
from models.predictors.segments import split_turn
from models.predictors.sequence import NO_TARGET, Positions, Segment, serialise
from models.predictors.units import Units, no_text
from models.text import SYMBOLS
from models.tokenizers.semantic import SemanticTokenizer
from models.training.corpus import Corpus
from models.training.encoded import Encoded, encode_corpus, load_tokenizer
from models.training.loop import Budget, Run, device, train

MAX_LENGTH = 640
POSITIONS_A_BATCH = 2560
MAX_PAST_TURNS = 6
NO_SOUND = 0.1  # share of past turns whose sound is left out, as when a person types
NO_TEXT = 0.05  # share of past turns whose words are not known
NO_STYLE = 0.1


def train_gpt_talker(
    root: Path, corpus: Corpus, out: Path, work: Path, seed: int, budget: Budget, resume: bool
) -> None:
    """Trains the predictor and writes `gpt-talker.safetensors`.

    A sequence is a stretch of a dialogue with at most six past turns; every turn that has sound is
    a target, given all before it.
    """
    tokenizer = load_tokenizer(out)
    encoded = encode_corpus(root, corpus, out)
    plans = _all_plans(corpus, encoded, tokenizer)
    low, high = _plan_range(plans)
    torch.manual_seed(seed)
    config = GPTTalkerConfig(
        num_symbols=len(SYMBOLS),
        levels=tokenizer.config.levels,
        plan_low=low,
        plan_high=high,
    )
    model = GPTTalker(config)
    where = device()
    dialogues = list(corpus.by_dialogue.values())

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        # Rows of like length, so that little of a batch is padding: two batches' worth is drawn.
        rows: list[list[Segment]] = []
        total = 0
        while total < 2 * POSITIONS_A_BATCH:
            turns = dialogues[int(generator.integers(len(dialogues)))]
            rows.append(_draw_row(generator, turns, corpus, encoded, plans, config))
            total += length_of(rows[-1])
        rows.sort(key=length_of)
        rows = (
            rows[: len(rows) * 2 // 3] if generator.random() < 0.5 else rows[len(rows) * 2 // 3 :]
        )
        embedded, positions = batch_of(model, rows, where)
        hidden = model(embedded)
        losses = model.losses(hidden, positions)
        return {"total": losses.total, **vars(losses)}

    run = Run(work / "gpt-talker", seed, budget, 1.2e-3, weight_decay=0.05, resume=resume)
    train(run, model, draw)
    save_model(out, "gpt-talker", model, config, half=True)


def length_of(row: list[Segment]) -> int:
    """Positions of a row."""
    return sum(segment.num_positions for segment in row)


def batch_of(
    model: GPTTalker, rows: list[list[Segment]], where: torch.device
) -> tuple[Tensor, Positions]:
    """Rows of segments to input vectors `[B, L, dim]` and padded positions `[B, L]`."""
    segments = [segment for row in rows for segment in row]
    positions = [serialise(row, model.num_codes) for row in rows]
    first_unit = first_segment = 0
    for row, position in zip(rows, positions, strict=True):
        position.unit += first_unit
        position.segment += first_segment
        first_unit += sum(len(segment.units) for segment in row)
        first_segment += len(row)
    joined = {}
    for name in vars(positions[0]):
        fill = NO_TARGET if name.endswith("target") else 0
        columns = [getattr(position, name) for position in positions]
        padded = nn.utils.rnn.pad_sequence(columns, batch_first=True, padding_value=fill)
        joined[name] = padded.to(where)
    together = Positions(**joined)
    return model.embed(together, *collate(segments, where)), together


def _draw_row(
    generator: np.random.Generator,
    turns: list[int],
    corpus: Corpus,
    encoded: list[Encoded],
    plans: list[list[Tensor]],
    config: GPTTalkerConfig,
) -> list[Segment]:
    """The segments of a random stretch of a dialogue, at most `MAX_LENGTH` positions."""
    last = int(generator.integers(len(turns)))
    past = int(generator.integers(MAX_PAST_TURNS + 1))
    chosen = turns[max(0, last - past) : last + 1]
    row: list[Segment] = []
    for index in reversed(chosen):
        is_last = index == chosen[-1]
        turn = _turn_segments(generator, index, is_last, corpus, encoded, plans, config)
        if row and length_of(turn + row) > MAX_LENGTH:
            break
        row = turn + row
    return row


def _turn_segments(
    generator: np.random.Generator,
    index: int,
    is_last: bool,
    corpus: Corpus,
    encoded: list[Encoded],
    plans: list[list[Tensor]],
    config: GPTTalkerConfig,
) -> list[Segment]:
    utterance = corpus.utterances[index]
    row = encoded[index]
    units: Units = utterance.units
    same = corpus.by_voice[utterance.voice]
    style = torch.from_numpy(encoded[same[int(generator.integers(len(same)))]].style).float()
    if generator.random() < NO_STYLE:
        style = torch.zeros_like(style)
    codes = torch.from_numpy(row.codes.astype(np.int64))
    pointer = torch.from_numpy(row.pointer.astype(np.int64))
    silent = not is_last and generator.random() < NO_SOUND
    wordless = not is_last and not silent and generator.random() < NO_TEXT
    if wordless:
        units, pointer = no_text(), torch.zeros_like(pointer)
    segments = split_turn(utterance.speaker, units, style, codes, pointer)
    for segment, plan in zip(segments, plans[index], strict=False):
        segment.plan = config.plan_scale.bins(plan)
        if silent:
            segment.plan = segment.codes = segment.pointer = None
    return segments


def _all_plans(
    corpus: Corpus, encoded: list[Encoded], tokenizer: SemanticTokenizer
) -> list[list[Tensor]]:
    found = []
    with torch.inference_mode():
        for utterance, row in zip(corpus.utterances, encoded, strict=True):
            codes = torch.from_numpy(row.codes.astype(np.int64))
            pointer = torch.from_numpy(row.pointer.astype(np.int64))
            nothing = torch.zeros(1)
            segments = split_turn(0, utterance.units, nothing, codes, pointer)
            plans = []
            for segment in segments:
                prosody = tokenizer.inspect(segment.codes[None])[1]
                plans.append(measure_plan(prosody, len(segment.units)).clone())
            found.append(plans)
    return found


def _plan_range(plans: list[list[Tensor]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    values = torch.stack([plan for row in plans for plan in row])
    assert values.shape[1] == len(PLAN_FIELDS)
    low, high = values.quantile(torch.tensor([0.01, 0.99]), dim=0).tolist()
    return tuple(low), tuple(high)
