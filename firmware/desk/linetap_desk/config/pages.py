# SPDX-License-Identifier: Apache-2.0
"""The settings of `linetap desk serve`: the [serve] table of desk.toml, and its fields of the other tables."""

from __future__ import annotations

import argparse
import ipaddress
from datetime import time
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import passkey
from linetap_core.wire.hosts import is_host
from linetap_desk.config import desk as desksettings
from linetap_desk.config.desk import OidcConfig, ServeConfig, is_https
from linetap_desk.inputs.strict import zone_of
from linetap_desk.web.roles import ROLES
from linetap_desk.web.secure import Address
from linetap_desk.web.server import loopback_address


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings. `desk`: the whole desk.toml, with absolute paths."""

    host: str
    port: int
    url: str | None
    signing: str | None
    passkey_roles: frozenset[str]
    certificate: Path | None
    key: Path | None
    db: str
    log_key: Path
    zone: ZoneInfo
    proxies: frozenset[Address]
    idle_s: int
    watch_idle_s: int
    session_s: int
    opens: time
    closes: time
    access_days: int
    metrics: tuple[str, int] | None
    oidc: OidcConfig | None
    desk: desksettings.DeskConfig


def read_settings(path: Path) -> Settings:
    """The settings. BadInput for missing, contradictory or unsafe ones."""
    desk, _ = desksettings.read_config(argparse.Namespace(config=path, broker=None))
    serve = desk.serve
    host, port = _address(path, serve.listen)
    if serve.certificate is None and not ipaddress.ip_address(host).is_loopback:
        raise BadInput(f"{path}: serve.listen {serve.listen}: on the network by TLS only: serve.certificate is missing")
    if (serve.certificate is None) != (serve.key is None):
        raise BadInput(f"{path}: serve.certificate and serve.key go together")
    if serve.oidc is not None and not is_https(serve.oidc.issuer):
        raise BadInput(f"{path}: serve.oidc.issuer {serve.oidc.issuer}: https://id.city.example expected")
    opens, closes = _hours(path, serve.working_hours)
    return Settings(
        host=host,
        port=port,
        url=_url(path, serve.url),
        signing=_signing(path, serve),
        passkey_roles=_passkey_roles(path, serve),
        certificate=None if serve.certificate is None else Path(serve.certificate),
        key=None if serve.key is None else Path(serve.key),
        db=serve.db,
        log_key=Path(serve.log_key),
        zone=zone_of(serve.zone),
        proxies=_proxies(path, serve),
        idle_s=serve.idle_minutes * 60,
        watch_idle_s=serve.watch_idle_minutes * 60,
        session_s=serve.session_hours * 3600,
        opens=opens,
        closes=closes,
        access_days=serve.access_days,
        metrics=None if (at := serve.metrics) is None else loopback_address(at, f"{path}: serve.metrics {at}"),
        oidc=serve.oidc,
        desk=desk,
    )


def _address(path: Path, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        address, number = ipaddress.ip_address(host.strip("[]")), int(port)
        if not 0 <= number <= 65_535:
            raise ValueError
    except ValueError:
        raise BadInput(f"{path}: serve.listen {text}: 0.0.0.0:8443 expected") from None
    return str(address), number


def _url(path: Path, text: str | None) -> str | None:
    if text is None:
        return None
    if urlsplit(text).scheme != "https" or not _is_site(text):
        raise BadInput(f"{path}: serve.url {text}: https://desk.city.example expected{_in_ascii(text)}")
    return _origin(text)


def _is_site(text: str) -> bool:
    """Whether it is the address of a whole site, on a host as browsers write it."""
    url = urlsplit(text)
    whole = url.path in ("", "/") and not url.query and not url.fragment
    return whole and is_host(url.hostname or "") and url.port != 0 and "@" not in url.netloc


def _in_ascii(text: str) -> str:
    """More for a message about a host in Korean: a browser sends another Origin, and every form would be refused."""
    return "" if text.isascii() else "; a name in other letters in its form xn--..."


def _origin(text: str) -> str:
    """The address as browsers send it in Origin."""
    url = urlsplit(text)
    return f"{url.scheme}://{url.netloc.lower().removesuffix(':443').removesuffix(':')}"


def _signing(path: Path, serve: ServeConfig) -> str | None:
    """The address of the signing page. BadInput on a host of the desk's own pages, which could then request signatures
    of its passkeys."""
    if serve.signing is None:
        return None
    url = urlsplit(serve.signing)
    host = url.hostname or ""
    plain = url.scheme == "http" and passkey.is_local(host)
    if not (url.scheme == "https" or plain) or not _is_site(serve.signing):
        text = f"https://sign.city.example expected{_in_ascii(serve.signing)}"
        raise BadInput(f"{path}: serve.signing {serve.signing}: {text}")
    if not passkey.is_site(host) or host.replace(".", "").isdigit():
        raise BadInput(f"{path}: serve.signing {serve.signing}: a host name expected, since passkeys have no addresses")
    own = urlsplit(serve.url or "").hostname or ""
    if host == own or own.endswith(f".{host}"):
        text = "the pages of serve.url could use its passkeys: a host of its own, beside it, expected"
        raise BadInput(f"{path}: serve.signing {serve.signing}: {text}")
    return _origin(serve.signing)


def _passkey_roles(path: Path, serve: ServeConfig) -> frozenset[str]:
    found = frozenset(serve.passkey_roles)
    if strange := found - set(ROLES):
        raise BadInput(f"{path}: serve.passkey_roles: {', '.join(sorted(strange))}: {', '.join(ROLES)} expected")
    host = urlsplit(serve.url or "").hostname or ""
    if found and (not passkey.is_site(host) or host.replace(".", "").isdigit()):
        raise BadInput(f"{path}: serve.passkey_roles: passkeys need a host name: serve.url https://desk.city.example")
    return found


def _hours(path: Path, text: str) -> tuple[time, time]:
    try:
        opens, closes = (time.fromisoformat(part) for part in text.split("-"))
        if opens >= closes:
            raise ValueError
    except ValueError:
        raise BadInput(f"{path}: serve.working_hours {text}: 08:00-19:00 expected") from None
    return opens, closes


def _proxies(path: Path, serve: ServeConfig) -> frozenset[Address]:
    try:
        return frozenset(ipaddress.ip_address(text) for text in serve.proxies)
    except ValueError as error:
        raise BadInput(f"{path}: serve.proxies: {error}") from None
