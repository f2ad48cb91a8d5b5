# SPDX-License-Identifier: Apache-2.0
"""The printed page of a new unit: each light on it is the legend's, in pattern and name, on one sheet."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser
from servesite import ServeSite, chromium, require_accessible
from sqlalchemy import delete, insert

from linetap.adoption import exchange
from linetap.adoption.command import EVERY_S
from linetap.config.schema import Recording
from linetap.panel import button
from linetap.recorder.calls import parties
from linetap.recorder.walk import turn, walk
from linetap_core.clock import rfc3339
from linetap_core.wire.legend import ACTIVITIES, CONDITIONS, PATTERN_NAMES_KO, PATTERNS, WALK, number_pattern
from linetap_desk.serve.adoption import printedpage
from linetap_desk.serve.database.tables import adoptions
from linetap_desk.serve.database.transactions import writing
from linetap_desk.web import text
from linetap_desk.web.pages import LANGUAGE_COOKIE

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
import new_unit_minutes as minutes

DESK, ID, UNIT, PLACE = "https://desk.city.example:8443", "A2026-0001", "floor-03", "시청 본관 3층"
LINES = "".join(f'[[line]]\nnumber = {n}\nextension = "02-2133-{7000 + n}"\n' for n in range(8, 0, -1))
DRAFT = f"[network]\nvlan = 7\n[files]\n'unit.toml' = '''\n{LINES}'''\n".encode()
SMALLEST_PT = 8
ROW = re.compile(r'<(?:tr|div) data-code="(\w+)">(.*?)</(?:tr|div)>', re.DOTALL)
TABLE = re.compile(r'<table class="leds">\s*<caption[^>]*>(.*?)</caption>(.*?)</table>', re.DOTALL)
BAR = re.compile(r'<svg class="bar (\w+)".*?aria-label="([^"]+)">(.*?)</svg>', re.DOTALL)
LIT = re.compile(r'<rect x="([\d.]+)" width="([\d.]+)" height="12" class="lit"/>')


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    with ServeSite(tmp_path_factory.mktemp("serve")) as site:
        yield site


Leds = dict[str, tuple[str, str]]


def shown(page: str) -> dict[str, Leds]:
    """code -> LED -> (name, the drawn pattern: # for 100 ms lit). RUN of a table is above its rows."""
    found = {code: leds(cells) for code, cells in ROW.findall(page)}
    for above, table in TABLE.findall(page):
        for code, _ in ROW.findall(table):
            found[code] |= leds(above)
    return found


def leds(cells: str) -> Leds:
    found = {}
    for led, name, inside in BAR.findall(cells):
        drawn = ["."] * 30
        for at, long in LIT.findall(inside):
            begin, end = round(float(at) * 0.3), round((float(at) + float(long)) * 0.3)
            drawn[begin:end] = "#" * (end - begin)
        found[led] = (name, "".join(drawn))
    return found


def as_it_lights(pattern: str) -> str:
    """Three seconds of it; a counted pattern once."""
    steps = PATTERNS[pattern]
    return (steps if pattern.startswith("blink ") else steps * 30).ljust(30, ".")[:30]


def test_every_light_on_it_is_the_legends(served: ServeSite) -> None:
    page = served.client("officer").get("/adoption/paper").text
    found = shown(page)
    assert set(found) == {*(code for codes in printedpage.AT_STEP.values() for code in codes), *printedpage.ELSE}
    for code, there in found.items():
        one = CONDITIONS[code] if code in CONDITIONS else ACTIVITIES[code]
        assert one.ko.removeprefix("회선 시험: ") in page
        wanted = {led: getattr(one, led) for led in ("run", "fault", "call") if hasattr(one, led)}
        assert there == {led: (PATTERN_NAMES_KO[name], as_it_lights(name)) for led, name in wanted.items()}


@pytest.mark.parametrize("count", range(1, 7))
def test_who_counts_the_blinks_of_a_bar_gets_their_number(count: int) -> None:
    assert len(printedpage.bar(f"blink {count}", "ko").spans) == count


def test_the_times_on_the_sheet_are_those_of_the_unit(served: ServeSite) -> None:
    """Compared in the sheet's rounded-up words."""
    client = served.client("officer")
    client.cookies.set(LANGUAGE_COOKIE, "en")
    page = client.get("/adoption/paper").text
    for words, seconds, least_s, most_s in (
        ("a quarter of an hour is over: CALL goes dark", exchange.RUN_S, 900, 900),
        ("another number comes in two minutes", exchange.PAUSE_TURNS * EVERY_S, 60, 120),
        ("the line&#39;s result for five seconds", walk.VERDICT_S, 5, 5),
        ("About five seconds later comes this unit", parties.TEST_CALL_S, 4, 5),
        ("No announcement within seven seconds", Recording().answer_timeout_s, 8, 8),  # comes on another line
        ("nobody lifts is left after two minutes", turn.WAIT_S, 120, 120),
        ("the worst one for a minute", walk.SHOWN_S, 60, 60),
        ("they go out, after 3 seconds", button.WALK_MS / 1000, 3, 3),
        ("button held for more than ten seconds", button.REMOVAL_MS / 1000, 10, 10),
    ):
        assert words in page
        assert least_s <= seconds <= most_s, words


MOST_WORDS = 260  # two minutes at 130 a minute: Koreans reading aloud, doi.org/10.3341/kjo.2016.0042


def test_the_steps_are_read_in_two_minutes(served: ServeSite) -> None:
    """All words from step 1 to 7, the names of the LEDs' patterns included; what goes otherwise is on the back."""
    page = served.client("officer").get("/adoption/paper").text
    steps = page.partition('<ol class="paper-steps">')[2].partition("</ol>")[0]
    words = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", steps, flags=re.DOTALL).split()
    assert len(words) == minutes.WORDS <= MOST_WORDS


def test_the_back_has_an_entry_for_each_step(served: ServeSite) -> None:
    page = served.client("officer").get("/adoption/paper").text
    front, _, back = page.partition('<section class="back">')
    steps = front.partition('<ol class="paper-steps">')[2].count("<h2>")
    entries = back.partition('<ol class="paper-otherwise">')[2].partition("</ol>")[0]
    assert (steps, entries.count("<li>")) == (7, 7)


def test_the_sheet_without_a_unit_has_blanks_for_its_name_and_its_lines(served: ServeSite) -> None:
    page = served.client("officer").get("/adoption/paper").text
    assert "이 기기의 이름:" in page
    listed = page.partition("회선 번호:")[2].partition("</p>")[0]
    assert re.findall(r"<b>(\d+)</b> <i>", listed) == [str(n) for n in range(1, 9)]
    assert "이 기기의 이름:" not in served.client("officer").get(prepared(served, draft=DRAFT)).text


def test_the_lines_of_a_unit_are_in_the_order_of_the_walk_test(served: ServeSite) -> None:
    page = served.client("watch").get(prepared(served, draft=DRAFT)).text
    listed = page.partition("이 기기의 회선:")[2].partition("</p>")[0]
    assert re.findall(r"<b>(\d+)</b> (\S+) <", listed) == [(str(n), f"02-2133-{7000 + n}") for n in range(1, 9)]


def test_an_order_that_cannot_be_read_has_no_lines(served: ServeSite) -> None:
    for draft in (b"", b"-", b"files = 1", b"[files]\n'unit.toml' = '[[line]]\nnumber = \"1\"'", b"\xff", b"[" * 9999):
        assert "이 기기의 회선" not in served.client("watch").get(prepared(served, draft=draft)).text


def test_no_light_that_a_new_unit_may_show_is_missing() -> None:
    """The others are for a full or removed disk: of a unit that has worked for a while."""
    found = {code for codes in printedpage.AT_STEP.values() for code in codes} | set(printedpage.ELSE)
    assert CONDITIONS.keys() - found == {"pull", "removing", "removal_failed", "disk_full", "disk_forecast"}
    assert WALK.keys() <= found


def test_the_example_is_counted_as_call_counts_it(served: ServeSite) -> None:
    """Drawn in steps of the same pattern; each digit is below its own blinks."""
    page = served.client("officer").get("/adoption/paper").text
    (drawn,) = re.findall(r'<svg class="bar call example" viewBox="0 0 (\d+) 24".*?>(.*?)</svg>', page, re.DOTALL)
    steps = ["."] * int(drawn[0])
    for at, long in re.findall(r'<rect x="(\d+)" width="(\d+)" height="10" class="lit"/>', drawn[1]):
        steps[int(at) : int(at) + int(long)] = "#" * int(long)
    assert "".join(steps) == number_pattern("307")
    below = [
        (digit, int(at)) for at, digit in re.findall(r'<text x="(\d+)" y="22" class="digit">(\d)</text>', drawn[1])
    ]
    assert [digit for digit, _ in below] == list("307")
    (_, three), (_, zero), (_, seven) = below
    assert "".join(steps[:three]).count("#.") == 1
    assert steps[zero] == "#"
    assert "".join(steps[seven:]).count(".#") == 3


def prepared(served: ServeSite, desk: str = DESK, draft: bytes = b"-") -> str:
    """The path of a unit's page; `desk`: the address of the desk, as in desk.toml."""
    values = {"id": ID, "unit": UNIT, "place": PLACE, "prepared_by": "officer", "prepared_at": rfc3339(0), "count": 0}
    with writing(served.site.own) as db:
        db.execute(delete(adoptions))
        db.execute(insert(adoptions).values(**values, draft=draft))
    served.site.settings = msgspec.structs.replace(served.site.settings, url=desk)
    return f"/adoption/{ID}/paper"


@pytest.mark.parametrize("language", text.LANGUAGES)
@pytest.mark.parametrize("name", ["generic", "unit"])
def test_the_printed_page_is_one_sheet(served: ServeSite, tmp_path: Path, name: str, language: str) -> None:
    """As printed by a browser on A4, both sides; with the longest possible texts, and legible."""
    url, path = served.url, "/adoption/paper" if name == "generic" else prepared(served, draft=DRAFT)
    with chromium() as browser:
        assert isinstance(browser, Browser)
        context = served.context(browser, "officer")
        context.add_cookies([{"name": LANGUAGE_COOKIE, "value": language, "url": url, "secure": True}])
        page = context.new_page()
        page.goto(f"{url}{path}")
        assert page.locator("html").get_attribute("lang") == language
        page.set_viewport_size({"width": 718, "height": 1070})  # A4 without its margins, at 96 dpi
        page.emulate_media(media="print")
        wide = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
        assert page.locator(".paper-steps > li").evaluate_all(wide) == []
        front = page.locator(".back").evaluate("one => one.getBoundingClientRect().top")
        assert front <= 1070, "the steps are the front"
        size_px = page.locator(".paper-steps p").first.evaluate("one => parseFloat(getComputedStyle(one).fontSize)")
        assert size_px * 0.75 >= SMALLEST_PT
        page.pdf(path=tmp_path / "paper.pdf", prefer_css_page_size=True, print_background=True)
    data = (tmp_path / "paper.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page[^s]", data)) == 2


