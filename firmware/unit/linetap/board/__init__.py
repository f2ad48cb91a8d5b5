# SPDX-License-Identifier: Apache-2.0
"""The lines of a card by its meter, and the Pi's own pins: arm lines, LEDs and the button.

`interface.py` defines what a board offers. `hardware.py` and `simulated.py` are chosen by name (`board.kind`, in
boardchoice.py); one that fails refuses to start and is never replaced by the other. Levels, relays, contacts and line
LEDs are the meter's (`meter/`); a simulated card may have none, and then reads its simulated lines itself.
"""
