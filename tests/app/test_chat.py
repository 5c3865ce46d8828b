"""The command line of `chat` and `serve`: errors are reported before models load."""

import argparse
import asyncio
import logging
import socket
from pathlib import Path

import pytest

from app import tls
from app.access import AccessSettings, check_port, is_loopback
from app.cli import build, chat
from app.logs import log_to_stderr
from app.replies import ContextOptions
from data.errors import InputError


def parsed(*argv: str) -> argparse.Namespace:
    return chat.serving_parser("chat", "").parse_args(list(argv))


def test_it_binds_to_localhost_by_default() -> None:
    access = chat.access_settings(parsed())
    assert parsed().host == "127.0.0.1"
    assert "localhost" in access.hosts


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "", "[::]"])
def test_a_public_host_requires_credentials_or_no_auth(host: str, tmp_path: Path) -> None:
    """It was only a warning."""
    for door in (
        lambda *more: chat.access_settings(parsed("--host", host, *more)),
        lambda *more: build.main(["review", str(tmp_path), "--host", host, *more]),
    ):
        with pytest.raises(InputError, match=r"--auth USER:PASSWORD or --token, or --no-auth"):
            door()
    assert chat.access_settings(parsed("--host", host, "--no-auth")).hosts == ()
    for given in (("--token", "long-enough"), ("--auth", "a:b")):
        assert chat.access_settings(parsed("--host", host, *given)).guarded
    with pytest.raises(InputError, match="no finished build"):
        build.main(["review", str(tmp_path), "--host", host, "--no-auth"])


@pytest.mark.parametrize("auth", ["nobody", ":x", "x:"])
def test_bad_credentials_are_rejected(auth: str) -> None:
    with pytest.raises(InputError, match="user:password"):
        AccessSettings(auth=auth)
    with pytest.raises(InputError, match="shorter than 8"):
        AccessSettings(token="short")


def test_tls_needs_both_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="given together"):
        tls.check_tls(parsed("--ssl-keyfile", str(tmp_path / "key.pem")))
    both = parsed("--ssl-keyfile", str(tmp_path / "k"), "--ssl-certfile", str(tmp_path / "c"))
    with pytest.raises(InputError, match="does not exist"):
        tls.check_tls(both)
    with pytest.raises(InputError, match="either --self-signed"):
        tls.check_tls(parsed("--self-signed", "--ssl-keyfile", "k", "--ssl-certfile", "c"))


def test_voice_aliases_are_read() -> None:
    given = parsed("--voice-alias", "alloy=nora", "--voice-alias", "narrator=owen")
    assert chat.voice_aliases(given) == {"alloy": "nora", "narrator": "owen"}
    for wrong in ("alloy", "alloy=", "=nora"):
        with pytest.raises(InputError, match="NAME=VOICE"):
            chat.voice_aliases(parsed("--voice-alias", wrong))


def test_what_the_language_model_is_told_is_an_option() -> None:
    endpoint = ("--llm-base-url", "http://127.0.0.1:1/v1", "--llm-model", "small")

    def options(*more: str) -> ContextOptions:
        return chat._responders(parsed(*endpoint, *more))["small"]._context  # type: ignore[attr-defined]

    assert (options().tells_manner, options().summary_of) == (True, None)
    assert not options("--no-manner").tells_manner
    assert options("--llm-summary").summary_of is not None
    assert options("--llm-context", "512").tokens == 512


def test_a_port_in_use_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="another --port"):
            check_port("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(InputError, match="cannot be used"):
        check_port("127.0.0.1", 70_000)


def test_missing_options_of_engines_are_named() -> None:
    with pytest.raises(InputError, match="--llm-model"):
        chat._responders(parsed("--llm-base-url", "http://127.0.0.1:1/v1"))
    with pytest.raises(InputError, match="--asr-base-url"):
        chat._recognizer(parsed("--asr", "endpoint"))
    assert list(chat._responders(parsed())) == ["built-in"]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("x.y", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_settings_from_the_command_line_are_checked() -> None:
    with pytest.raises(InputError, match="silence_ms"):
        chat.hub_settings(parsed("--silence-ms", "1"))
    with pytest.raises(InputError, match="--max-sessions"):
        chat.hub_settings(parsed("--max-sessions", "0"))


def test_an_open_page_at_shutdown_is_not_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(as_json=False)
    logger = logging.getLogger("uvicorn.error")
    for error in (asyncio.CancelledError("the end"), OSError("the disk is full")):
        try:
            raise error
        except (asyncio.CancelledError, OSError):
            logger.exception("a request failed")
    said = capsys.readouterr().err
    assert "the disk is full" in said and "the end" not in said


@pytest.mark.parametrize("as_json", [False, True])
def test_running_out_of_file_descriptors_does_not_flood_the_log(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    before = logging.getLogger().handlers[:]
    log_to_stderr(as_json)
    try:
        for _ in range(2000):  # as asyncio does within a second
            trouble = OSError(24, "Too many open files")
            logging.getLogger("asyncio").error(
                "socket.accept() out of system resource\nsocket: %r", 9, exc_info=trouble
            )
        logging.getLogger("asyncio").error("something else")
    finally:
        logging.getLogger().handlers[:] = before
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert "ulimit -n" in lines[0] and "something else" in lines[1]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "does not exist"),
        ("not JSON", "not JSON"),
        ("[]", "must be an object"),
        ('{"a": 5}', "respelling"),
        ('{"a": "/日/"}', "IPA"),
    ],
)
def test_an_invalid_lexicon_is_rejected_before_models_load(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    path = tmp_path / "words.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=complaint):
        chat._engines(parsed("--lexicon", str(path), "--weights", str(tmp_path)))
