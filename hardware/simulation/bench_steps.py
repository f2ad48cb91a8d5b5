# SPDX-License-Identifier: Apache-2.0
"""The multimeter readings of a card before its first use on a line, with the simulated value of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simulation.finding import Finding


@dataclass(frozen=True, slots=True)
class Step:
    """A reading. `what` is a figure of the table in README.md; `where` names the pins of the drawing, line 1's."""

    where: str
    en: str
    ko: str
    what: str


STEPS = (
    Step("TP901 (VMID)", "supplied", "전원 인가", "References: VMID"),
    Step("TP902 (V2V5)", "supplied", "전원 인가", "References: V2V5, with 4.75 to 5.25 V"),
    Step("TP903 (REFC)", "supplied", "전원 인가", "References: REFC"),
    Step("J1302, 1 and 26", "unplugged, no supply: resistance", "전원과 회선 없이: 저항",
         "On-hook resistance, tip to ring, 100 V"),
    Step("J1302, 1 or 26, and GND", "the same to ground", "접지와의 저항",
         "On-hook resistance, a lead to earth, 100 and 200 V"),
    Step("`linetap line learn 1`", "supplied, nothing on the line: volts it shows", "회선 없이 표시되는 전압",
         "Meter: a line that is not there reads"),
    Step("`linetap line learn 1`", "48 V through 1 kohm on J1302: shown, less what the multimeter says there",
         "J1302에 1 kohm을 거쳐 48 V: 표시값과 멀티미터의 차이", "Meter: error from -56 to 56 V, nothing learned"),
    Step("TP1201 (RX1)", "supplied, nothing on the line", "회선 없이 RX1의 전압", "RX at rest, of 3.3 V"),
    Step("K101's coil", "closed: current", "닫힌 릴레이의 코일 전류", "Relay: coil"),
    Step("K102's coil", "CONTACT1 moving: current", "CONTACT1이 움직일 때 코일 전류", "Contact: coil"),
    Step("J1302, 26 and J1303, 26", "CONTACT1 moving without end: open for", "CONTACT1이 계속 움직일 때 열려 있는 시간",
         "Contact: open under a command without end for"),
)  # fmt: skip


def table(findings: Iterable[Finding]) -> str:
    """The readings as Markdown. KeyError for a figure without a row."""
    found = {each.what: each for each in findings}
    rows = [f"| {step.where} | {step.en} / {step.ko} | {found[step.what].expected()} |" for step in STEPS]
    return "\n".join(["| At / 위치 | Measured / 측정 | Expected / 기준 |", "|---|---|---|", *rows, ""])
