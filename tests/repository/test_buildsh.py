# SPDX-License-Identifier: Apache-2.0
"""build.sh without its installations, and its lock file."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from linetap_core import __version__

ROOT = Path(__file__).parents[2]
COMMANDS = ("demo", "test", "setup", "bench", "soak", "image", "hil")


def build(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "build.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")


def test_build_sh_lists_its_commands() -> None:
    ended = build()
    assert ended.returncode == 0
    assert [name for name in COMMANDS if not re.search(rf"^  {name}\b", ended.stdout, re.MULTILINE)] == []


@pytest.mark.parametrize("words", [("imagine",), ("soak", "long"), ("soak", "0")])
def test_usage_is_two(words: tuple[str, ...]) -> None:
    ended = build(*words)
    assert ended.returncode == 2
    assert f"build.sh: {'there is no command imagine' if len(words) == 1 else 'soak [MINUTES]: '}" in ended.stderr


def test_its_groups_of_tests_name_what_is_there_and_nothing_twice() -> None:
    """Files in no group run in the last one: a renamed folder would make that the longest."""
    lists = re.findall(r"^  local \w+=\((tests/[^)]*)\)$", (ROOT / "build.sh").read_text(), re.MULTILINE)
    named = [path for each in lists for path in each.split()]
    assert len(lists) == 5
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert len(named) == len(set(named))


PIP = """#!/bin/sh
while [ "$1" != --target ]; do shift; done
mkdir -p "$2" && touch "$2/$(date +%N)" && [ ! -e broken ]
"""


def fetched(folder: Path) -> tuple[int, set[str]]:
    """Exit status of build.sh's own function, and the resulting content of the folder."""
    function = re.search(r"^fetch_beside\(\) \{.*?^\}$", (ROOT / "build.sh").read_text(), re.MULTILINE | re.DOTALL)
    assert function
    script = f"set -euo pipefail\nBIN=.\nfail() {{ exit 3; }}\n{function[0]}\nfetch_beside tool list.txt"
    ended = subprocess.run(["bash", "-c", script], cwd=folder, timeout=60, check=False)
    return ended.returncode, {path.name for path in (folder / "build" / "tool").glob("*")}


def test_a_changed_list_is_installed_anew_and_a_broken_install_leaves_the_old_folder(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "pip").write_text(PIP)
    (tmp_path / "pip").chmod(0o755)
    (tmp_path / "list.txt").write_text("a==1\n")
    first = fetched(tmp_path)
    assert first[0] == 0
    assert fetched(tmp_path) == first

    (tmp_path / "list.txt").write_text("a==2\n")
    (tmp_path / "broken").touch()
    assert fetched(tmp_path) == (3, first[1])

    (tmp_path / "broken").unlink()
    status, names = fetched(tmp_path)
    assert status == 0
    assert names & first[1] == {"installed.txt"}
    assert fetched(tmp_path) == (0, names)


def test_the_quick_ones_are_there_and_nothing_twice() -> None:
    lists = re.findall(r"^readonly QUICK_\w+=\((tests/[^)]*)\)$", (ROOT / "build.sh").read_text(), re.MULTILINE)
    named = [path for each in lists for path in each.split()]
    assert len(lists) == 2
    assert [path for path in named if not list(ROOT.glob(path))] == []
    assert len(named) == len(set(named))


STAND_IN = """#!/bin/sh
echo "$(basename "$0"): nice $(nice) in ${TMPDIR:-none}: $*"
case "$*" in
  *test_serve_c.py*) [ ! -e skips ] || cat skips ;;
  *tests/e2e*) echo "HELD UP tests/e2e/test_e.py::test_it: the exchange was 312 ms late; run again: passed" ;;
  *test_b.py*) [ -e skips ] || { echo "FAILED tests/desk/test_b.py::test_it - no"; echo "1 failed"; exit 1; } ;;
esac
"""


