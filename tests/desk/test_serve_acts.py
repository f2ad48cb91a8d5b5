# SPDX-License-Identifier: Apache-2.0
"""The access log's verbs name the shown data: a call for a call, units for units, each with its text."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

from linetap_desk.serve.review.review import NOT_DATA
from linetap_desk.serve.review.routes import ACTS, act_of
from linetap_desk.serve.service import ROUTES

WRITES = re.compile(
    r'(?:append_in|write|refused|run_logged|_step)\([^"\n]*?(?:""[^"\n]*?)*(?<!remark=)"([a-z]+(?:_[a-z]+)*)"'
)
SERVE = Path(str(files("linetap_desk.serve")))
# Verbs of pages with data, with their permitted pages: by the first words of the route.
SHOWS = {
    "view": r"/(calls|release/ask|hold/ask)/\{unit\}/\{call_id:path\}",
    "search": r"/calls/found",
    "fleet_view": r"/fleet",
    "unit_view": r"/fleet/unit/\{unit\}",
    "shift_view": r"/fleet/shift",
    "walks_view": r"/fleet/unit/\{unit\}/walks",
    "request_list": r"/release",
    "request_view": r"/release/\{id\}(/request\.json)?",
    "hold_view": r"/hold/\{id\}(/hold\.command)?",
    "citizen_list": r"/citizen",
    "citizen_view": r"/citizen/\{id\}",
    "citizen_print": r"/citizen/\{id\}/(receipt|notice|ended)",
    "accusation_view": r"/accusation",
    "ended_list": r"/ended",
    "ended_view": r"/ended/call/\{unit\}/\{call_id:path\}",
    "ended_print": r"/ended/statement/\{unit\}/\{call_id:path\}",
    "export": r"/(release|hold)/\{id\}/(call|vault|package|check)|/overflow/overflow\.tar",
    "overflow_view": r"/overflow",
    "commands_view": r"/commands",
    "restore_view": r"/restore",
    "review": r"/review(/\{month\}(/rows)?)?",
}


def test_each_verb_is_of_one_kind_of_page() -> None:
    for route in ROUTES:
        if route.act is not None:
            assert re.fullmatch(SHOWS[route.act], route.path), f"{route.path} is logged as {route.act}"


def test_every_verb_that_is_written_has_words() -> None:
    written = {route.act for route in ROUTES if route.act}
    for path in SERVE.rglob("*.py"):
        written |= set(WRITES.findall(path.read_text()))
    assert {"hold_ask", "login_too_often", "request_approve"} <= written
    assert written - ACTS.keys() == set()
    assert len(set(ACTS.values())) == len(ACTS), "two verbs in one wording"


def test_a_row_of_a_later_version_shows_its_act() -> None:
    assert act_of(SimpleNamespace(act="fleet_view")) == "All units viewed"
    assert act_of(SimpleNamespace(act="later")) == "later"


def test_what_shows_data_counts_as_seen() -> None:
    assert {act.partition("_")[0] for act in SHOWS if act != "review"} & set(NOT_DATA) == set()
