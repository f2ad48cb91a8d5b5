# SPDX-License-Identifier: Apache-2.0
"""Starts the program: prints its address and code in the terminal or console window, and opens the browser there."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from zoneinfo import ZoneInfo

from linetap_core.clock import Clock
from linetap_desk.custody import serving
from linetap_desk.custody.package import private_folder
from linetap_desk.custody.program import pages, settings
from linetap_desk.custody.program.program import Program
from linetap_desk.custody.site import Admission, CasePages


def run(desk_folder: Path, clock: Clock, zone: ZoneInfo, port: int, idle_s: float, browser: bool) -> int:
    """Runs until its button, a signal, or the idle time ends it."""
    known = settings.load(desk_folder)
    with private_folder() as work, serving.listening(port) as at:
        look = CasePages(zone, "linetap_desk.custody")
        program = Program(Admission(), look, clock, serving.url_of(at), idle_s, desk_folder, work, known)
        with program.held:
            serving.print_address(program)
            if browser:
                webbrowser.open(f"{program.url}/")
            serving.serve(program, pages.make_app(program), at)
    return 0
