# SPDX-License-Identifier: Apache-2.0
"""Encryption as stock `age` reads it: to one recipient, to k of n people, and to the keys of a day that end with it."""

from typing import Final

SUFFIX: Final = ".age"  # of a file that age has encrypted
