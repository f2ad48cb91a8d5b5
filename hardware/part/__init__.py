# SPDX-License-Identifier: Apache-2.0
"""An emulated STM32G0B1, on which the meter's own ELF runs: Unicorn has the core, this folder the part around it.

`chip` is the part, `meter` one with its program on a USB cable; `host` is the other end of that cable. Behaviour is
from RM0444 as far as a section is named; what is not here is refused, not guessed.
"""
