# SPDX-License-Identifier: Apache-2.0
"""The state of all units in memory, as numbered changes for any number of readers."""
