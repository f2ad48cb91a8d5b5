# SPDX-License-Identifier: Apache-2.0
"""The lines of a card by its meter, and the Pi's own pins: arm lines, LEDs and the button.

`interface.py` is the interface of a board. `hardware.py` and `simulated.py` are chosen by name (`board.kind`, in
boardchoice.py); a board that fails does not start, and is never replaced by the other. Levels, relays, contacts and
line LEDs belong to the meter (`meter/`); a simulated card may have no meter, and then reads its simulated lines itself.
"""
