# SPDX-License-Identifier: Apache-2.0
"""A citizen's copy of their own call: others' words silenced, in a file that a passphrase opens, with its proof."""
