# SPDX-License-Identifier: Apache-2.0
"""The code that unit and desk share: evidence, the wire's vocabulary, durable files, clocks, the broker, the
command."""

__version__ = "0.1.0"
