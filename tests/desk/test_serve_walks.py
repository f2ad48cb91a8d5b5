# SPDX-License-Identifier: Apache-2.0
"""The page of a unit's walk tests: the results, and commands that sign exactly the shown report."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from calls_house import NOON_NS, OTHER, UNIT, CallsHouse
from playwright.sync_api import Browser
from servesite import ServeSite, chromium, require_accessible

from linetap_core import cli
from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.durable import privatefile
from linetap_core.evidence.authorization.command import Command, Envelope
from linetap_core.evidence.keys import keys
from linetap_desk.serve.fleet.walks import walk_of

OLD, NEW = "5f" * 32, "a0" * 32


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    house = CallsHouse(tmp_path_factory.mktemp("walks"))
    for hours, sha256, red in ((1, OLD, [3]), (2, NEW, [])):
        at = rfc3339(NOON_NS + hours * 3600 * NS_PER_S)
        house.tellers[UNIT].tell(
            "walked", at=at, call_id=None, line=None, green=[1, 2], yellow=[4], red=red, document_sha256=sha256
        )
    house._store()
    with house.serve() as site:
        yield site
    house.engine.dispose()


def test_the_newest_comes_first_and_its_hash_is_what_is_signed(served: ServeSite, tmp_path: Path) -> None:
    """The command is run as shown, with a key of the test."""
    page = served.client("officer").get(f"/fleet/unit/{UNIT}/walks").text
    assert re.findall(r"<td>([^<]*)</td>", page) == ["1, 2", "4", "-", "1, 2", "4", "3"]
    assert OLD not in page
    pasted, keep = (html.unescape(text) for text in re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.S))
    assert pasted == f"{UNIT} walk {NEW}", "into the program: test_program_commands.py"
    words = keep.splitlines()[0].split()[1:]
    privatefile.write(tmp_path / "operator.key", keys.unit_key_file(keys.new_unit_key()))
    words[words.index("operator.key")] = str(tmp_path / "operator.key")
    words[-1] = str(tmp_path / words[-1])
    assert cli.main(words) == 0
    envelope = msgspec.json.decode(Path(words[-1]).read_bytes(), type=Envelope)
    command = msgspec.json.decode(envelope.command, type=Command)
    assert (command.verb, command.role, command.unit) == ("learn", "operator", UNIT)
    assert command.body == {"walk": NEW}


def test_a_unit_without_one_and_a_unit_that_is_none(served: ServeSite) -> None:
    client = served.client("vault")
    assert "linetap command sign" not in client.get(f"/fleet/unit/{OTHER}/walks").text
    assert client.get("/fleet/unit/010-1234-5678/walks").status_code == 404
    assert served.client("watch").get(f"/fleet/unit/{UNIT}/walks").status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"document_sha256": "5f; rm -rf /"}, {"document_sha256": None}, {"document_sha256": f"{OLD}\n"},
        {"green": ["<script>"]}, {"at": "<b>"}, {"red": 3},
    ],
)  # fmt: skip
def test_a_unit_cannot_bring_a_text_of_its_own_into_the_page(changes: dict[str, object]) -> None:
    event: dict[str, object] = {"at": rfc3339(NOON_NS), "document_sha256": OLD, "green": [1], "event": "walked"}
    assert walk_of(msgspec.json.encode(event)) is not None
    assert walk_of(msgspec.json.encode(event | changes)) is None


def test_the_page_of_walk_tests_is_accessible(served: ServeSite) -> None:
    with chromium() as browser:
        assert isinstance(browser, Browser)
        require_accessible(served.page(browser, f"/fleet/unit/{UNIT}/walks", "officer"))
