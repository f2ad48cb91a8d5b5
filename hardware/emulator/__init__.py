# SPDX-License-Identifier: Apache-2.0
"""An emulated STM32G0B1 that runs the meter's own ELF: Unicorn emulates the core, this folder the rest of the part.

`chip` is the part, `meter` a part with its program on a USB cable, `host` the other end of that cable. Behaviour
follows RM0444 where a section is named; unmodelled behaviour is refused, not guessed.
"""
