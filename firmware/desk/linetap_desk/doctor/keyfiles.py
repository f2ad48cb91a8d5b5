# SPDX-License-Identifier: Apache-2.0
"""Checks that keys are readable for one user only, that databases are closed to others, and that certificates are
valid."""

from __future__ import annotations

import contextlib
import pwd
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from linetap_core.enrolment.certificates import UNREADABLE
from linetap_core.errors import BadInput, file_and_reason
from linetap_desk.config.desk import DeskConfig
from linetap_desk.doctor import Finding
from linetap_desk.ingest import database
from linetap_desk.pki.authority import KEY
from linetap_desk.setup import machine

SOON = timedelta(days=30)
_MAY_LIE_HERE = timedelta(days=7)
_AGAIN = "linetap desk setup, with the authority's medium as --pki DIR, makes another"


def modes(config: DeskConfig, broker_here: bool) -> Iterator[Finding]:
    serve = config.serve
    of_desk, of_pages = (config.key, config.broker.key), (serve.key, serve.log_key, serve.fleet_key)
    for user, paths in ((machine.DESK, of_desk), (machine.PAGES, of_pages), ("root", (config.send.key,))):
        for path in paths:
            if path is not None:
                yield _closed(Path(path), user, 0o077)
    for user, url, closed in ((machine.DESK, config.db, 0o007), (machine.PAGES, serve.db, 0o077)):
        if url is not None and (file := database.file_of(database.parse_url(url))) is not None:
            yield _closed(file, user, closed)
    if broker_here:
        yield _closed(machine.MOSQUITTO_FILES / "broker.key", "root", 0o037)


def _closed(path: Path, user: str, never: int) -> Finding:
    """Whether the file is closed to others. `never`: the mode bits that it must not have."""
    try:
        found = path.stat()
        name = pwd.getpwuid(found.st_uid).pw_name
    except OSError as error:
        return Finding("file", f"{path}: {error.strerror}", "linetap desk setup makes it")
    except KeyError:
        name = f"uid {found.st_uid}"
    if name != user:
        return Finding("file", f"{path} is {name}'s", f"chown {user} {path}")
    if open_to := found.st_mode & never:
        return Finding(
            "file", f"{path} is open to others, by {open_to:03o}", f"chmod {found.st_mode & 0o777 & ~never:o} {path}"
        )
    return Finding("file", f"{path} is {user}'s")


def certificates(config: DeskConfig, broker_here: bool, now: datetime) -> Iterator[Finding]:
    for certificate, key in _certificates_and_keys(config, broker_here):
        yield certificate_and_key(certificate, key, now)


def ending_certificates(config: DeskConfig, now: datetime, within: timedelta) -> Iterator[tuple[Path, datetime]]:
    """The certificates that end within this time, and their ends; without those that this user cannot read."""
    for path, _ in _certificates_and_keys(config, broker_here=True):
        with contextlib.suppress(OSError, *UNREADABLE):
            until = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
            if until - now < within:
                yield path, until


def _certificates_and_keys(config: DeskConfig, broker_here: bool) -> Iterator[tuple[Path, Path | None]]:
    serve = config.serve
    pairs = [
        (config.broker.certificate, config.broker.key),
        (serve.certificate, serve.key),
        (serve.fleet_certificate, serve.fleet_key),
        (config.send.certificate, config.send.key),
        (config.broker.ca, None),
    ]
    for certificate, key in pairs:
        if certificate is not None:
            yield Path(certificate), None if key is None else Path(key)
    if broker_here:
        yield machine.MOSQUITTO_FILES / "broker.pem", machine.MOSQUITTO_FILES / "broker.key"


def certificate_and_key(path: Path, key: Path | None, now: datetime) -> Finding:
    """Whether the certificate can be used today and for another month."""
    try:
        made = x509.load_pem_x509_certificate(path.read_bytes())
        if key is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key, password=_no_password)
    except ssl.SSLError:
        return Finding("certificate", f"{path}: does not fit its key {key}", _AGAIN)
    except OSError as error:
        return Finding("certificate", file_and_reason(error, path), _AGAIN)
    except UNREADABLE:
        return Finding("certificate", f"{path}: not a certificate in PEM", _AGAIN)
    until = made.not_valid_after_utc
    if now >= until:
        return Finding("certificate", f"{path}: ended on {until:%Y-%m-%d}", _AGAIN)
    if now < made.not_valid_before_utc:
        return Finding("certificate", f"{path}: begins on {made.not_valid_before_utc:%Y-%m-%d}", "set the clock")
    if until - now < SOON:
        return Finding("certificate", f"{path}: ends on {until:%Y-%m-%d}", _AGAIN)
    return Finding("certificate", f"{path}: until {until:%Y-%m-%d}")


def authority_here(now: datetime, folder: Path = machine.PKI) -> Finding:
    """Whether the authority's folder is here: an attacker with this server would admit units to the broker. It may be
    here for a week after it was made."""
    key = folder / KEY
    try:
        made = datetime.fromtimestamp(key.stat().st_mtime, UTC)
    except OSError:
        return Finding("authority", f"{key} is not on this server")
    if now - made < _MAY_LIE_HERE:
        return Finding(
            "authority", f"{key} lies on this server; within a week of its making it has to be kept elsewhere"
        )
    days = (now - made).days
    return Finding(
        "authority", f"{key} has lain on this server for {days} days", f"move {folder} to a medium in a safe"
    )


def _no_password() -> str:
    raise BadInput("has a passphrase")
