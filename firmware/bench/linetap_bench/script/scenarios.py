# SPDX-License-Identifier: Apache-2.0
"""Generates scripts of the length that a measurement needs.

`python -m linetap_bench.script.scenarios eight_busy MINUTES > eight_busy.toml`
"""

from __future__ import annotations

import sys

TALK_S = 50.0
CALL_S = 60.0  # with ringing, and an idle pause longer than a flash
STAGGER_S = 1.3  # between the lines' first rings
_TALK = '["네, 민원실입니다. 말씀하세요.", "안녕하세요. 문의할 것이 있어서 전화했습니다.", "네, 잠시만 기다려 주세요."]'


def eight_busy(minutes: float, lines: int = 8) -> str:
    """The text of a script in which every line has call after call for `minutes`."""
    calls = []
    for number in range(1, lines + 1):
        start = 0.5 + (number - 1) * STAGGER_S
        while start + CALL_S <= minutes * 60 + STAGGER_S * lines:
            calls.append((start, number))
            start += CALL_S
    head = f'# SPDX-License-Identifier: Apache-2.0\nlines = {lines}\nseed = 8\nlanguage = "ko"\n'
    return head + "".join(_call(start, number) for start, number in sorted(calls))


def _call(start: float, number: int) -> str:
    return (
        f'\n[[call]]\nline = {number}\nstart_s = {start:.1f}\ndirection = "in"\nrings = 1\n'
        f"talk_after_s = 1.0\ntalk_s = {TALK_S}\ndense_dbm0 = -45.0\ntalk = {_TALK}\n"
    )


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] != "eight_busy" or not sys.argv[2].replace(".", "", 1).isdigit():
        sys.stderr.write("usage: python -m linetap_bench.script.scenarios eight_busy MINUTES\n")
        return 2
    sys.stdout.write(eight_busy(float(sys.argv[2])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
