# SPDX-License-Identifier: Apache-2.0
"""Runs capture as a process: `capture_process.py CONFIG.json CARD`, with the exit status of the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from linetap.capture.service import run
from linetap.config.schema import Config
from linetap_core.errors import LinetapError

try:
    sys.exit(run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config), int(sys.argv[2])))
except LinetapError as error:
    print(f"linetap: {error.code}: {error}", file=sys.stderr)
    sys.exit(error.exit_status)
