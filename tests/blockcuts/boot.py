# SPDX-License-Identifier: Apache-2.0
"""The start after a power cut: runs the recorder's service on the disk that the cut left, until recovery is complete.

The service runs in a fork of the test, which saves a second of imports for each cut, and in a time namespace. In the
same boot the monotonic clock continues a few seconds after the cut, with an empty RAM. With `next_boot` the clock
starts again with a new boot id, before the time of day is set.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import traceback
import uuid
from pathlib import Path

import msgspec

from linetap.config import Config
from linetap.recorder import service
from linetap.recorder.vault.unfinishedcalls import OF_THIS_BOOT
from linetap_core import rundir
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.records import RecorderState
from linetap_core.service import read_state

LIMIT_S = 120
UPTIME_S, BACK_S = 25, 3
_PR_SET_PDEATHSIG = 1
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class BootFailed(AssertionError):
    """The recorder has ended by itself, or has not sealed the calls that the cut left open."""


def boot(config: Config, vault: Path, run_dir: Path, cut_ns: int, *, next_boot: bool) -> None:
    """Starts the recorder and waits for the end of its recovery; raises BootFailed with the recorder's output.

    `cut_ns`: the monotonic time of the cut. `run_dir` must not exist.
    """
    run_dir.mkdir()
    log = run_dir / "said"
    config = msgspec.structs.replace(config, vault=str(vault), run_dir=str(run_dir))
    pid = os.fork()
    if not pid:
        _child(config, log, UPTIME_S * NS_PER_S if next_boot else cut_ns + BACK_S * NS_PER_S, next_boot)
    try:
        _await(pid, run_dir, log)
    finally:
        shutil.rmtree(run_dir)


def _child(config: Config, log: Path, now_ns: int, next_boot: bool) -> None:
    status = 1
    try:
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fd, 1), os.dup2(fd, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        _enter_time(Path(config.run_dir), now_ns, next_boot)
        status = service.run(config)
    except BaseException:  # noqa: BLE001 - the parent process reads the log
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _enter_time(run_dir: Path, now_ns: int, next_boot: bool) -> None:
    os.unshare(os.CLONE_NEWNS | os.CLONE_NEWTIME)
    offset_ns = now_ns - SYSTEM.monotonic_ns()
    seconds, nanoseconds = divmod(offset_ns, NS_PER_S)
    offsets = f"monotonic {seconds} {nanoseconds}\nboottime {seconds} {nanoseconds}\n"
    Path("/proc/self/timens_offsets").write_text(offsets)
    if next_boot:
        (run_dir / "boot_id").write_text(f"{uuid.uuid4()}\n")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "--bind", str(run_dir / "boot_id"), _BOOT_ID], check=True)
    pid = os.fork()  # only children are in the new time namespace
    if not pid:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _await(pid: int, run_dir: Path, log: Path) -> None:
    deadline_ns = SYSTEM.monotonic_ns() + LIMIT_S * NS_PER_S
    ended = False
    try:
        while not (run_dir / rundir.CALLS / OF_THIS_BOOT).exists() or not _works(run_dir):
            if os.waitpid(pid, os.WNOHANG)[0]:
                ended = True
                raise BootFailed(f"the recorder has ended: {log.read_text()[-3000:]}")
            if SYSTEM.monotonic_ns() > deadline_ns:
                raise BootFailed(f"nothing is sealed after {LIMIT_S} s: {log.read_text()[-3000:]}")
            SYSTEM.sleep(0.01)
    except BaseException:
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    if status:
        raise BootFailed(f"the recorder ended with {os.waitstatus_to_exitcode(status)}: {log.read_text()[-3000:]}")


def _works(run_dir: Path) -> bool:
    """Whether the recorder has written its first state."""
    return read_state(run_dir, "recorder", RecorderState) is not None
