# SPDX-License-Identifier: Apache-2.0
"""`linetap custody` without arguments: one program with pages on this machine for every step that needs a key."""
