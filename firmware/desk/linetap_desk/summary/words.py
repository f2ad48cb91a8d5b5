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
    units, alerts = found["units"], found["alerts"]
    yield f"{found['day']} ({found['zone']})"
    yield f"통화 calls: {_kinds(found['calls'])}"
    yield from _coverage(found["coverage"])
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


def _coverage(found: dict[str, Any]) -> Iterator[str]:
    told, differ, percent = found["told"], found["units_that_differ_from_the_pbx"], found["percent"]
    share = "-" if percent is None else f"{percent:.1f} %"
    yield f"교환기 대조 coverage against the PBX: {share}; 장치 units {told['units']}, {_figures(told)}"
    yield f"교환기와 다른 장치 units that differ from the PBX: {differ['count']}"
    yield from (f"  {unit['unit']}: {_figures(unit)}" for unit in differ["units"])
    if differ["count"] > len(differ["units"]):
        yield "  …"
    yield f"이날 대조 없음 told nothing of this day: {_of(found['told_nothing'])}"
    yield f"교환기 연결 여부 모름 not known whether they hear a PBX: {_of(found['unknown'])}"


def _figures(of: dict[str, Any]) -> str:
    return (f"교환기 통화 PBX calls {of['calls']}, 녹음 recorded {of['recorded']}, 누락 missing {of['missing']}, "
            f"교환기에 없는 녹음 not at the PBX {of['unseen']}")  # fmt: skip


def _kinds(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "0"


def _of(named: dict[str, Any]) -> str:
    more = "" if named["count"] <= len(named["units"]) else ", …"
    return f"{named['count']}" + (f" ({', '.join(named['units'])}{more})" if named["units"] else "")
