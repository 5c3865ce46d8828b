"""Validation of event parts by pydantic, with errors of the realtime protocol."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from app.protocol import ProtocolError

T = TypeVar("T")


class Strict(BaseModel):
    """Strict base model: no unknown fields, no type conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def parsed(kind: TypeAdapter[T], value: Any, param: str, tagged: bool = False) -> T:
    """Validates a value.

    Args:
        kind: the type.
        value: the client's value.
        param: the client's name for it.
        tagged: whether the type is a union discriminated by `type`.

    Raises:
        ProtocolError: the value is invalid; `param` and the path in it give the place.
    """
    try:
        return kind.validate_python(value)
    except ValidationError as invalid:
        raise _refusal(invalid, param, tagged) from None


def _refusal(invalid: ValidationError, param: str, tagged: bool) -> ProtocolError:
    error = invalid.errors(include_url=False)[0]
    wrong, shown = error["type"], f"{error['input']!r:.60}"
    place = param
    for step in error["loc"][1 if tagged else 0 :]:  # pydantic counts the tag as a step
        place += f"[{step}]" if isinstance(step, int) else f".{step:.60}"
    if wrong in ("union_tag_invalid", "union_tag_not_found"):
        given = error["input"].get("type") if isinstance(error["input"], dict) else None
        known = error.get("ctx", {}).get("expected_tags", "")
        code = "wrong_type" if given is None else "unsupported"
        known = f"; known: {known}" if known else ""
        return ProtocolError(code, f"{place}.type is {given!r:.60}{known}", param=f"{place}.type")
    if wrong == "extra_forbidden":
        return ProtocolError("unknown_parameter", f"unknown field {place}", param=place)
    if wrong == "missing":
        return ProtocolError("missing_required_parameter", f"{place} is missing", param=place)
    if wrong == "literal_error":
        known = error.get("ctx", {}).get("expected", "")
        return ProtocolError("unsupported", f"{place} is {shown}; known: {known}", param=place)
    ranged = ("too_long", "too_short", "greater_than", "less_than", "pattern")
    code = "out_of_range" if any(one in wrong for one in ranged) else "wrong_type"
    return ProtocolError(code, f"{place} is {shown}: {error['msg']}", param=place)
