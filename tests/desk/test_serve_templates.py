# SPDX-License-Identifier: Apache-2.0
"""Names in the desk's templates and scripts exist. template_watch.py walks every page rendered in any test; these tests
show that such a walk finds a missing name, and compare each script with its page and its data.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import pytest
import template_watch
from jinja2 import DictLoader, Environment, PackageLoader, StrictUndefined
from template_walk import Walk

from linetap_desk.custody.case import Case
from linetap_desk.serve.fleet.words import fleet_words
from linetap_desk.serve.live.hub import DeskConnection
from linetap_desk.serve.live.journal import Picture

PACKAGES = {name: Path(str(files(f"linetap_desk.{name}"))) for name in ("serve", "custody")}


def named(package: str) -> set[str]:
    return {str(path.relative_to(PACKAGES[package] / "templates")) for path in PACKAGES[package].rglob("*.html")}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_template_is_a_page_or_part_of_one(package: str) -> None:
    sources = [*PACKAGES[package].rglob("*.py"), *PACKAGES[package].rglob("*.html")]
    used = {name for path in sources for name in re.findall(r'"([\w/]+\.html)"', path.read_text())}
    assert used == named(package)


# --- the walk itself --------------------------------------------------------------------------------------------------


class Row(TypedDict):
    unit: str


class Record(msgspec.Struct):
    line: int
    said: str | None = None
    more: Record | None = None


@dataclass
class Given:
    record: Record
    rows: list[Row] = field(default_factory=list)
    by_name: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made = "later"

    @property
    def newest(self) -> Record | None:
        return self.record.more

    def opened(self, name: str) -> Record | None:
        return self.by_name.get(name)


PARTS = "{% macro row(one) %}{{ one.line }}{% endmacro %}{% macro bad(one) %}{{ one.lines }}{% endmacro %}"
RIGHT = [
    "{{ given.record.line }} {{ given.made }} {{ given.newest.said }} {{ given.opened('x').line }}",
    "{% for one in given.rows %}{{ one.unit }} {{ loop.index }}{% endfor %}",
    "{% for name, one in given.by_name.items() %}{{ name.upper() }} {{ one.more.line }}{% endfor %}",
    "{% set one = given.newest or given.record %}{% if one %}{{ one.said }}{% endif %}",
    '{% from "parts" import row %}{{ row(given.record) }}',
    '{% import "parts" as parts %}{{ parts.row(given.newest) }}',
    "{{ tables[0].key.line }} {% for one in tables %}{{ one.key.line }}{% endfor %} {{ table.kee }}",
    "{{ word.anything.at_all }} {{ table['key'].line }} {{ table.key.line }} {{ given.rows | length }}",
]
WRONG = {
    "{% if false %}{{ given.record.lines }}{% endif %}": "Record has no lines",
    "{{ given.heard }}": "Given has no heard",
    "{% if given.heard('x') %}{% endif %}": "Given has no heard",
    "{{ given.newest.spoken }}": "Record has no spoken",
    "{% if given.opened('x') %}{{ given.opened('x').spoken }}{% endif %}": "Record has no spoken",
    "{% for one in given.rows %}{{ one.name }}{% endfor %}": "Row has no name",
    "{% for name, one in given.by_name.items() %}{{ one.lines }}{% endfor %}": "Record has no lines",
    "{% set one = given.newest or given.record %}{{ one.spoken }}": "Record has no spoken",
    '{% from "parts" import bad %}{{ bad(given.record) }}': "Record has no lines",
    '{% from "parts" import gone %}': "parts has no macro gone",
    '{% import "parts" as parts %}{{ parts.gone() }}': "no macro is called gone",
    "{% if false %}{{ records }}{% endif %}": "nobody gives it records",
    "{{ (given.newest or {}).said }}": "{} has no said",
    '{% if false %}{% include "part" %}{% endif %}': "Given has no heard",
    '{% extends "page" %}{% block main %}{{ given.record.lines }}{% endblock %}': "Record has no lines",
    '{% extends "page" %}{% block head %}{% endblock %}': "Given has no beside",
    "{% for one in tables %}{{ one.kee }}{% endfor %}": "dict of key has no kee",
    "{{ tables[0].kee }}": "dict of key has no kee",
}


def faults_of(text: str) -> list[str]:
    parts = {"parts": PARTS, "part": "{{ given.heard }}", "page": "{% block main %}{{ given.beside }}{% endblock %}"}
    environment = Environment(loader=DictLoader({**parts, "it": text}), undefined=StrictUndefined)
    one = Record(1)
    tables = [{"key": one}]
    return Walk(environment).template("it", {"given": Given(one), "word": None, "table": tables[0], "tables": tables})


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_there_is_no_fault(text: str) -> None:
    assert faults_of(text) == []


@pytest.mark.parametrize("text", WRONG)
def test_a_name_that_does_not_exist_is_a_fault_in_a_branch_that_is_not_taken(text: str) -> None:
    (fault,) = faults_of(text)
    assert fault.endswith(WRONG[text])


def test_a_page_that_is_rendered_is_walked() -> None:
    environment = Environment(loader=DictLoader({"it": "{% if false %}{{ given.lines }}{% endif %}"}))
    assert environment.get_template("it").render(given=Record(1)) == ""
    assert template_watch.faults() == ["it:1: Record has no lines"]


def test_a_method_that_was_renamed_is_found_in_the_page_that_names_it() -> None:
    """From the type of the case alone: the branch is not rendered."""
    given: dict[str, Any] = {"case": Case.__new__(Case)}
    loader = PackageLoader("linetap_desk.custody")
    source = {name: loader.get_source(Environment(), name)[0] for name in named("custody")}
    for old, new in (("case.opened(", "case.heard("), ("case.request", "case.asked")):
        assert old in source["overview.html"]
        changed = source | {"overview.html": source["overview.html"].replace(old, new)}
        faults = Walk(Environment(loader=DictLoader(changed))).template("overview.html", given)
        assert [each for each in faults if each.endswith(f"Case has no {new.strip('(').partition('.')[2]}")]
    faults = Walk(Environment(loader=loader)).template("overview.html", given)
    assert not [each for each in faults if "nobody gives it" not in each]


# --- scripts ----------------------------------------------------------------------------------------------------------


def page(package: str, *folders: str) -> str:
    """The text of its layout and of the templates in these folders."""
    templates = PACKAGES[package] / "templates"
    paths = [templates / "layout.html", *(path for name in folders for path in (templates / name).glob("*.html"))]
    return "\n".join(path.read_text() for path in paths)


def script(package: str, name: str) -> str:
    return (PACKAGES[package] / "static" / name).read_text()


def found(pattern: str, text: str) -> set[str]:
    names = set(re.findall(pattern, text))
    assert names, pattern
    return names


FLEET = "\n".join(script("serve", name) for name in ("units.js", "wall.js", "fleet.js"))


def test_the_fleets_script_names_elements_and_fields_of_its_page() -> None:
    text, html = FLEET, page("serve", "fleet")
    assert found(r'\bat\("([\w-]+)"\)', text) | found(r'\bmould\("([\w-]+)"\)', text) <= found(r'id="([\w-]+)"', html)
    fields = found(r'\bput\(\w+, "(\w+)"', text) | found(r'data-field="(\w+)"', text)
    assert fields <= found(r'data-field="(\w+)"', html)
    set_here = found(r"\.dataset\.(\w+) =", text)
    assert found(r"\.dataset\.(\w+)", text) <= found(r"data-(\w+)=", html) | set_here
    assert set_here <= found(r"data-(\w+)=", html)
    classes = {name for names in found(r'class="([\w ]+)"', html) for name in names.split()}
    assert found(r'"[^"]*\.([a-z]+)[^"]*"\)', text) <= classes


def test_the_fleets_script_reads_what_the_desk_sends() -> None:
    text, words = FLEET, fleet_words(str, "en")
    assert found(r"\bwords\.(\w+)", text) == words.keys()
    named_in_code = {"lost", "over", "paused", "live", "reading", "stale", "gone"}  # says[...]
    assert found(r"\bsays\.(\w+)", text) | named_in_code <= words["says"].keys()
    assert found(r"\bcondition\.(\w+)", text) <= next(iter(words["conditions"].values())).keys()
    assert found(r"\bstate\.(sign|word)\b", text) == next(iter(words["states"].values())).keys()
    shown = found(r"(?m)^  (\w+)(?:: \(|\()unit, value(?:, change)?\)", text.partition("const SHOW = {")[2]) | {
        "alerts"
    }
    assert shown <= Picture.__annotations__.keys() | {"more"}
    assert Picture.__annotations__.keys() - shown == {"unit"}, "what is sent is shown"
    assert found(r"\bchange\.(\w+)", text) <= Picture.__annotations__.keys() | {"gone", "more"}
    assert found(r"\bvalue\??\.(says|cure|contact|by|at)\b", text) == {"says", "cure", "contact", "by", "at"}
    assert found(r"\bdesk\.(\w+)", text) <= {each.name for each in dataclasses.fields(DeskConnection)}


def test_the_players_script_names_elements_and_data_of_its_page() -> None:
    text, html = script("custody", "player.js"), page("custody", ".")
    listed = re.search(r"= \[([^]]+)\]\.map\(\n *\(id\)", text)
    assert listed
    ids = found(r'getElementById\("(\w+)"\)', text) | set(re.findall(r'"(\w+)"', listed[1]))
    assert ids <= found(r'id="([\w-]+)"', html)
    assert found(r"\btexts\.(\w+)", text) | {"at"} <= found(r"data-(\w+)=", html)
    sent = (PACKAGES["custody"] / "handlers.py").read_text().partition("async def shape")[2].partition("async def")[0]
    assert found(r"\bshape\.(\w+)", text) == found(r'"(\w+)": ', sent.partition('"moments"')[0]) | {"moments"}
    assert found(r"\bone\.(\w+)", text) == found(r'"(\w+)": ', sent.partition('"moments"')[2])
    assert found(r'getElementById\("(\w+)"\)', script("custody", "gone.js")) <= found(r'id="([\w-]+)"', html)
