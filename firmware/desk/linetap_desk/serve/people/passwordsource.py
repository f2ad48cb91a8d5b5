# SPDX-License-Identifier: Apache-2.0
"""A password from the terminal, unseen and twice; or the one line of a pipe. Never from the command line, which every
process may read."""

from __future__ import annotations

import getpass
import sys

from linetap_core.errors import BadInput

_MOST = 1000


def read_password() -> str:
    """BadInput where the two are not the same, or nothing came."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline(_MOST).rstrip("\n")
        if not password:
            raise BadInput("the password: one line on standard input would be right")
        return password
    password = getpass.getpass("password: ")
    if password != getpass.getpass("once more: "):
        raise BadInput("the password: the two are not the same")
    return password
