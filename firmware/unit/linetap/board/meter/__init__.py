# SPDX-License-Identifier: Apache-2.0
"""The line meter of a card, over a serial port: hardware/meter-protocol.md.

`protocol` has every constant and the framing, `clockmap` the meter's time, `decide` the meaning of voltages, `store`
the last two seconds, `port` the serial port, `reader` combines these, and `card` is the board that capture uses.
"""
