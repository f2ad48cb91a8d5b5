# SPDX-License-Identifier: Apache-2.0
"""Readers accept foreign and old bytes, or refuse them with plain lines.

The short form runs a seeded sample. The soak runs as many trials as its time permits, also with atheris if installed
(tests/fuzz/requirements.txt).
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import soak_table

sys.path.insert(0, str(Path(__file__).parents[1] / "desk"))  # the rigs of the desk's pages
from foreign import HANG_S, MOST_MB, Find, Target
from mutate import mutated
from targets import all_targets

from linetap_core.clock import NS_PER_S, SYSTEM

SEED, A_SLOW_TARGET = 12, 2
SOAK_S = round(float(os.environ.get("LINETAP_SOAK_MINUTES", "1")) * 60)
ATHERIS = importlib.util.find_spec("atheris") is not None
HALF_A_CHARACTER = (
    b"%s\nmultipart/form-data; charset=raw_unicode_escape; boundary=x\n--x\r\n"
    b'Content-Disposition: form-data; name="%s"\r\n\r\n\\ud800\r\n--x--\r\n'
)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Target]]:
    logging.disable(logging.CRITICAL)
    with contextlib.ExitStack() as held:
        yield all_targets(tmp_path_factory.mktemp("fuzz"), held)
    logging.disable(logging.NOTSET)


def feed(target: Target, data: bytes) -> None:
    def hangs(*_: object) -> None:
        raise Find(f"{target.name}: more than {HANG_S} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(HANG_S)
    try:
        target.feed(data)
    except Find as find:
        pytest.fail(f"{find}; the bytes: {data[:2000]!r}")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_sample_of_foreign_bytes_ends_in_one_line(targets: list[Target]) -> None:
    for target in targets:
        chosen = random.Random(SEED)
        for seed in target.seeds:
            feed(target, seed)
        for _ in range(A_SLOW_TARGET if target.slow else target.trials):
            feed(target, mutated(target.seeds, chosen))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < (MOST_MB << 10)


# Starlette leaves a file open if its form ends in the middle of a character; Python closes it with this warning.
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")
@pytest.mark.soak
@pytest.mark.timeout(0)
def test_foreign_bytes_for_as_long_as_there_is_time(targets: list[Target]) -> None:
    seed = random.randrange(1 << 32)
    chosen, end_ns, fed = random.Random(seed), SYSTEM.monotonic_ns() + SOAK_S * NS_PER_S, 0
    while SYSTEM.monotonic_ns() < end_ns:
        target = chosen.choice(targets)
        feed(target, mutated(target.seeds, chosen))
        fed += 1
    soak_table.add(f"foreign or old bytes, {len(targets)} readers", fed)
    print(f"{fed} foreign files for {len(targets)} readers (seed {seed}): 0 tracebacks, 0 hangs")


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.skipif(not ATHERIS, reason="atheris has no wheel for this machine; ./build.sh soak installs it on amd64")
def test_foreign_bytes_led_by_what_they_reach(targets: list[Target], tmp_path: Path) -> None:
    """libFuzzer mutates by branch coverage; each reader gets an equal share of the time."""
    quick = [target for target in targets if not target.slow]
    for target in quick:
        seconds = str(max(1, SOAK_S // len(quick)))
        command = [sys.executable, str(Path(__file__).with_name("atheris_run.py")), target.name, seconds, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{target.name}: {done.stdout[-3000:]}{done.stderr[-3000:]}"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("events.jsonl", b'{"t":1.25,"line":1,"hook":1,"smdr":"\xff"}'),
        ("events.jsonl", b'{"t":1e999,"line":1,"hook":1}'),
        ("events.jsonl", b'{"t":1,"line":1,"volts":-1e400}'),
        ("events.jsonl", b'{"t":1,"line":1,"ho\xc2\x85":1}'),
        ("events.jsonl", b"[" * 5000),
        ("allowed_signers", "floor-03 ssh-ed25519 ÄÄÄ\n".encode()),
        ("allowed_signers", "층-03 ssh-ed25519 AAAA\n".encode()),
        ("notice", b"RIFF\x24\x00\x00\x00WAVEfmt \xff\xff\xff\xff"),
        ("notice", b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\x7f"),
        ("roles.json", '{"version":1,"peo\u2028ple":[]}'.encode()),
        ("command", b'{"command":"\xff","sig":""}'),
        ("desk, headers", b"POST /look\nOrigin: http://["),
        ("desk, headers", b"POST /look\nOrigin: http://[x]:80"),
        ("custodian, headers", b"POST PLACE/look\nOrigin: http://["),
        ("custodian, form with files", HALF_A_CHARACTER % (b"PLACE/look", b"csrf")),
        ("desk, form with files", HALF_A_CHARACTER % (b"/release/2026-0042/close", b"remark")),
        ("desk, form with files", HALF_A_CHARACTER % (b"/hold/ask", b"unit")),
        ("desk, form with files", HALF_A_CHARACTER % (b"/login", b"name")),
        ("desk, form with files", HALF_A_CHARACTER % (b"/review/2026-11", b"remark")),
    ],
)
def test_what_once_ended_in_a_traceback(targets: list[Target], name: str, data: bytes) -> None:
    (target,) = [each for each in targets if each.name == name]
    feed(target, data)


def test_who_hangs_up_in_a_form_is_no_fault_of_the_desk(targets: list[Target]) -> None:
    head = b"POST /look HTTP/1.1\r\nHost: x\r\nOrigin: x\r\nCookie: __Host-linetap-session=SESSION\r\n"
    rest = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 33\r\n\r\ncsrf=FO"
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    (target,) = [each for each in targets if each.name == "desk, request"]
    for _ in range(20):
        feed(target, head + rest)
    feed(target, whole)
