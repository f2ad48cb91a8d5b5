# SPDX-License-Identifier: Apache-2.0
"""`linetap desk ingest` as a separate process, with shorter time limits than at a desk."""

from __future__ import annotations

import argparse
import sys

from linetap_core.clock import SYSTEM
from linetap_desk.commands import desk as deskcommand
from linetap_desk.config import desk
from linetap_desk.copy.service import start_copies
from linetap_desk.ingest import process
from linetap_desk.ingest.link import Patience

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    deskcommand.add_arguments(parser)
    patience = Patience(first_ms=100, longest_ms=400, answer_ms=1000)
    sys.exit(process.run(desk.ingest_settings(parser.parse_args(sys.argv[1:])), start_copies, SYSTEM, patience))