@pytest.fixture
def clone() -> Iterator[Path]:
    """A folder that any user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.fixture
def stood_in(clone: Path) -> Path:
    """A clone in which every tool only prints its invocation, and one group of tests fails."""
    return _stood_in(clone)


def _stood_in(folder: Path) -> Path:
    text = (ROOT / "build.sh").read_text()
    installing = '\n    setup\n    [ "$#" -gt 0 ] || fetch_foreign\n    run_tests'
    assert installing in text
    (folder / "build.sh").write_text(text.replace(installing, "\n    run_tests"))
    for name in (
        "tests/attack/test_a.py", "tests/desk/test_b.py", "tests/desk/test_serve_c.py", "tests/e2e/test_e.py",
        "image/packages.txt",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("ruff", "mypy", "pytest", "shellcheck"):
        (folder / ".venv/bin" / name).write_text(STAND_IN)
        (folder / ".venv/bin" / name).chmod(0o755)
    return folder


def started(folder: Path, *words: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """`build.sh test` of a clone whose tools only print their invocation."""
    env = {**os.environ, "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}"}
    env.pop("TMPDIR", None)  # of the run that these tests are part of
    command = ["bash", str(folder / "build.sh"), "test", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=120, user=user)


@pytest.mark.parametrize(
    "user", [None, pytest.param(65534, marks=pytest.mark.skipif(os.geteuid() != 0, reason="root"))]
)
def test_real_time_goes_first_and_what_fell_is_named_at_the_end(stood_in: Path, user: int | None) -> None:
    """For any user that starts it."""
    done = started(stood_in, user=user)
    assert (done.returncode, done.stderr) == (1, "build.sh: failed: pytest\n")
    at = os.nice(0)
    said = [line for line in done.stdout.splitlines() if line.startswith("pytest: ")]
    first = [line for line in said if f"nice {at} " in line]
    assert sorted(line.rpartition(": ")[2].split()[0] for line in first) == [
        "tests/capture",
        "tests/e2e/test_e.py",
        "tests/systemd",
    ]
    assert len([line for line in said if f"nice {min(at + 10, 19)} " in line]) == len(said) - len(first) == 9
    summary = done.stdout.rpartition("\n---\n")[2]
    assert "FAILED tests/desk/test_b.py::test_it - no" in summary
    assert "HELD UP tests/e2e/test_e.py::test_it: the exchange was 312 ms late; run again: passed" in summary
    used = {word for line in said for word in line.split() if word.startswith("/dev/shm/")}
    assert not [path for path in used if Path(path.rstrip(":")).exists()], "what they kept in RAM is gone"


@pytest.mark.parametrize(
    ("reason", "failed"),
    [
        ("kicad-cli is not installed", "skipped"),
        ("no Mosquitto 2.1 here: tools/mosquitto21.sh build/mosquitto21", "skipped"),
        ("Unicorn is not fetched: ./build.sh test fetches it", "skipped"),
        ("/sys/kernel/config/gpio-sim is not there", ""),
        ("pyOCD's SVD is missing: ./build.sh test installs it", "skipped"),
        ("raspberrypi/rpi-eeprom is not fetched: LINETAP_RPI_EEPROM names no checkout", ""),
        ("ST's description is not fetched: tools/st_description.sh", ""),
    ],
)
def test_what_a_package_would_cure_is_not_skipped(stood_in: Path, reason: str, failed: str) -> None:
    """The name of the file is no reason."""
    line = f"SKIPPED [1] tests/attack/test_root_writes.py:3: {reason}\n"
    (stood_in / "skips").write_text(line)
    done = started(stood_in)
    assert done.stderr == (f"build.sh: failed: {failed}\n" if failed else "")
    assert (done.returncode, line in done.stdout) == (1 if failed else 0, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="root")
def test_an_image_has_every_setting_whoever_builds_it(clone: Path) -> None:
    """sudo passes on no variable: without its certificate a release would trust the key for development."""
    text = (ROOT / "build.sh").read_text()
    installing = '    setup\n    install_packages "${IMAGE_PACKAGES[@]}"\n    [ -z'
    assert text.count(installing) == 1
    (clone / "image").mkdir()
    (clone / "build.sh").write_text(text.replace(installing, "    [ -z"))
    (clone / "image/packages.txt").touch()
    for name, script in (("image/build.sh", 'echo "$@"\nenv'), ("sudo", 'exec env -i PATH="$PATH" "$@"')):
        (clone / name).write_text(f"#!/bin/sh\n{script}\n")
        (clone / name).chmod(0o755)
    read = "".join(path.read_text() for path in ROOT.glob("image/**/*.sh"))
    settings = {name: f"/a folder/{name}" for name in re.findall(r"\$\{?(LINETAP_[A-Z_]+)", read)}
    assert {"LINETAP_UPDATE_CERTIFICATE", "LINETAP_UPDATE_KEY", "LINETAP_KERNEL", "LINETAP_FIRMWARE"} <= settings.keys()
    lock = clone / "a lock"
    lock.touch()
    settings["LINETAP_LOCK"] = "overridden"
    done = subprocess.run(
        ["bash", str(clone / "build.sh"), "image", "--lock", str(lock), "--signed"],
        capture_output=True, text=True, check=False, timeout=60, user=65534, cwd="/",
        env=settings | {"PATH": f"{clone}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    options, *variables = done.stdout.splitlines()
    assert options == "--signed"
    settings["LINETAP_LOCK"] = str(lock)
    assert {f"{name}={value}" for name, value in settings.items()} <= set(variables)


def test_the_quick_ones_start_no_broker(stood_in: Path) -> None:
    (stood_in / "tests/signals").mkdir()
    (stood_in / "tests/signals/test_d.py").write_text("from broker import Broker\n")
    done = started(stood_in, "--quick")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("pytest: ")]
    assert len(said) == 2
    assert all("--ignore=tests/signals/test_d.py" in line for line in said)
    assert "mypy" not in done.stdout


def test_what_the_tests_start_keeps_what_it_compiles() -> None:
    """Also in a container that forbids bytecode for all Python programs."""
    look = "import conftest, os, sys; print(sys.dont_write_bytecode, os.environ.get('PYTHONDONTWRITEBYTECODE'))"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{ROOT}/tests:{ROOT}/tests/rigs"}
    done = subprocess.run([sys.executable, "-c", look], env=env, capture_output=True, timeout=120, check=True)
    assert done.stdout == b"False None\n"


def _locked() -> dict[str, str]:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    found = [re.match(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}( |$)", line) for line in lines]
    return {canonicalize_name(match[1]): match[2] for match in found if match is not None}


def _wanted() -> list[Requirement]:
    spec = importlib.util.spec_from_file_location("lock_tool", ROOT / "tools" / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    wanted = [Requirement(text) for text in tool.asked_for(ROOT)]
    assert {"numpy", "sqlalchemy", "scipy", "pytest", "setuptools"} <= {it.name for it in wanted}
    return wanted


def test_the_packages_have_one_version_and_need_each_other_by_it() -> None:
    for path in (ROOT / "firmware").glob("*/pyproject.toml"):
        project = tomllib.loads(path.read_text())["project"]
        assert project["version"] == __version__, path
        ours = [text for text in project["dependencies"] if text.startswith("linetap")]
        assert all(text.endswith(f"=={__version__}") for text in ours), path


def test_the_lock_has_what_the_project_asks_for() -> None:
    """`.venv/bin/python tools/lock.py` writes it."""
    locked = _locked()
    missing = [str(it) for it in _wanted() if not it.specifier.contains(locked.get(canonicalize_name(it.name), "0"))]
    assert missing == []


def test_every_line_of_the_lock_has_a_hash() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(_locked())
    assert lines[0].startswith("setuptools==")  # build.sh installs it before what is built with it
