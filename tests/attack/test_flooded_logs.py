# SPDX-License-Identifier: Apache-2.0
"""An attacker makes another service repeat a message so often that journald, with its limit for each service, drops
that service's other messages. Each kind of line has its own limit.
"""

from __future__ import annotations

import configparser
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from linetap.recorder.control import ControlSocket
from linetap.sockets import SocketClient
from linetap_core.clock import NS_PER_S, SYSTEM, ManualClock
from linetap_core.log import MOST_OF_A_KIND, WINDOW_S, RateLimit
from linetap_core.records import RECORDER_SOCKET
from linetap_core.service import start_logging

JOURNAL = Path(__file__).resolve().parents[2] / "systemd" / "journald@linetap.conf.d" / "linetap.conf"


class Kept(logging.Handler):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.addFilter(RateLimit(clock))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger("linetap")
    before = root.handlers, root.level
    root.setLevel(logging.INFO)
    yield root
    root.handlers, level = before
    root.setLevel(level)


def test_a_flood_of_one_kind_leaves_the_other_messages(root: logging.Logger) -> None:
    clock = ManualClock(monotonic_ns=NS_PER_S)
    root.handlers = [kept := Kept(clock)]
    log = root.getChild("recorder")
    for number in range(1000):
        log.warning("request_refused: %s", number)
    log.error("disk_full: %s", "the vault")
    assert len(kept.lines) == MOST_OF_A_KIND + 1
    assert kept.lines[-2] == f"request_refused: {MOST_OF_A_KIND - 1} (more of these are left out for {WINDOW_S} s)"
    assert kept.lines[-1] == "disk_full: the vault"
    clock.advance(WINDOW_S * NS_PER_S)
    log.warning("request_refused: %s", "again")
    assert kept.lines[-1] == "request_refused: again (940 more of these before it were left out)"
    log.warning("request_refused: %s", "and again")
    assert kept.lines[-1] == "request_refused: and again"


def test_the_bound_of_a_kind_is_well_below_the_journals() -> None:
    found = configparser.ConfigParser()
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(JOURNAL)
    journal = found["Journal"]
    assert journal["RateLimitIntervalSec"] == f"{WINDOW_S}s"
    assert int(journal["RateLimitBurst"]) >= 8 * MOST_OF_A_KIND


def test_other_handlers_have_the_record_as_it_is(root: logging.Logger) -> None:
    root.handlers = [kept := Kept(ManualClock()), plain := logging.Handler()]
    said: list[str] = []
    plain.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    for _ in range(MOST_OF_A_KIND + 5):
        root.warning("x")
    assert said == ["x"] * (MOST_OF_A_KIND + 5)
    assert kept.lines[-1].startswith("x (more")


def test_kinds_without_end_take_no_memory(root: logging.Logger) -> None:
    root.handlers = [kept := Kept(ManualClock())]
    for number in range(5000):
        root.warning(f"a line of its own: {number}")
    (bounded,) = kept.filters
    assert isinstance(bounded, RateLimit)
    assert len(bounded._kinds) <= 1000


@pytest.mark.usefixtures("root")
def test_the_panel_at_the_recorders_door(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through its real socket, into a service's handler."""
    log = start_logging("recorder")
    with closing(ControlSocket(run_dir, SYSTEM)) as door, closing(SocketClient(run_dir / RECORDER_SOCKET)) as panel:
        for _ in range(300):
            panel.send(b'{"verb":"give_me"}')
            door.serve(lambda _: None)
            panel.answers()
        door.serve(lambda _: None)
    log.error("disk_full: the vault")
    said = capsys.readouterr().err.splitlines()
    assert sum("request_refused" in line for line in said) == MOST_OF_A_KIND
    assert said[-1].endswith("disk_full: the vault")
