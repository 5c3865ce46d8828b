"""Steps of pooled caches equal steps of caches of their own; graphs that fail are left at once."""

import logging
import random
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from kernels.int8_linear import with_linears
from models import cuda
from models import transformer as transformers
from models.kv_cache import KeyValues
from models.pooled_step import BATCH_SIZES, Capture
from models.precision import Bf16Linear
from models.predictors.dialogue_model import DialogueModel
from models.speaker import Speaker, SpeakOptions
from models.transformer import Transformer, initialise
from tests.models.predictors.test_batches import alone, begun, check_same, step
from tests.tiny import tiny, tiny_speaker

CAPACITY = 300  # so that steps read 256 positions, or all
DEPTH = 2


def recorded(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """A stand-in for a CUDA graph: each replay reads the recorded inputs again."""
    made = work().clone()

    def replay() -> None:
        made.copy_(work())

    return replay, made


def transformer(bf16: bool = False) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(16, DEPTH, 2, 32).eval().requires_grad_(False)
    model.apply(initialise)
    for parameter in model.parameters():
        parameter.data *= 6.0
    if bf16:
        with_linears(model, Bf16Linear)
    return model


class Pair:
    """The same dialogues in a pool, and in buffers of their own."""

    def __init__(
        self, num_rows: int, capture: Capture | None, bf16: bool = False, device: str = "cpu"
    ) -> None:
        self.own, self.pooled = transformer(bf16).to(device), transformer(bf16).to(device)
        self.pooled.use_pool(num_rows, CAPACITY, device, capture)
        self.device = device
        self.pasts: list[tuple[list[KeyValues], list[KeyValues]]] = []
        self.positions: list[int] = []
        self.tolerance = 0.05 if bf16 else 1e-4

    @property
    def status(self) -> str:
        assert self.pooled.pooled is not None
        return self.pooled.pooled.status

    def open(self, length: int) -> None:
        """Opens a dialogue of `length` positions."""
        pasts = tuple(
            model.init_state(1, self.device, torch.float32, CAPACITY)
            for model in (self.own, self.pooled)
        )
        self.pasts.append(pasts)  # type: ignore[arg-type]
        self.positions.append(length)
        if length:
            x = torch.randn(1, length, 16).to(self.device)
            for model, past in zip((self.own, self.pooled), pasts, strict=True):
                model(x, torch.arange(length, device=self.device), None, past)

    def close(self, number: int) -> None:
        del self.pasts[number], self.positions[number]

    def change(self, change: Callable[[KeyValues], object], number: int) -> None:
        for past in self.pasts[number]:
            for cache in past:
                change(cache)

    def step(self, chosen: list[int]) -> None:
        """Steps some dialogues; all values must agree, new keys and values too."""
        x = torch.randn(len(chosen), 16).to(self.device)
        positions = [self.positions[number] for number in chosen]
        with torch.inference_mode():
            one = self.own.step(x, positions, [self.pasts[number][0] for number in chosen])
            two = self.pooled.step(x, positions, [self.pasts[number][1] for number in chosen])
        torch.testing.assert_close(two, one, atol=self.tolerance, rtol=self.tolerance)
        for number in chosen:
            self.positions[number] += 1
        self.check()

    def check(self) -> None:
        for one, two in self.pasts:
            for mine, other in zip(one, two, strict=True):
                assert mine.length == other.length
                near = {"atol": self.tolerance, "rtol": self.tolerance}
                kept = mine.length
                torch.testing.assert_close(mine.keys[..., :kept], other.keys[..., :kept], **near)
                mine_, other_ = mine.values[:, :, :kept], other.values[:, :, :kept]
                torch.testing.assert_close(mine_, other_, **near)


def churn(pair: Pair, seed: int) -> None:
    """Dialogues open, close, step in random batches, and are cut back, across both limits."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    for _ in range(40):
        if len(pair.pasts) < 12 and chance.random() < 0.5:
            pair.open(chance.choice([0, 1, 7, 254, 255, 256, 270]))
        if not pair.pasts:
            continue
        number = chance.randrange(len(pair.pasts))
        if chance.random() < 0.15:
            pair.close(number)
        elif chance.random() < 0.2:
            pair.change(lambda cache: cache.truncate(cache.length // 2), number)
        elif chance.random() < 0.2:
            pair.change(lambda cache: cache.drop(0, cache.length // 3), number)
        if pair.pasts:
            count = chance.randint(1, len(pair.pasts))
            pair.step(chance.sample(range(len(pair.pasts)), count))


@pytest.mark.parametrize("capture", [None, recorded])
@pytest.mark.parametrize("seed", range(3))
@torch.inference_mode()
def test_dialogues_of_any_length_step_together(seed: int, capture: Capture | None) -> None:
    pair = Pair(12, capture)
    churn(pair, seed)
    if capture:
        assert pair.status.startswith("on:") and "batches of 1, 8" in pair.status
    else:
        assert pair.status == "off: not on this device"


@pytest.mark.parametrize("count", [1, 2, 8, 9, 33, 129, BATCH_SIZES[-1], BATCH_SIZES[-1] + 3])
@pytest.mark.parametrize("capture", [None, recorded])
@torch.inference_mode()
def test_every_batch_size(count: int, capture: Capture | None) -> None:
    pair = Pair(count, capture)
    for number in range(count):
        pair.open(number % 5)
    for _ in range(3):
        pair.step(list(range(count)))


@torch.inference_mode()
def test_a_step_that_waits_while_a_graph_fails_runs_eagerly() -> None:
    made: list[Tensor] = []

    def step_second() -> None:
        with torch.inference_mode():
            made.append(pair.pooled.step(x, [5], [pair.pasts[1][1]]))

    second = threading.Thread(target=step_second)

    def fail(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        second.start()
        second.join(0.5)  # it waits for this step's lock
        raise RuntimeError("no graph")

    pair, x = Pair(2, fail), torch.randn(1, 16)
    pair.open(3)
    pair.open(5)
    pair.pooled.step(torch.randn(1, 16), [3], [pair.pasts[0][1]])
    second.join()
    wanted = pair.own.step(x, [5], [pair.pasts[1][0]])
    torch.testing.assert_close(made[0], wanted, atol=pair.tolerance, rtol=pair.tolerance)


@torch.inference_mode()
def test_dialogues_outside_the_pool_step_with_those_inside() -> None:
    """The pool is full, and one dialogue outgrows its row."""
    pair = Pair(3, recorded)
    for length in (4, CAPACITY - 1, 0, 9, 2):
        pair.open(length)
    inside = [past[0].row is not None for _, past in pair.pasts]
    assert inside == [True, True, True, False, False]
    for _ in range(3):
        pair.step([4, 1, 0, 3, 2])
    assert pair.pasts[1][1][0].row is None
    assert pair.pooled.pooled is not None and pair.pooled.pooled.pool.num_free == 1


@torch.inference_mode()
def test_bf16() -> None:
    pair = Pair(4, recorded, bf16=True)
    for length in (3, 0, 17, 260):
        pair.open(length)
    assert pair.pasts[0][0][0].keys.dtype == pair.pasts[0][1][0].keys.dtype == torch.bfloat16
    for _ in range(4):
        pair.step([0, 1, 2, 3])
    exact, x = transformer(), torch.randn(1, 20, 16)
    made = pair.own(x, torch.arange(20), None)
    assert made.dtype == torch.float32
    assert (made - exact(x, torch.arange(20), None)).norm() < 0.05 * made.norm()


def broken(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    raise RuntimeError("operation not permitted when stream is capturing\nlong explanation")


def wrong(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    return lambda: None, work() * 1.01


def invalid(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    return lambda: None, work() * torch.nan


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        (broken, "RuntimeError: operation not permitted when stream is capturing"),
        (wrong, "ArithmeticError: its result differs from the eager one by 1.0e-02, over 1e-04"),
        (invalid, "differs from the eager one by nan"),
    ],
)
@torch.inference_mode()
def test_graphs_that_fail_are_left_with_one_warning(
    capture: Capture, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if others succeeded before; no step is lost."""
    tries = 0

    def captured(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        nonlocal tries
        tries += 1
        return (capture if tries > 1 else recorded)(work)

    pair = Pair(20, captured)
    for number in range(20):
        pair.open(number)
    with caplog.at_level(logging.WARNING):
        pair.step([3])
        assert pair.status == "on: 1 captured, for batches of 1"
        for count in (5, 20, 1, 7):
            pair.step(list(range(count)))
    assert tries == 2 and len(caplog.records) == 1
    assert "CUDA graphs are off" in caplog.text and reason in caplog.text
    assert pair.status.startswith("off: ") and "\n" not in pair.status


def test_a_step_never_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs on tensors without values, on a device that need not exist, where reading a number
    from a tensor raises, and so does an operation on two devices."""
    make = transformers._frequencies.__wrapped__
    monkeypatch.setattr(transformers, "_frequencies", make)  # keeps no tensor without values
    with FakeTensorMode():
        with torch.device("cuda"):
            model = Transformer(16, DEPTH, 2, 32)
        model.use_pool(9, CAPACITY, "cuda")
        assert model.pooled is not None
        pool = model.pooled.pool
        numbers = torch.zeros(3, 8, dtype=torch.long, device="cuda")
        with torch.inference_mode():
            made = model.step_rows(pool, torch.zeros(8, 16, device="cuda"), numbers, 256)
        assert made.shape == (8, 16) and made.device.type == "cuda"
        with pytest.raises(RuntimeError, match="device"):
            model.step_rows(pool, torch.zeros(8, 16), numbers, 256)
        with pytest.raises(DataDependentOutputException):
            int(numbers[0, 0])


@pytest.fixture
def pooled_talker(talker: DialogueModel) -> DialogueModel:
    talker.transformer.use_pool(30, talker.capacity, "cpu", recorded)
    return talker


@pytest.mark.parametrize("count", [1, 3, 11])
def test_sentences_equal_those_outside_a_pool(pooled_talker: DialogueModel, count: int) -> None:
    speeches = [begun(pooled_talker, number) for number in range(count)]
    while running := [speech for speech in speeches if speech.asked is not None]:
        step(pooled_talker, running)
    usual = tiny(pooled_talker.name)
    assert isinstance(usual, DialogueModel)
    for number, speech in enumerate(speeches):
        check_same(speech, alone(usual, number))


def said(speaker: Speaker, count: int) -> list[int]:
    """Numbers of samples of replies that run at once, each in a dialogue with a past."""
    replies = []
    for number in range(count):
        dialogue = speaker.open_dialogue()
        speaker.add_turn(dialogue, 0, "How was it?", None)
        options = SpeakOptions(seed=number)
        replies.append(speaker.speak(dialogue, "It was late.", speaker.voices["one"], options))
    return [sum(map(len, reply)) for reply in replies]


def test_as_on_a_gpu_but_for_the_graphs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything that a GPU gets, with room for 3 dialogues, on a device that captures nothing."""
    speaker = tiny_speaker("gpt-talker")
    model = speaker.open_dialogue().model
    monkeypatch.setattr(cuda, "supports_bf16", lambda device: True)
    bytes_per_row = 2 * 2 * 2 * 16 * model.capacity  # keys and values, layers, bf16, dim
    free = int(3.5 * bytes_per_row / cuda.MEMORY_SHARE)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
    with caplog.at_level(logging.INFO):
        cuda.prepare_talkers([model], speaker.device)
        lengths = said(speaker, 6)
        assert "room for 3 dialogues on cpu" in caplog.text
        assert min(lengths) > 4800 and said(speaker, 6) == lengths
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 2 and all("GPU" in each or "CUDA" in each for each in warnings)
    assert speaker.step_graphs("gpt-talker").startswith("off: ")
    pooled = model.transformer.pooled
    assert pooled is not None and pooled.pool.num_free == 3
    assert cuda.rows_within(10**12, model) == cuda.MAX_DIALOGUES


def test_trying_a_graph_says_what_came_of_it() -> None:
    found = cuda.try_graph(torch.device("cuda"))
    if torch.cuda.is_available():
        assert found == "CUDA graphs work"
    else:
        assert found.startswith("CUDA graphs fail: ") and len(found) > 30
