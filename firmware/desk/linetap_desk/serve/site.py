# SPDX-License-Identifier: Apache-2.0
"""What every handler gets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from linetap_core.clock import Clock
from linetap_desk.serve.access.log import AccessTable
from linetap_desk.serve.fleet.hub import Hub
from linetap_desk.serve.pages import Pages
from linetap_desk.serve.people.oidc import Oidc
from linetap_desk.serve.people.people import People
from linetap_desk.serve.settings import Settings


@dataclass(slots=True)
class Figures:
    """What figures.py serves of the pages' own work. `port`: where it is served, once it is."""

    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # template, method, status
    port: int | None = None


@dataclass(slots=True)
class Site:
    """`desk`: the ingest's database, to be read only; None where none is configured. `own`: people, access log."""

    settings: Settings
    clock: Clock
    own: Engine
    desk: Engine | None
    people: People
    access: AccessTable
    pages: Pages
    fleet: Hub
    oidc: Oidc | None = None
    calls: Any = None
    figures: Figures = field(default_factory=Figures)
