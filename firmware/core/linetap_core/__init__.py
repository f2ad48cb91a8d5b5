# SPDX-License-Identifier: Apache-2.0
"""What unit and desk share: evidence, the wire's vocabulary, durable files, clocks, the broker, the command."""

__version__ = "0.1.0"
