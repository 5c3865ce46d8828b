"""Recipe configurations: a preset or TOML file, with single values overridden."""

import dataclasses
import math
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from data.errors import InputError

PRESETS = ("small", "base", "large")  # small: the defaults, used for the bundled weights
_FOLDER = Path(__file__).parent / "presets"

Config = TypeVar("Config")
Values = Mapping[str, Any]


def setting(default: Any, doc: str, low: float | None = None, high: float | None = None) -> Any:
    """A configuration field: default, description with unit, and range.

    Without limits, integers are at least 1 and other numbers at least 0.
    """
    metadata = {"doc": doc, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Recipe:
    """Settings that all trained models share.

    `derived` names fields determined by the data or by models in `--out`; they cannot be set.
    """

    derived: ClassVar[tuple[str, ...]] = ()

    steps: int = setting(8000, "optimiser steps, unless --minutes is given")
    rate: float = setting(1e-3, "peak learning rate, after warm-up")
    warmup: int = setting(100, "warm-up steps")
    weight_decay: float = setting(0.01, "of AdamW")
    clip: float = setting(1.0, "gradient norm limit")


def read_config(choice: str, names: tuple[str, ...]) -> dict[str, Values]:
    """Reads a preset or file; returns values by recipe: `{"prior": {"batch": 32}}`.

    Args:
        choice: one of `PRESETS`, or the path of a TOML file with a table per recipe.
        names: all recipes.

    Raises:
        InputError: it is neither, not TOML, or has a table of an unknown name.
    """
    if choice == PRESETS[0]:
        return {}
    path = _FOLDER / f"{choice}.toml" if choice in PRESETS else Path(choice)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        presets = ", ".join(PRESETS)
        raise InputError(f"--config is {choice!r}; give one of {presets}, or a TOML file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a configuration in TOML ({error})") from None
    for name, values in content.items():
        if name not in names or not isinstance(values, dict):
            raise InputError(
                f"{path}: there is no recipe {name!r}; write a table for any of {', '.join(names)}"
            )
    return content


def parse_assignment(text: str) -> tuple[tuple[str, ...], Any]:
    """Parses `"model.dim=512"` into name and value; the value is TOML, a bare word a string.

    Raises:
        InputError: there is no `=`.
    """
    name, equals, written = text.partition("=")
    if not equals or not name.strip():
        raise InputError(f"--set {text!r} sets nothing; write NAME=VALUE, as batch=32")
    try:
        value = tomllib.loads(f"value = {written.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = written.strip()
    return tuple(name.strip().split(".")), value


def nested(name: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Nests a value: `("model", "dim")` and 512 give `{"model": {"dim": 512}}`."""
    for part in reversed(name):
        value = {part: value}
    return value


def configured(config: Config, values: Values, recipe: str) -> Config:
    """A copy of `config` with some values replaced.

    Args:
        config: a configuration; fields may be nested configurations.
        values: by name, nested as `config` is.
        recipe: its name, for error messages.

    Raises:
        InputError: an unknown name, or a value of the wrong type or out of range.
    """
    derived = getattr(config, "derived", ())
    return _changed(config, values, recipe, "", derived, [name for name, _ in settings(config)])


def settings(config: object) -> list[tuple[str, Any]]:
    """All settable names, dotted, with their values."""
    derived = getattr(config, "derived", ())
    return [(name, value) for name, value, _ in _leaves(config) if name not in derived]


def describe(config: object) -> str:
    """One line per setting: name, value, description."""
    derived = getattr(config, "derived", ())
    leaves = [leaf for leaf in _leaves(config) if leaf[0] not in derived]
    width = max(len(name) for name, _, _ in leaves)
    return "\n".join(
        f"  {name:{width}}  {_written(value):<8}  {field.metadata.get('doc', '')}".rstrip()
        for name, value, field in leaves
    )


def as_values(config: object) -> dict[str, Any]:
    """`config` as JSON-ready values, without derived fields."""
    found: dict[str, Any] = {}
    for name, value in settings(config):
        *parents, last = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return found


def check_sizes(
    recipe: Recipe, known: object, whose: str, part: str = "model", names: Collection[str] = ()
) -> None:
    """Checks requested sizes against those of weights to fine-tune.

    Args:
        recipe: whatever differs from the defaults was requested.
        known: configuration of the weights.
        whose: name of the weights, for the message.
        part: field of `recipe` that holds the sizes.
        names: sizes to check; empty: all that are not derived.

    Raises:
        InputError: a requested size differs from that of the weights.
    """
    asked = getattr(recipe, part)
    default = type(asked)()
    for name in names or [field.name for field in dataclasses.fields(asked)]:
        value, has = getattr(asked, name), getattr(known, name)
        if f"{part}.{name}" not in recipe.derived and value not in (getattr(default, name), has):
            raise InputError(
                f"{part}.{name} is {_written(value)}, but the {whose} in --out has "
                f"{_written(has)}, and weights keep their sizes: leave the setting out, or train "
                "from scratch"
            )


def _leaves(config: object, prefix: str = "") -> Iterator[tuple[str, Any, dataclasses.Field]]:
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value, name = getattr(config, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value, field


def _changed(
    config: Config,
    values: Values,
    recipe: str,
    prefix: str,
    derived: tuple[str, ...],
    known: list[str],
) -> Config:
    hints = get_type_hints(type(config))
    fields = {field.name: field for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    changed = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if name in derived:
            raise InputError(
                f"{recipe}: {name} cannot be set: it follows from the data or the models in --out"
            )
        if key not in fields:
            raise InputError(f"{recipe} has no setting {name!r}; there are {', '.join(known)}")
        own = getattr(config, key)
        if dataclasses.is_dataclass(own):
            if not isinstance(value, Mapping):
                inside = [one for one in known if one.startswith(f"{name}.")]
                raise InputError(f"{recipe}: {name} is a group; set any of {', '.join(inside)}")
            changed[key] = _changed(own, value, recipe, f"{name}.", derived, known)
        else:
            changed[key] = _typed(value, hints[key], f"{recipe}: {name}")
            _check_range(changed[key], fields[key].metadata, f"{recipe}: {name}")
    return dataclasses.replace(config, **changed)  # type: ignore[type-var]


def _typed(value: Any, hint: Any, name: str) -> Any:
    """Converts `value` to the type `hint`."""
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise InputError(f"{name} is {value!r}; choose one of {', '.join(get_args(hint))}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{name} is {value!r}; it must be a list, as [8, 8, 5]")
        return tuple(_typed(one, get_args(hint)[0], name) for one in value)
    number = hint is float and type(value) is int
    if type(value) is not hint and not number:
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise InputError(f"{name} is {value!r}; it must be {kinds[hint]}")
    return hint(value)


def _check_range(value: Any, limits: Mapping[str, Any], name: str) -> None:
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, bool | str):
            continue
        low, high = limits.get("low"), limits.get("high")
        low = low if low is not None else int(isinstance(one, int))
        if not math.isfinite(one) or one < low or (high is not None and one > high):
            upper = "" if high is None else f" and at most {high:g}"
            raise InputError(f"{name} is {one}; it must be at least {low:g}{upper}")


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
