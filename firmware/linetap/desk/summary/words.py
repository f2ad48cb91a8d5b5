# SPDX-License-Identifier: Apache-2.0
"""A day's numbers as a letter, Korean and English on each line. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def subject(found: dict[str, Any]) -> str:
    return f"linetap {found['day']}: 통화 calls {found['calls']['total']}"


def letter(found: dict[str, Any]) -> str:
    return "\n".join(_lines(found)) + "\n"


def _lines(found: dict[str, Any]) -> Iterator[str]:
    units, alerts, differ = found["units"], found["alerts"], found["coverage"]["units_that_differ_from_the_pbx"]
    yield f"{found['day']} ({found['zone']})"
    yield f"통화 calls: {_kinds(found['calls'])}"
    yield f"교환기와 다른 장치 units that differ from the PBX: {_of(differ)}"
    yield f"현재 경보 alerts now: {_kinds(alerts['standing'])}"
    yield f"데스크 경보 alerts of the desk: {_kinds(alerts['of_the_desk'])}"
    gone = found["destructions"]
    yield f"파기 destroyed: 통화 calls {gone['calls']}, 사본 copies {gone['copies']}"
    yield f"장치 units: {units['named']}"
    yield f"지연 late: {_of(units['late'])}"
    yield f"오프라인 offline: {_of(units['offline'])}"
    yield f"고장 at fault: {_of(units['at_fault'])}"
    if found["desk_heard_nothing"]:
        yield f"데스크 수신 중단 the desk itself heard nothing: {found['desk_heard_nothing']}"


def _kinds(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "0"


def _of(named: dict[str, Any]) -> str:
    more = "" if named["count"] <= len(named["units"]) else ", …"
    return f"{named['count']}" + (f" ({', '.join(named['units'])}{more})" if named["units"] else "")
