# SPDX-License-Identifier: Apache-2.0
"""Passwords: argon2id (RFC 9106, the second recommended option: 64 MiB, three passes), as long as people like."""

from __future__ import annotations

from functools import cache

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHash, VerificationError
from argon2.low_level import Type

from linetap_core.errors import BadInput

LEAST, MOST = 12, 200  # characters
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4, type=Type.ID)
AT_ONCE = 2  # 64 MiB each: a crowd at the login waits in line, and the desk keeps its memory


def hashed(password: str) -> str:
    """BadInput where it is too short or too long."""
    if not LEAST <= len(password) <= MOST:
        raise BadInput(f"the password has {len(password)} characters; {LEAST} to {MOST} would be right")
    return _HASHER.hash(password)


def fits(stored: str | None, password: str) -> bool:
    """As slow for somebody who is not there: how long it takes must not tell who has an account."""
    try:
        same = _HASHER.verify(stored or _nobodys(), password[: MOST + 1])
    except (VerificationError, InvalidHash):
        return False
    return same and stored is not None


async def fits_in_turn(stored: str | None, password: str) -> bool:
    return await anyio.to_thread.run_sync(fits, stored, password, limiter=_turns())


@cache
def _turns() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(AT_ONCE)


@cache
def _nobodys() -> str:
    return _HASHER.hash("nobody has this password")
