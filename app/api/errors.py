"""Errors in OpenAI's form: `{"error": {"message", "type", "code", "param"}}`."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from data.errors import InputError, OutputError, RepError
from data.text import valid_text

logger = logging.getLogger(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed", 409: "conflict"}


class ApiError(RepError):
    """A request that cannot be served.

    Attributes:
        status: HTTP status.
        code: machine-readable code.
        param: the invalid field, if any.
        headers: additional response headers.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, headers


def error_body(error: Exception) -> dict[str, Any]:
    """The error object of a response body or stream event."""
    status = status_of(error)
    kind = "invalid_request_error" if status < 500 else "server_error"
    if status == 429:
        kind = "rate_limit_error"
    message = valid_text(str(error)) if isinstance(error, RepError) else "the server failed"
    told = {"message": message, "type": kind}
    code, param = getattr(error, "code", None), getattr(error, "param", None)
    return {"error": {**told, "code": code, "param": param}}


def status_of(error: Exception) -> int:
    """The HTTP status of an exception."""
    if isinstance(error, ApiError):
        return error.status
    if isinstance(error, InputError):
        return 400
    if isinstance(error, OutputError):
        return 507
    return 503 if isinstance(error, RepError) else 500


def add_error_handlers(app: FastAPI) -> None:
    """Makes all errors under `/v1`, including 404, use OpenAI's form."""
    for kind in (RepError, Exception):
        app.add_exception_handler(kind, _ours)
    app.add_exception_handler(RequestValidationError, _bad_form)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)


async def _ours(_: Request, error: Exception) -> JSONResponse:
    if status_of(error) >= 500:
        logger.error("%s", error)
    headers = getattr(error, "headers", None)
    return JSONResponse(error_body(error), status_of(error), headers)


async def _gone(request: Request, _: Exception) -> Response:
    """For a client that disconnects during an upload, which is not an error."""
    logger.info("%s %.200s: the client left before all was sent", request.method, request.url.path)
    return Response(status_code=400)


async def _bad_form(request: Request, error: Exception) -> JSONResponse:
    """Converts FastAPI's validation error of a body or form."""
    assert isinstance(error, RequestValidationError)
    return await _ours(request, validation_error(error.errors(), error.body))


def validation_error(errors: Sequence[Any], given: Any) -> ApiError:
    """Converts pydantic's errors about a request body `given` to one error."""
    found = [_said(one, given) for one in errors]
    places = [_param(one, given) or "" for one in errors]
    # of the types that a field may have, one was tried that led further than the first
    deeper = [one for one in places if one.startswith((f"{places[0]}.", f"{places[0]}["))]
    param = max(deeper, key=len, default=places[0]) or None if found else None
    shown = "; ".join(found[:8]) + (f"; and {len(found) - 8} more" if len(found) > 8 else "")
    return ApiError(shown, code="invalid_value", param=param)


def _said(found: Any, given: Any) -> str:
    place = _param(found, given)
    message = str(found["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _param(found: Any, given: Any) -> str | None:
    """Formats ("body", "history", 0, "text") as `history[0].text`.

    For a union pydantic inserts the attempted type, a step that does not exist in the body; it is
    skipped.
    """
    steps = [step for step in found["loc"] if step not in ("body", "query", "path")]
    place = ""
    for number, step in enumerate(steps):
        is_there = _has(given, step)
        is_missing = found["type"] == "missing" and number == len(steps) - 1
        if number and not (is_there or is_missing):
            continue
        given = given[step] if is_there else None
        place += f"[{step}]" if isinstance(step, int) else f".{valid_text(step)}"
    return place.removeprefix(".")[:200] or None


def _has(given: Any, step: Any) -> bool:
    if isinstance(step, int):
        return isinstance(given, list) and step < len(given)
    return isinstance(given, dict) and step in given


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = valid_text(str(error.detail))
    if error.status_code == 404 and message == "Not Found":
        message = f"there is nothing at {request.url.path[:200]}"
    elif error.status_code == 405:
        message = f"{request.method} is not possible at {request.url.path[:200]}"
    code = _CODES.get(error.status_code)
    headers = dict(error.headers) if error.headers else None
    told = ApiError(message, status=error.status_code, code=code, headers=headers)
    return await _ours(request, told)
