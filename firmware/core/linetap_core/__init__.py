# SPDX-License-Identifier: Apache-2.0
"""The code shared by unit and desk: evidence, wire vocabulary, durable files, clocks, broker, command line."""

__version__ = "0.1.0"
