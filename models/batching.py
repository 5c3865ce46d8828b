"""Joins the states of streams into the state of a batch, and splits it again."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

State = TypeVar("State")


def join_states(states: Sequence[State]) -> State:
    """Joins the states of B streams, each with batch size 1, into one of batch size B.

    Tensors `[1, ...]` become `[B, ...]`. Tensors with `W` rows per stream (classifier-free guidance
    needs two) become `[W * B, ...]`: all first rows, then all second rows. A part that is None in
    any stream becomes None; it is recomputed when needed.

    Raises:
        ValueError: streams differ in a number that a batch must share.
    """
    if len(states) == 1:
        return states[0]
    return cast(State, _join(states))


def split_states(state: State, count: int) -> list[State]:
    """Splits the joined state of `count` streams; inverse of `join_states`."""
    if count == 1:
        return [state]
    return [cast(State, _split(state, index, count)) for index in range(count)]


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


def _split(whole: Any, index: int, count: int) -> Any:
    if isinstance(whole, Tensor):
        return whole.unflatten(0, (-1, count))[:, index]
    if isinstance(whole, list | tuple):
        return type(whole)(_split(each, index, count) for each in whole)
    if dataclasses.is_dataclass(whole):
        names = [field.name for field in dataclasses.fields(whole)]
        fields = {name: _split(getattr(whole, name), index, count) for name in names}
        return cast(Any, type(whole))(**fields)
    return whole
