"""Streams decoded in one batch sound as they do alone, whichever streams join and leave."""

import random
from collections.abc import Hashable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from kernels.packed_linear import with_packed_layers
from models.batching import join_states, split_states
from models.delivery.delivery import NEUTRAL, Delivery
from models.streaming import ConvState
from models.vocoder.lookahead import LookaheadState
from models.vocoder.renderers import LatentFrames
from models.vocoder.synthesis import Synthesis, push_together
from tests.tiny import STYLE, tiny

SIZES = [2, 2, 2, 4, 7, 3]
TOLERANCE = 1e-2  # for audio: rounding differences of F0 accumulate in the phase
RENDERERS = ["prior", "acoustic-decoder", "latent"]


@dataclass
class Case:
    """A stream and its input."""

    stream: Synthesis
    frames: list[Tensor]
    phones: list[Tensor]

    def alone(self) -> Tensor:
        made = [
            self.stream.push(frames, phones, last=number == len(SIZES) - 1)
            for number, (frames, phones) in enumerate(zip(self.frames, self.phones, strict=True))
        ]
        return torch.cat(made)


def case(name: str, number: int, guidance: float, packed: bool = False) -> Case:
    chance = torch.Generator().manual_seed(number)
    renderer = LatentFrames() if name == "latent" else tiny(name)
    decoder = tiny("decoder")
    if packed:
        for model in (renderer, decoder):
            if isinstance(model, torch.nn.Module):
                with_packed_layers(model)
    delivery = Delivery(pitch=1 + 0.05 * number, energy=1 + 0.1 * number)
    style = torch.randn(STYLE, generator=chance)
    stream = Synthesis(renderer, decoder, style, delivery, 0.3, guidance)
    frames = [torch.randint(0, 16, (size,), generator=chance) for size in SIZES]
    if name == "latent":
        frames = [torch.randn(size, 8, generator=chance) for size in SIZES]
    phones = [torch.randint(1, 40, (size, 3), generator=chance) for size in SIZES]
    return Case(stream, frames, phones)


def cases(name: str, count: int, guidance: float = 0.0, packed: bool = False) -> list[Case]:
    made = [case(name, number, guidance, packed) for number in range(count)]
    for other in made:  # share one model, as in a speaker
        other.stream.renderer, other.stream.decoder = (
            made[0].stream.renderer,
            made[0].stream.decoder,
        )
    return made


def check_alike(made: Tensor, expected: Tensor) -> None:
    assert len(made) == len(expected)
    assert (made - expected).norm() <= TOLERANCE * expected.norm()


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("count", [2, 3, 5, 8])
@pytest.mark.parametrize(("guidance", "packed"), [(0.0, False), (1.0, True), (2.0, True)])
def test_batch_equals_singles(name: str, count: int, guidance: float, packed: bool) -> None:
    expected = [each.alone() for each in cases(name, count, guidance, packed)]
    together = cases(name, count, guidance, packed)
    made: list[list[Tensor]] = [[] for _ in together]
    for number in range(len(SIZES)):
        pushed = push_together(
            [each.stream for each in together],
            [each.frames[number] for each in together],
            [each.phones[number] for each in together],
            [[each.stream.delivery] * SIZES[number] for each in together],
            last=number == len(SIZES) - 1,
        )
        for kept, samples in zip(made, pushed, strict=True):
            kept.append(samples)
    for kept, wanted in zip(made, expected, strict=True):
        check_alike(torch.cat(kept), wanted)


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("seed", range(5))
def test_streams_join_and_leave_batches_in_any_order(name: str, seed: int) -> None:
    chance = random.Random(seed)
    expected = [each.alone() for each in cases(name, 6)]
    together = cases(name, 6)
    done, made = [0] * 6, [list[Tensor]() for _ in range(6)]
    while waiting := [number for number in range(6) if done[number] < len(SIZES)]:
        first = chance.choice(waiting)
        place, kind = done[first], kind_of(together[first])
        same = [n for n in waiting if len(together[n].frames[done[n]]) == SIZES[place]]
        same = [n for n in same if kind_of(together[n]) == kind]
        same = [n for n in same if (done[n] == len(SIZES) - 1) == (place == len(SIZES) - 1)]
        chosen = chance.sample(same, chance.randint(1, len(same)))
        pushed = push_together(
            [together[n].stream for n in chosen],
            [together[n].frames[done[n]] for n in chosen],
            [together[n].phones[done[n]] for n in chosen],
            [[together[n].stream.delivery] * SIZES[place] for n in chosen],
            last=place == len(SIZES) - 1,
        )
        for number, samples in zip(chosen, pushed, strict=True):
            made[number].append(samples)
            done[number] += 1
    for kept, wanted in zip(made, expected, strict=True):
        check_alike(torch.cat(kept), wanted)


def kind_of(case: Case) -> Hashable:
    return case.stream.kind([case.stream.delivery])


def test_incompatible_streams_have_different_kinds() -> None:
    one, other = (each.stream for each in cases("prior", 2))
    assert one.kind([NEUTRAL]) == other.kind([Delivery(energy=0.5)])
    assert one.kind([Delivery(pitch=1.2), NEUTRAL]) == other.kind([Delivery(pitch=0.9)])
    assert one.kind([Delivery(rate=2.0)]) != other.kind([NEUTRAL])
    assert one.kind([Delivery(rate=2.0)]) != other.kind([Delivery(rate=2.0)])
    one.push(torch.zeros(2, dtype=torch.long), torch.ones(2, 3, dtype=torch.long))
    assert one.kind([NEUTRAL]) != other.kind([NEUTRAL])  # the other's look-ahead is not filled yet
    one.take_in([Delivery(rate=2.0)])
    assert one.kind([NEUTRAL]) == id(one)  # frames at another rate may be pending


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("ways", [1, 2])
def test_states_join_and_split(count: int, ways: int) -> None:
    torch.manual_seed(5)
    states = [
        LookaheadState(
            ConvState(torch.randn(ways, 4, 3)),
            [ConvState(torch.randn(ways, 2, 3), (torch.randn(ways, 3), torch.randn(ways, 3)))],
            guidance=1.5,
            given=torch.tensor([number]),
            ahead=0,
        )
        for number in range(count)
    ]
    joined = join_states(states)
    assert joined.stem.past.shape == (ways * count, 4, 3)
    assert joined.given.tolist() == list(range(count))
    for way in range(ways):  # the first rows of all streams come first
        rows = joined.stem.past[way * count : (way + 1) * count]
        assert torch.equal(rows, torch.stack([state.stem.past[way] for state in states]))
    for state, parted in zip(states, split_states(joined, count), strict=True):
        assert torch.equal(parted.stem.past, state.stem.past)
        assert parted.encoder[0].modulation is not None and state.encoder[0].modulation is not None
        assert torch.equal(parted.encoder[0].modulation[1], state.encoder[0].modulation[1])
        assert (parted.given, parted.guidance, parted.ahead) == (state.given, 1.5, 0)


def test_incompatible_states_are_refused() -> None:
    made = [
        LookaheadState(ConvState(torch.zeros(1, 1, 1)), [], guidance, torch.zeros(1))
        for guidance in (1.0, 2.0)
    ]
    with pytest.raises(ValueError, match="share"):
        join_states(made)
