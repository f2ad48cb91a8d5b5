# SPDX-License-Identifier: Apache-2.0
"""Hook inputs, relays, LEDs and the button of a unit.

`interface.py` defines what a board offers. `hardware*.py` and `simulated*.py` are chosen by name (`board.kind`, in
boardchoice.py); one that fails refuses to start and is never replaced by the other. Ring, polarity, voltage and line
LEDs belong to the card's meter (`meter/`), if it has one; otherwise ring and polarity read 0 and the voltage NO_VOLTS.
"""
