# SPDX-License-Identifier: Apache-2.0
"""Encryption in the format of stock `age`: to one recipient, to k of n people, and to the keys of a day, which are
destroyed with it.
"""

from typing import Final

SUFFIX: Final = ".age"  # of files in age's format
