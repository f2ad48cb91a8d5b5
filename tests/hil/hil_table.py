# SPDX-License-Identifier: Apache-2.0
"""A plugin of pytest for `./build.sh hil`: a machine for each test, and a table of the results.

Parallel runs, one for each processor, share the list of tests by a folder `--taken`: each takes the remaining test with
the longest duration (takes.py), until none is left. All share the same kept machines, in the folder `--shared`: the run
that needs one first makes it. Tests that share a fixture of their file run together.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import pickle
import resource
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from machine import IMAGE, Kept, Machine
from takes import TAKES

from linetap_core.clock import NS_PER_S, SYSTEM

if TYPE_CHECKING:
    from keptunit import Site  # imports modules of tests/, which pytest finds only after its plugins


@dataclass(frozen=True)
class Row:
    text: str
    outcome: str
    seconds: float
    worked_s: float  # processor seconds of its machines


_ROWS: list[Row] = []
_OUTCOME = pytest.StashKey[str]()
_TAKEN: set[str] = set()
NOTES: list[str] = []  # measurements of a test, for a person
_PIECE_BYTES = 256 << 20
_PIECES_S: list[float] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--taken", type=Path, help="a folder, new for the runs side by side, of which tests one has")
    parser.addoption("--shared", type=Path, help="a folder, new for the runs side by side, of what all go on from")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the longest tests, so that none runs alone at the end."""
    items.sort(key=lambda item: (-_takes(_group(item)), _group(item)))


def _group(item: pytest.Item) -> str:
    """The tests of one run: those of a file that share one of its fixtures, or a single test."""
    fixtures: dict[str, Any] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    shares = any(definitions[-1].scope == "module" for definitions in fixtures.values())
    return item.nodeid.partition("::")[0] if shares else item.nodeid


def _takes(group: str) -> float:
    """The group's duration from its own row, or from that of its test with other parameters."""
    name = group.rpartition("/")[2]
    return TAKES.get(name, TAKES.get(name.partition("[")[0], math.inf))


def _taken(item: pytest.Item) -> bool:
    """Whether this run gets the test, as the first to claim it."""
    group = _group(item)
    folder: Path | None = item.config.getoption("taken")
    if folder is None or group in _TAKEN:
        return True
    mark = folder / hashlib.sha256(group.encode()).hexdigest()
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    _TAKEN.add(group)
    return True


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with a card in factory state, switched off."""
    assert IMAGE.exists(), "./build.sh image makes the image"
    with Machine(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder shared by this run and its parallel runs."""
    found: Path | None = pytestconfig.getoption("shared")
    return tmp_path_factory.mktemp("shared") if found is None else found


@pytest.fixture(scope="session")
def site(shared: Path) -> Site:
    """An office with its keys."""
    from keptunit import Site

    assert IMAGE.exists(), "./build.sh image makes the image"
    return once(shared / "site", Site.new)


@pytest.fixture(scope="session")
def connected(site: Site, shared: Path) -> Kept:
    """A connected unit, made from this run's image and tests, never from an earlier run."""
    from keptunit import UnitMaker

    with UnitMaker(site, shared) as maker:
        return maker.connected()


@pytest.fixture(scope="session")
def kept(site: Site, shared: Path) -> Kept:
    """A unit without alerts, also made by this run."""
    from keptunit import UnitMaker

    with UnitMaker(site, shared) as maker:
        return maker.settled()


def once[T](folder: Path, make: Callable[[Path], T]) -> T:
    """The object made by the first run that needs it; the other waits for it, and makes its own if the first failed."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it when a run ends, and pytest ends a hanging test
        done = folder.with_suffix(".made")
        if done.exists():
            made: T = pickle.loads(done.read_bytes())
            return made
        own = folder.with_name(f"{folder.name}-{SYSTEM.monotonic_ns()}")
        own.mkdir()
        made = make(own)
        done.write_bytes(pickle.dumps(made))
        return made


def _piece() -> float:
    """Processor seconds of a fixed piece of work, for the comparison of machines."""
    began_ns, block = time.process_time_ns(), bytes(1 << 20)
    digest = hashlib.sha256()
    for _ in range(_PIECE_BYTES >> 20):
        digest.update(block)
    return (time.process_time_ns() - began_ns) / NS_PER_S


def _worked() -> float:
    """Processor seconds used by this process's machines, both ended and running."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with contextlib.suppress(OSError):  # it has just ended
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Skips a test that the parallel run has; only ends the fixtures left by the previous test."""
    if _taken(item):
        return None
    item.session._setupstate.teardown_exact(nextitem)
    return True


class _Rows:
    """The table's rows, one for each test, including the work of its fixtures."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, bool | None, bool | None]:
        if not _taken(item):
            return (yield)
        _PIECES_S.append(_piece())
        began_ns, worked_s = SYSTEM.monotonic_ns(), _worked()
        done = yield
        text = (item.function.__doc__ or item.name).strip().splitlines()[0]  # type: ignore[attr-defined]
        took_s = (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S
        _ROWS.append(Row(text, item.stash[_OUTCOME], took_s, _worked() - worked_s))
        return done


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Rows())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "setup" or report.outcome != "passed":
        item.stash[_OUTCOME] = report.outcome


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _ROWS:
        piece_s = sum(_PIECES_S) / len(_PIECES_S)
        terminalreporter.section("the emulated machine")
        for row in _ROWS:
            terminalreporter.line(f"{row.outcome:7} {row.seconds:5.0f} s {row.worked_s / piece_s:6.0f}  {row.text}")
        for note in NOTES:
            terminalreporter.line(f"{'':24}{note}")
        terminalreporter.line(
            "the second figure: a processor's time, beside whatever else, in units of "
            f"the {piece_s:.2f} s that SHA-256 of {_PIECE_BYTES >> 20} MiB takes here"
        )
