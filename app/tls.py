"""The server's certificate: the user's, or a self-signed one, made once and kept."""

import argparse
import contextlib
import datetime
import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

from app.library import data_folder
from data.errors import InputError, OutputError

_DAYS, _LEFT_DAYS = 365, 7


def add_tls(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `tls_files` reads."""
    add = parser.add_argument
    add("--ssl-keyfile", type=Path, help="TLS private key (PEM), with --ssl-certfile")
    add("--ssl-certfile", type=Path, help="TLS certificate (PEM), with --ssl-keyfile")
    add(
        "--self-signed",
        action="store_true",
        help="HTTPS with a certificate of this server's own; browsers ask once whether to trust it",
    )


def check_tls(args: argparse.Namespace) -> None:
    """Raises InputError for options that do not go together, or missing files."""
    if bool(args.ssl_keyfile) != bool(args.ssl_certfile):
        raise InputError("--ssl-keyfile and --ssl-certfile must be given together")
    if args.self_signed and args.ssl_keyfile:
        raise InputError("give either --self-signed or --ssl-keyfile and --ssl-certfile")
    for path in (args.ssl_keyfile, args.ssl_certfile):
        if path is not None and not path.is_file():
            raise InputError(f"{path} does not exist; give the PEM file")


def tls_files(args: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """The files of the private key and the certificate; None without TLS.

    Raises:
        InputError: see `check_tls`.
        OutputError: a self-signed certificate cannot be kept.
    """
    check_tls(args)
    if args.self_signed:
        return self_signed(args.host)
    return args.ssl_keyfile, args.ssl_certfile


def self_signed(host: str, folder: Path | None = None) -> tuple[Path, Path]:
    """Files of a private key and a self-signed certificate for this machine.

    They are made again before they expire, or for a host that the old certificate does not name.

    Args:
        host: the address that the server binds to.
        folder: where they are kept (default: in the user's data folder).

    Raises:
        OutputError: they cannot be kept there.
    """
    folder = folder or data_folder() / "tls"
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname(), host.strip("[]")}
    names -= {"", "0.0.0.0", "::"}
    if not (key.is_file() and _still_good(certificate, names)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _make(key, certificate, names)
        except OSError as error:
            raise OutputError(
                f"the certificate cannot be kept in {folder} ({error.strerror}); give "
                "--ssl-keyfile and --ssl-certfile"
            ) from error
    return key, certificate


def fingerprint(certificate: Path) -> str:
    """The SHA-256 of a certificate, as browsers show it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    return found.fingerprint(hashes.SHA256()).hex(":").upper()


def _still_good(certificate: Path, names: set[str]) -> bool:
    from cryptography import x509

    with contextlib.suppress(OSError, ValueError, x509.ExtensionNotFound):
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        left = found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        return left.days >= _LEFT_DAYS and names <= {str(one.value) for one in named}
    return False


def _make(key: Path, certificate: Path, names: set[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Repartee on this machine")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(list(map(_named, sorted(names)))), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(private, hashes.SHA256())
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate.unlink(missing_ok=True)  # one that is there belongs to the key that is there
    key.unlink(missing_ok=True)
    with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(secret)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _named(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
