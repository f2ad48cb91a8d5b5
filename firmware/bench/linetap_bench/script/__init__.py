# SPDX-License-Identifier: Apache-2.0
"""calls.toml, the script of a bench: its keys, how it is read, and when the things in it happen."""
