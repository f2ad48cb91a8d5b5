# SPDX-License-Identifier: Apache-2.0
"""Serves metrics of the pages in Prometheus' text format: `[serve] metrics`, on the loopback only. They contain no
person, call or address.

Counters start at zero with the process. A page is named by its template (`/calls/{unit}/{call_id:path}`), never by
typed text.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import get_args

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from linetap_core import __version__
from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_desk.ingest.metrics import Sample, Server, metric_family
from linetap_desk.serve.citizen import store as citizens
from linetap_desk.serve.database.accesslog import ChainFault, last_head
from linetap_desk.serve.database.tables import access, sessions
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.handling.site import Site
from linetap_desk.watch.units import Standing


def exposition(site: Site) -> str:
    """All metrics. An unreachable database is itself a metric, not an error."""
    return "".join(metric_family(*each) for each in _families(site))


def _families(site: Site) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    yield "linetap_serve_info", "gauge", "The pages' software.", [({"version": __version__}, 1)]
    away = {"pages": _is_away(site.own)} | ({} if site.ingest_db is None else {"ingest": _is_away(site.ingest_db)})
    yield (
        "linetap_serve_database_away", "gauge", "1: the database of the pages, or of the ingest, cannot be read.",
        [({"database": name}, gone) for name, gone in away.items()],
    )  # fmt: skip
    yield (
        "linetap_serve_access_log_writable", "gauge", "0: nothing can be logged, so nothing is shown.",
        [({}, not away["pages"] and _is_writable(site))],
    )  # fmt: skip
    if not away["pages"]:
        yield "linetap_serve_sessions", "gauge", "Sessions that have not ended.", _sessions(site)
        yield (
            "linetap_serve_access_requests", "gauge", "Open requests of citizens, by what is left of their ten days.",
            _citizens(site),
        )  # fmt: skip
    yield (
        "linetap_serve_refusals_total", "counter", "Refusals by logged act: login, unlock and pages.",
        [({"act": act}, count) for act, count in sorted(site.access.refused.copy().items())],
    )  # fmt: skip
    yield (
        "linetap_serve_answers_total", "counter", "Answers, by the page's template and their status.",
        [({"page": page, "method": method, "status": str(status)}, count)
         for (page, method, status), count in sorted(site.figures.answers.copy().items())],
    )  # fmt: skip
    yield "linetap_serve_streams", "gauge", "Open pages with live updates.", [({}, site.fleet.streams)]
    link, standings = site.fleet.figures()
    yield "linetap_serve_broker_live", "gauge", "0: the pages' state of units is out of date.", [({}, link == "live")]
    yield (
        "linetap_serve_units", "gauge", "Units as the pages show them.",
        [({"standing": standing}, standings[standing]) for standing in get_args(Standing)],
    )  # fmt: skip


def _sessions(site: Site) -> Iterator[Sample]:
    now = rfc3339(site.clock.utc_ns())
    wanted = select(sessions.c.locked, func.count()).where(sessions.c.ends_at > now).group_by(sessions.c.locked)
    with contextlib.suppress(SQLAlchemyError), site.own.connect() as db:
        found: dict[bool, int] = {row[0]: row[1] for row in db.execute(wanted)}
        yield from (({"state": name}, found.get(locked, 0)) for name, locked in (("open", False), ("locked", True)))


def _citizens(site: Site) -> Iterator[Sample]:
    today = site.pages.local(site.clock.utc_ns()).date()
    with contextlib.suppress(SQLAlchemyError), site.own.connect() as db:
        yield from (({"state": urgency}, count) for urgency, count in citizens.count_by_urgency(db, today).items())


def _is_away(engine: Engine) -> bool:
    try:
        with engine.connect() as db:
            db.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return True
    return False


def _is_writable(site: Site) -> bool:
    """Whether a write transaction starts, the log ends with its signed head, and the table accepts a change of no
    row."""
    try:
        with writing(site.own) as db:
            last_head(db, site.access.key.public_key())
            db.execute(update(access).where(access.c.seq < 0).values(act=""))
    except (SQLAlchemyError, ChainFault):
        return False
    return True


@contextlib.asynccontextmanager
async def lifespan(site: Site) -> AsyncIterator[None]:
    """Serves the metrics while the pages run, if configured. BadInput if the port is taken."""
    if site.settings.metrics is None:
        yield
        return
    host, port = site.settings.metrics
    try:
        server = Server((host, port), lambda: exposition(site))
    except OSError as error:
        raise BadInput(f"serve.metrics {host}:{port}: {error.strerror}") from None
    site.figures.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