@pytest.mark.parametrize(("media", "scheme"), [("print", "light"), ("screen", "light"), ("screen", "dark")])
def test_a_foreign_reader_reads_the_code_in_a_picture_of_the_page(
    served: ServeSite, tmp_path: Path, media: Literal["print", "screen"], scheme: str
) -> None:
    """zbar, independent of our code and of the encoding library: printed, on a screen, and in the dark."""
    url, path = served.url, prepared(served)
    with chromium() as browser:
        assert isinstance(browser, Browser)
        page = served.context(browser, "watch", scheme=scheme).new_page()
        page.goto(f"{url}{path}")
        page.emulate_media(media=media)
        assert PLACE in page.inner_text("main")
        if media == "screen":
            require_accessible(page)
        page.screenshot(path=tmp_path / "page.png", full_page=True)
    words = ["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", str(tmp_path / "page.png")]
    found = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert found == f"{DESK}/fleet/unit/{UNIT}\n", "an address, and nothing besides"


@pytest.mark.parametrize("desk", ["https://0.0.0.0:8443", "https://127.0.0.1:8443", "https://[::]:8443"])
def test_where_the_desks_own_address_is_not_known_there_is_no_code(served: ServeSite, desk: str) -> None:
    page = served.client("officer").get(prepared(served, desk)).text
    assert "whose" not in page
    assert UNIT in page


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=120))
def test_the_path_is_the_matrix(text: str) -> None:
    """Each module of the drawing, compared with the library's own."""
    code = printedpage.code_of(text)
    drawn = {
        (int(x) + n, int(y)) for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", code.path)
        for n in range(int(length))
    }  # fmt: skip
    own = segno.make_qr(text, error="m", boost_error=False).matrix_iter(border=printedpage.QUIET)
    assert drawn == {(x, y) for y, row in enumerate(own) for x, dark in enumerate(row) if dark}
