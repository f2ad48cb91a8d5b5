# SPDX-License-Identifier: Apache-2.0
"""The pages of holds, from an officer's request to the unit's report."""
