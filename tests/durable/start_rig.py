# SPDX-License-Identifier: Apache-2.0
"""A start of a working unit in a process of its own, which is killed if it does not end; also without root's rights."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
from typing import Any

import msgspec
from flip_rig import WorkingUnit

from linetap_core.durable import broken

LIMIT_S = 120.0  # ends a start that would never end
MEMORY_BYTES = 4 << 30  # of addresses, with the threads' stacks
_CAPABILITY_VERSION = 0x20080522
_MOST_SAID = 1 << 14


class Start(msgspec.Struct):
    """`fault`: empty if the unit has recorded a call."""

    fault: str = "the start does not end"
    named: list[str] = []


def in_a_process(unit: WorkingUnit, *, rights: bool = True) -> Start:
    """`rights` False: the process may do no more than the user who owns its files."""
    end, begin = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            if not rights:
                _drop_rights()
            os.write(begin, msgspec.json.encode(_recorded(unit))[:_MOST_SAID])
        finally:
            os._exit(0)
    os.close(begin)
    ready, _, _ = select.select([end], [], [], LIMIT_S)
    said = os.read(end, _MOST_SAID) if ready else None
    os.close(end)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if said is None:
        return Start()
    return msgspec.json.decode(said, type=Start) if said else Start("the process has ended")


def _recorded(unit: WorkingUnit) -> Start:
    try:
        with unit.started() as service:
            call_id = unit.record_a_call()
            service.turn()
            unit.neighbours()
        is_sealed = unit.is_sealed(call_id)
    except BaseException as error:  # noqa: BLE001 - the searched-for fault
        return Start(repr(error), _named())
    return Start("" if is_sealed else "the call is not sealed", _named())


def _named() -> list[str]:
    return [name.rpartition("/")[2] for name in broken.names()]


def _drop_rights() -> None:
    """Drops every capability of this process; as root it still owns its files."""
    any_: Any = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    if any_.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
