# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command sets it, before numpy loads
# Containers often set it. Each program that a test starts would compile what it imports, for a second or two; and
# pytest every module of tests, in each of its processes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import gc
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import soak_table
from broker import MOSQUITTO_21, PROGRAMS, Broker
from bundle_rig import BundleRig
from held_up import HeldUpTests
from linetap.checks import machine
from linetap_core.durable import broken
from postgres_rig import Postgres
from release_rig import Desk
from reporter_rig import Floor

sys.dont_write_bytecode = False

# No assertion on time: a machine that is busy with something else is no failure. The examples of a commit are the same
# wherever it is tested; those that nobody has thought of are the soak's.
settings.register_profile("linetap", deadline=None, derandomize="LINETAP_SOAK_MINUTES" not in os.environ)
settings.load_profile("linetap")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(HeldUpTests(), "held-up")


def pytest_collection_finish() -> None:
    """Some thousand tests and what they import live to the end: a tenth of the time would go into looking whether they
    are garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Of the long tests one table, whatever each has printed."""
    for line in soak_table.lines(soak_table.ROWS):
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's unit has no heat, supply or disks of its own: how the machine is that runs it must not matter."""
    monkeypatch.setattr(machine, "ROOT", Path("/nowhere"))


@pytest.fixture(autouse=True)
def _nothing_broken() -> None:
    """A process remembers which files it has found broken; each test is a process that begins."""
    broken.forget()


@pytest.fixture(autouse=True)
def _templates_name_what_is_there(request: pytest.FixtureRequest) -> Iterator[None]:
    """At the desk, an attribute that a page names and that does not exist fails the test that has it rendered."""
    if request.path.parent.name != "desk":
        yield
        return
    import template_watch  # which loads Jinja

    template_watch.begin()
    yield
    assert not (found := template_watch.faults()), found


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A folder in RAM, as /run/linetap is: the ring refuses to lie anywhere else."""
    folder = Path(tempfile.mkdtemp(prefix="linetap-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture(scope="module", params=PROGRAMS)
def edition(request: pytest.FixtureRequest) -> str:
    """Of Mosquitto: Debian's, and the next one where somebody has unpacked it."""
    if request.param == "2.1" and not MOSQUITTO_21.exists():
        pytest.skip("no Mosquitto 2.1 here: tools/mosquitto21.sh build/mosquitto21")
    return str(request.param)


@pytest.fixture
def floor(tmp_path: Path, run_dir: Path, broker: Broker) -> Iterator[Floor]:
    with Floor(tmp_path, run_dir, broker.port) as floor:
        yield floor


@pytest.fixture(scope="session")
def made_desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: keys take their time."""
    root = tmp_path_factory.mktemp("desk")
    Desk.make(root)
    return root


@pytest.fixture
def desk(made_desk: Path, run_dir: Path) -> Desk:
    """A desk of one's own, with people, roles and two calls; in RAM, where a sync takes no time."""
    shutil.copytree(made_desk, run_dir / "desk")
    return Desk.at(run_dir / "desk")


@pytest.fixture(scope="session")
def made_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, as the desk is."""
    root = tmp_path_factory.mktemp("bundle")
    BundleRig.make(root)
    return root


@pytest.fixture
def bundled(made_bundle: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> BundleRig:
    """Two calls, their log, and all that witness, authority, officer and desk have made of them; no roles in force."""
    monkeypatch.setenv("HOME", str(run_dir / "home"))
    shutil.copytree(made_bundle, run_dir / "bundle")
    return BundleRig.at(run_dir / "bundle")


@pytest.fixture
def call(desk: Desk) -> Path:
    return desk.call


@pytest.fixture
def other(desk: Desk) -> Path:
    return desk.other
