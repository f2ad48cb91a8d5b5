# SPDX-License-Identifier: Apache-2.0
"""The [serve] table of desk.toml. Paths are relative to the file."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core.zones import KOREA


class OidcConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider says who somebody is; what they may is said here, by `linetap desk people`."""

    issuer: str  # https://id.city.example
    client_id: str
    client_secret: str  # a file
    ca: str | None = None  # else the machine's own
    name: str = "OIDC"  # as the login page has it


class ServeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    listen: str = "127.0.0.1:8443"
    url: str | None = None  # what people type; default https:// and the address it listens on
    certificate: str | None = None  # TLS, with its key; may be missing on the loopback alone
    key: str | None = None
    db: str = "sqlite:///serve.db"  # its own: people, sessions, access log
    log_key: str = "serve.key"  # signs the access log's head: `linetap keygen unit` makes one
    zone: str = KOREA
    proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For counts
    idle_minutes: Annotated[int, Meta(ge=1, le=1440)] = 15
    watch_idle_minutes: Annotated[int, Meta(ge=1, le=10080)] = 720  # of who has the role watch alone: a wall
    session_hours: Annotated[int, Meta(ge=1, le=168)] = 12
    working_hours: str = "08:00-19:00"  # Monday to Friday; what is seen at other times is counted in the review
    lines: str | None = None  # CSV: unit,line,extension,department,from, as `linetap find --table` has it
    metrics: str | None = None  # HOST:PORT of the loopback: figures for Prometheus
    access_days: Annotated[int, Meta(ge=731, le=3660)] = 731  # two years
    roles: str | None = None  # roles.json as the authority signed it, its .sig beside it: releases and holds need it
    authority: str | None = None  # the authority's .pub file
    oidc: OidcConfig | None = None
    fleet_certificate: str | None = None  # for the broker, of a name that nobody else has, with its key
    fleet_key: str | None = None
