# SPDX-License-Identifier: Apache-2.0
"""docs/keys.md names every namespace of a signature, and every key that another document has a command for."""

from __future__ import annotations

import re
from pathlib import Path

from linetap_core.evidence.signing import namespaces

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "keys.md"
# Names from examples or intermediate steps, each for a key that the page describes by its role.
OTHER_NAMES = {
    "second.key", "second-officer.key", "privacy.key",  # officers and approvers
    "keeper.key", "witness.key",  # by their roles
    "city.key", "desk-pages.key",  # a broker's, a client's, with a site's name
    "call.key", "board.key", "volume.key", "unit.key.next", "unit.key.kept",  # for a step, and copies
}  # fmt: skip


def test_every_namespace_is_somebodys() -> None:
    values = vars(namespaces).values()
    defined = {value for value in values if isinstance(value, str) and re.fullmatch("linetap-[a-z-]+", value)}
    assert set(re.findall(r"`(linetap-[a-z-]+)`", PAGE.read_text(encoding="utf-8"))) == defined


def test_every_key_of_a_command_is_in_the_list() -> None:
    listed = set(re.findall(r"[\w.-]+\.key", PAGE.read_text(encoding="utf-8")))
    used = set()
    for path in DOCS.glob("*.md"):
        for block in re.findall(r"```.*?```", path.read_text(encoding="utf-8"), re.DOTALL):
            used |= set(re.findall(r"(?<![\w/.-])[\w.-]+\.key(?:\.next|\.kept)?(?![\w.-]*\.pub)\b", block))
    assert used - listed - OTHER_NAMES == set()
