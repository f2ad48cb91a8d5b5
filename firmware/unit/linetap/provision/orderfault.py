# SPDX-License-Identifier: Apache-2.0
"""What a unit says to an order: a broker that is itself is a mistake, and the fault for a refused one."""

from __future__ import annotations

import tomllib

import msgspec

from linetap.provision import cardfiles
from linetap_core.enrolment.order import NAME, UNIT
from linetap_core.errors import Refusal
from linetap_core.wire import loopback


class _Board(msgspec.Struct, frozen=True):
    kind: str = "hardware"


class _Host(msgspec.Struct, frozen=True):
    host: str = "localhost"


class _Reached(msgspec.Struct, frozen=True):
    """Of a unit.toml only where its broker is."""

    broker: _Host = _Host()
    board: _Board = _Board()


def require_broker(text: str) -> None:
    """CardMistake for a unit of the image whose broker is itself: `config init` without --broker writes localhost."""
    try:
        unit = msgspec.convert(tomllib.loads(text), _Reached)
    except (ValueError, RecursionError):
        return  # checked with the configuration itself
    host = unit.broker.host
    if unit.board.kind == "hardware" and loopback.is_own(host):
        raise cardfiles.CardMistake(
            f"{NAME}: {UNIT}: broker.host = {host!r}는 기기 자신입니다. 브로커의 이름이나 주소를 쓰십시오.",
            f"{NAME}: {UNIT}: broker.host = {host!r} is the unit itself: the broker's name or address expected",
        )


class OrderFault(Refusal):
    """The order is not carried out; `code` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} [{code}]")
        self.code = code
