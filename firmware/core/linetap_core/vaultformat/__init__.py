# SPDX-License-Identifier: Apache-2.0
"""How a vault lies on a disk, for the unit that writes it and for whoever checks a copy of it."""
