#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/desk-roles.md from the table of routes.

Run it as `.venv/bin/python tools/desk_roles.py` when a route changes; a test compares the two.
"""

from __future__ import annotations

import sys
from pathlib import Path

from linetap_desk.serve.handling.site import Route
from linetap_desk.serve.service import ROUTES
from linetap_desk.web.roles import ALONE, APART, ROLES

PAGE = Path(__file__).resolve().parent.parent / "docs/desk-roles.md"
_HEAD = """# Rights on the desk's pages

tools/desk_roles.py writes this table from the routes of the server (`desk/serve/service.py`). The server refuses a page
without a mark, also by its address, and does not start with a route without a role. `Logged as` is the verb in the
access log, written before the answer; a page without a verb shows no personal data.

"""


def page() -> str:
    head = ["Page", "", *ROLES, "Logged as"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [_line(route) for route in sorted(ROUTES, key=lambda route: (route.path, route.methods))]
    apart = [f"* {_and(sorted(roles))}: at most one of these." for roles in sorted(APART, key=sorted)]
    return (
        _HEAD
        + "\n".join(lines)
        + "\n\nRoles that exclude each other:\n\n"
        + "\n".join([f"* {ALONE}: no other role.", *apart])
        + "\n"
    )


def _line(route: Route) -> str:
    marks = ["everybody" if route.public else "x" if role in route.roles else "" for role in ROLES]
    return "| " + " | ".join([f"`{route.path}`", " ".join(route.methods), *marks, route.act or ""]) + " |"


def _and(words: list[str]) -> str:
    return ", ".join(words)


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.exit(0)
