# SPDX-License-Identifier: Apache-2.0
"""Tools to try linetap on machines without lines: a simulated exchange, fleets of units, measurements, the demo."""
