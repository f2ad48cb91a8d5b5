# SPDX-License-Identifier: Apache-2.0
"""calls.toml, the script of a bench: its keys, its reader, and the times of its events."""
