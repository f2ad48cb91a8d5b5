# SPDX-License-Identifier: Apache-2.0
"""Migrates the database whose URL is on standard input; opendatabase.py starts it as a process."""

from __future__ import annotations

import sys

from linetap_core.errors import LinetapError
from linetap_desk.serve import opendatabase


def main() -> int:
    try:
        opendatabase.open_own(sys.stdin.read().strip()).dispose()
    except LinetapError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
