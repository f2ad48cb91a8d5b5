# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests."""
# ruff: noqa: E402 - some settings must come before the imports

from __future__ import annotations

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command sets it, before numpy loads
# Containers often set it. Then each program started by a test would compile its imports, for a second or two, and
# pytest hypothesis, the rigs imported below and every test module, in each of its processes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

import gc
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import soak_table
from broker import MOSQUITTO_21, PROGRAMS, Broker
from bundle_rig import BundleRig
from held_up import HeldUpTests
from linetap.checks import machine
from linetap.config import Config
from linetap_core.durable import broken
from postgres_rig import Postgres
from release_rig import Desk
from reporter_rig import Floor
from sealing_rig import Rig
from unclosed import UnclosedSockets
from unit_rig import Unit, make_unit

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from sqlalchemy import Engine

    from ingest_rig import Teller

# No deadline: a busy machine is no failure. A commit has the same examples on every machine; only the soak draws new
# ones.
settings.register_profile("linetap", deadline=None, derandomize="LINETAP_SOAK_MINUTES" not in os.environ)
settings.load_profile("linetap")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(HeldUpTests(), "held-up")
    config.pluginmanager.register(UnclosedSockets(), "unclosed-sockets")


def pytest_collection_finish() -> None:
    """Excludes tests and modules from garbage collection, which would take a tenth of the time: they live
    to the end.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints one table of the long tests' figures."""
    for line in soak_table.lines(soak_table.ROWS):
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides this machine's heat, supply and disks from the tests' units."""
    monkeypatch.setattr(machine, "ROOT", Path("/nowhere"))


@pytest.fixture(autouse=True)
def _nothing_broken() -> None:
    """Clears the process's list of broken files: each test represents a new process."""
    broken.forget()


@pytest.fixture(autouse=True)
def _templates_name_what_is_there(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test of the desk whose template names an attribute that does not exist."""
    if request.path.parent.name != "desk":
        yield
        return
    import template_watch  # loads Jinja

    template_watch.begin()
    yield
    assert not (found := template_watch.faults()), found


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A folder in RAM, like /run/linetap: the ring refuses any other place."""
    folder = Path(tempfile.mkdtemp(prefix="linetap-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Unit:
    """A whole unit with its keys, a notice and a configuration."""
    return make_unit(tmp_path, run_dir)


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    """The configuration of a whole unit."""
    return make_unit(tmp_path, run_dir).config


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An ingest's empty database."""
    from linetap_desk.ingest import database  # loads SQLAlchemy

    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def teller(tmp_path: Path) -> Teller:
    """A unit that reports events to an ingest."""
    from ingest_rig import Teller

    return Teller(tmp_path / "unit")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from servesite import chromium  # loads Playwright

    with chromium() as browser:
        yield browser


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture(scope="module", params=PROGRAMS)
def edition(request: pytest.FixtureRequest) -> str:
    """The edition of Mosquitto: Debian's, and the next one if it is unpacked."""
    if request.param == "2.1" and not MOSQUITTO_21.exists():
        pytest.skip("no Mosquitto 2.1 here: tools/mosquitto21.sh build/mosquitto21")
    return str(request.param)


@pytest.fixture
def floor(tmp_path: Path, run_dir: Path, broker: Broker) -> Iterator[Floor]:
    with Floor(tmp_path, run_dir, broker.port) as floor:
        yield floor


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A unit's vault with its keys."""
    return Rig.make(tmp_path)


@pytest.fixture(scope="session")
def made_desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk, made once a session: making keys is slow."""
    root = tmp_path_factory.mktemp("desk")
    Desk.make(root)
    return root


@pytest.fixture
def desk(made_desk: Path, run_dir: Path) -> Desk:
    """A desk with people, roles and two calls; in RAM, where a sync takes no time."""
    shutil.copytree(made_desk, run_dir / "desk")
    return Desk.at(run_dir / "desk")


@pytest.fixture(scope="session")
def made_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, made once a session, like the desk."""
    root = tmp_path_factory.mktemp("bundle")
    BundleRig.make(root)
    return root


@pytest.fixture
def bundled(made_bundle: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> BundleRig:
    """Two calls, their log, and all signatures and proofs over them; no roles are in force."""
    monkeypatch.setenv("HOME", str(run_dir / "home"))
    shutil.copytree(made_bundle, run_dir / "bundle")
    return BundleRig.at(run_dir / "bundle")


@pytest.fixture
def call(desk: Desk) -> Path:
    return desk.call


@pytest.fixture
def other(desk: Desk) -> Path:
    return desk.other
