# SPDX-License-Identifier: Apache-2.0
"""Hook inputs, relays, LEDs and the button of a unit.

What may be asked of a board stands in `interface.py`. `hardware*.py` and `simulated*.py` are chosen by name
(`board.kind`, in `open.py`); one that fails refuses to start, it never falls through to the other. Ring, polarity,
voltage and line LEDs belong to the card's meter (`meter/`), where it has one; without, ring and polarity read 0 and the
voltage NO_VOLTS.
"""
