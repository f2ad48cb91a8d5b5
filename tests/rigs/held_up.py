# SPDX-License-Identifier: Apache-2.0
"""Runs a failed test again, by name and at most twice, if a stand-in reported that the machine held it up meanwhile.

A stand-in (exchange, cable, far end, simple unit) reports by how much it exceeded the delay of its buffer: see
linetap_bench.stage.cable; a stage reports each of its processes that waited long for a processor. A report counts for a
test if it came during the test, during the set-up of a fixture which the test shares with others, or, for a shared
fixture that yields (its stand-in still runs), at any time since.
Without a report a failure stays a failure, and a test that fails each time stays failed. The long tests (`soak`,
`hil`) are not repeated. Every repetition is a line of the summary:

    HELD UP tests/e2e/test_kill.py::test_ten_kills: the exchange was 312 ms late; run again: passed

Repetitions run in a separate process, after all other tests, with new fixtures. Of several parallel runs of pytest
(`all_pytests` of build.sh) each first waits for the others' tests, and then for its turn (`FirstPass`); otherwise the
other runs would hold up the test again.
"""

from __future__ import annotations

import contextlib
import fcntl
import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linetap_bench.stage.cable import VARIABLE, WATCHED, Late, reports
from linetap_core.clock import NS_PER_S, SYSTEM

TIMES = 2
ANSWER = "LINETAP_RUN_AGAIN"  # the file for a repetition's results; a repetition repeats nothing itself
MESSAGE_CHARS = 160
TOGETHER = "LINETAP_FIRST_PASS"  # a file shared by parallel runs
MOST_WAIT_S = 2 * 3600


class Outcome(msgspec.Struct):
    passed: bool = False
    failed: bool = False
    late: Late | None = None  # the worst report that counts for a failed test
    message: str = ""  # the failure's first line

    def __str__(self) -> str:
        if self.failed:
            return f"failed ({self.late})" if self.late else "failed"
        return "passed" if self.passed else "did not run"


class FirstPass:
    """A lock on the shared file: shared by all runs during their first pass, then exclusive."""

    def __init__(self, path: str | None) -> None:
        self._file = None if path is None else open(path, "a")  # noqa: SIM115 - its lock ends with it
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def end(self, alone: bool) -> None:
        """`alone`: waits until no other run has the file, at most MOST_WAIT_S."""
        if self._file is None:
            return
        fcntl.flock(self._file, fcntl.LOCK_UN)
        end_ns = SYSTEM.monotonic_ns() + MOST_WAIT_S * NS_PER_S
        while alone and SYSTEM.monotonic_ns() < end_ns:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            SYSTEM.sleep(0.2)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class HeldUpTests:
    """A plugin of pytest."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="linetap-held-up-")
        self._reports = Path(self._folder.name) / "lateness"
        self._reports.touch()
        os.environ[VARIABLE] = str(self._reports)
        self._answer = os.environ.pop(ANSWER, None)
        self._first_pass = FirstPass(os.environ.pop(TOGETHER, None))
        self._shared: dict[tuple[pytest.Collector | pytest.Item, str], tuple[int, int | None]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._lines: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        begun_ns = SYSTEM.monotonic_ns()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                ended_ns = None if inspect.isgeneratorfunction(fixturedef.func) else SYSTEM.monotonic_ns()
                self._shared[request.node, fixturedef.argname] = (begun_ns, ended_ns)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        begun_ns = SYSTEM.monotonic_ns()
        result = yield
        outcome = self._outcomes.get(item.nodeid)
        if outcome is not None and outcome.failed and not any(map(item.get_closest_marker, ("soak", "hil"))):
            outcome.late = self._worst([(begun_ns, None), *self._shared_by(item)])
        return result

    def _shared_by(self, item: pytest.Item) -> Iterable[tuple[int, int | None]]:
        names, nodes = getattr(item, "fixturenames", ()), item.listchain()
        return (span for (node, name), span in self._shared.items() if name in names and node in nodes)

    def _worst(self, spans: Iterable[tuple[int, int | None]]) -> Late | None:
        found = [
            late
            for first_ns, last_ns in spans
            for late in reports(self._reports)
            if first_ns <= late.mono_ns and (last_ns is None or late.mono_ns <= last_ns)
        ]
        return max(found, key=lambda late: late.late_ms, default=None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = self._outcomes.setdefault(report.nodeid, Outcome())
        outcome.passed |= report.when == "call" and report.passed
        if report.failed:
            for report_held_up in WATCHED:
                report_held_up()
        if report.failed and not outcome.failed:
            outcome.failed = True
            crash = getattr(report.longrepr, "reprcrash", None)
            outcome.message = (crash.message if crash else report.longreprtext).partition("\n")[0][:MESSAGE_CHARS]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        again = session.exitstatus == pytest.ExitCode.TESTS_FAILED and any(
            each.late for each in self._outcomes.values()
        )
        self._first_pass.end(alone=again and self._answer is None)
        if self._answer is not None:
            Path(self._answer).write_bytes(msgspec.json.encode(self._outcomes))
        elif again:
            self._count_passed(session, self._run_again(session.config))

    def _run_again(self, config: pytest.Config) -> set[str]:
        """Repeats failed tests; returns those that passed at last."""
        first = {name: each for name, each in self._outcomes.items() if each.failed and each.late}
        passed: set[str] = set()
        became: dict[str, list[Outcome]] = {name: [] for name in first}
        waiting = list(first)
        for _ in range(TIMES):
            if not waiting:
                break
            found, said = self._repeat(config, waiting)
            for name in waiting:
                became[name].append(found.get(name, Outcome()))
            passed |= {name for name in waiting if str(became[name][-1]) == "passed"}
            waiting = [name for name in waiting if became[name][-1].failed and became[name][-1].late]
            if len(passed) < len(first):
                self._lines += [f"  | {line}" for line in said.splitlines()]
        for name, outcome in first.items():
            self._lines.append(f"HELD UP {name}: {outcome.late}; run again: {', '.join(map(str, became[name]))}")
            self._lines.append(f"  first failure: {outcome.message}")
        return passed

    def _repeat(self, config: pytest.Config, names: list[str]) -> tuple[dict[str, Outcome], str]:
        """The outcome of each test, and the output."""
        answer = self._reports.with_name("answer")
        answer.write_bytes(b"{}")
        words = ["-q", "-p", "no:cacheprovider", "-m", config.option.markexpr]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words, *names], cwd=config.rootpath, text=True, check=False,
            env={**os.environ, ANSWER: str(answer)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return msgspec.json.decode(answer.read_bytes(), type=dict[str, Outcome]), done.stdout

    @staticmethod
    def _count_passed(session: pytest.Session, passed: set[str]) -> None:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        stats = {} if reporter is None else reporter.stats
        for kind in ("failed", "error"):
            moved = [report for report in stats.get(kind, []) if report.nodeid in passed]
            if moved:
                stats[kind] = [report for report in stats[kind] if report.nodeid not in passed]
                stats.setdefault("held up", []).extend(moved)
                session.testsfailed -= len(moved)
        if session.testsfailed == 0:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self._lines:
            terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        self._first_pass.close()
        self._folder.cleanup()
