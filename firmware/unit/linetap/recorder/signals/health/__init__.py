# SPDX-License-Identifier: Apache-2.0
"""Faults of a line, from its voltage and its audio."""
