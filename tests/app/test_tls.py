"""A self-signed certificate is made once, for this machine's names, and browsers can check it."""

import datetime
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from app import tls
from data.errors import OutputError


def greeted(key: Path, certificate: Path, name: str) -> bytes:
    """What a client that trusts the certificate, and checks its name, reads from a server."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=certificate)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(theirs, server_side=True) as connection:
            connection.sendall(b"hello")

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(ours, server_hostname=name) as connection:
        found = connection.recv(5)
    thread.join()
    return found


def test_the_certificate_is_for_this_machine(tmp_path: Path) -> None:
    key, certificate = tls.self_signed("192.168.1.7", tmp_path)
    for name in ("localhost", "127.0.0.1", "192.168.1.7"):
        assert greeted(key, certificate, name) == b"hello"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(tls.fingerprint(certificate).split(":")) == 32


def test_it_is_kept_while_it_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, certificate = tls.self_signed("0.0.0.0", tmp_path)
    first = tls.fingerprint(certificate)
    tls.self_signed("::", tmp_path)
    assert tls.fingerprint(certificate) == first
    tls.self_signed("host.example", tmp_path)  # it does not name this one
    second = tls.fingerprint(certificate)
    assert second != first
    monkeypatch.setattr(tls, "_LEFT_DAYS", 400)  # as if it were about to expire
    tls.self_signed("host.example", tmp_path)
    assert tls.fingerprint(certificate) != second
    certificate.write_text("damaged")
    tls.self_signed("host.example", tmp_path)
    assert len(tls.fingerprint(certificate)) == 95
    assert datetime.timedelta(days=tls._DAYS) < datetime.timedelta(days=398)  # browsers' limit


def test_a_certificate_never_stands_beside_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = tls.self_signed("localhost", tmp_path)
    key.unlink()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OutputError):
        patched.setattr(Path, "write_bytes", full)
        tls.self_signed("localhost", tmp_path)
    assert greeted(*tls.self_signed("localhost", tmp_path), "localhost") == b"hello"


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--ssl-keyfile"):
        tls.self_signed("localhost", tmp_path / "file")
