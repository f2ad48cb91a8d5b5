# SPDX-License-Identifier: Apache-2.0
"""KiCad finds nothing wrong with the whole card's board.

That it finds what is broken is shown on the board of one line (test_line_board_kicad.py).
"""

from __future__ import annotations

import shutil

import pytest

from pcb import making
from pcb.cardboard import NAME
from simulation.netlist import HARDWARE

pytestmark = pytest.mark.skipif(
    not shutil.which("kicad-cli"), reason="kicad-cli is not installed: the board's design rules are not checked"
)


def test_the_board_breaks_no_rule() -> None:
    assert making.design_rules(HARDWARE, NAME) == making.Verdict(broken=0, open=0, parity=0, first="")
