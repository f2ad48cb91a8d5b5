# SPDX-License-Identifier: Apache-2.0
"""A recording during its call: its journal entries, the ends of its parts, and its entry in the index."""
