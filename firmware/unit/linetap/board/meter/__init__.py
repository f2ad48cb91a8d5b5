# SPDX-License-Identifier: Apache-2.0
"""The line meter of a card, spoken to over a serial port: hardware/meter-protocol.md.

`protocol` has every constant, `frames` the framing, `clockmap` the meter's time, `decide` what voltages mean, `store`
what they meant, `port` the serial port, `reader` puts these together, and `card` is the board that capture sees.
"""
