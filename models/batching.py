"""States of streams as the state of one batch, and back."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

State = TypeVar("State")


def join_states(states: Sequence[State]) -> State:
    """The states of B streams, each of a batch of one, as the state of a batch of B.

    Tensors with a row a stream `[1, ...]` become `[B, ...]`; those with `W` rows a stream, as where
    guidance needs a second row for each, `[W * B, ...]`, the first rows of all streams first. A
    part that is missing in one is missing in all: it is made anew from what it depends on.

    Raises:
        ValueError: numbers that streams of a batch must share differ.
    """
    if len(states) == 1:
        return states[0]
    return cast(State, _join(states))


def part_states(state: State, count: int) -> list[State]:
    """`join_states` undone, for `count` streams."""
    if count == 1:
        return [state]
    return [cast(State, _part(state, index, count)) for index in range(count)]


def _join(parts: Sequence[Any]) -> Any:
    first = parts[0]
    if any(part is None for part in parts):
        return None
    if isinstance(first, Tensor):
        return torch.stack(list(parts), 1).flatten(0, 1)
    if isinstance(first, list | tuple):
        return type(first)(_join(each) for each in zip(*parts, strict=True))
    if dataclasses.is_dataclass(first):
        names = [field.name for field in dataclasses.fields(first)]
        fields = {name: _join([getattr(part, name) for part in parts]) for name in names}
        return type(first)(**fields)
    if any(part != first for part in parts):
        raise ValueError(f"streams of one batch must share {first!r}; they have {parts!r}")
    return first


def _part(whole: Any, index: int, count: int) -> Any:
    if isinstance(whole, Tensor):
        return whole.unflatten(0, (-1, count))[:, index]
    if isinstance(whole, list | tuple):
        return type(whole)(_part(each, index, count) for each in whole)
    if dataclasses.is_dataclass(whole):
        names = [field.name for field in dataclasses.fields(whole)]
        fields = {name: _part(getattr(whole, name), index, count) for name in names}
        return cast(Any, type(whole))(**fields)
    return whole
