# SPDX-License-Identifier: Apache-2.0
"""The layout of a vault on disk, for the unit that writes it and the checks of a copy."""
