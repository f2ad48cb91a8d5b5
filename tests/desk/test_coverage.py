# SPDX-License-Identifier: Apache-2.0
"""The register of extensions, in the forms of PBXs and people; and each telephone compared with lines,
calls and units.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls_rig import fill, recorded
from fleet_rig import END_S, Speaking
from servesite import ServeSite
from sqlalchemy import Engine, insert
from watch_rig import LINE

from broker import HOST, Broker, until
from linetap_core import cli
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.zones import KOREA, zone_of
from linetap_desk.commands import desk as command
from linetap_desk.coverage import register
from linetap_desk.coverage.compare import Coverage, Place, compare
from linetap_desk.coverage.register import BadLines, Extension, Register
from linetap_desk.ingest import database, tables
from linetap_desk.searching.departments import Departments

NOW = "2026-11-30T00:00:00Z"
# The headings are those of FreePBX's bulk handler (its documentation), whose export has about sixty more.
FREEPBX = "action,extension,name,tech,outboundcid\nedit,2001,Kim,dahdi,\nedit,2002,Lee,pjsip,\n"
AVAYA = "Ext\tName\tType\tRoom\n2001\tKim\t2500\t민원실\n2002\tLee\t9608\t세무과\n2003\tPark\t6408D+\t\n"


def read(
    folder: Path, text: str | bytes, columns: dict[str, str] | None = None, kinds: dict[str, str] | None = None
) -> Register:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return register.imported(path, columns or {}, kinds or {})


def test_lists_of_pbxs_and_of_people(tmp_path: Path) -> None:
    assert read(tmp_path, FREEPBX).extensions == (Extension("2001", "analog"), Extension("2002", "ip_phone"))
    found = read(tmp_path, AVAYA, kinds={"9608": "ip_phone", "6408D+": "digital_set"})
    assert [one.kind for one in found.extensions] == ["analog", "ip_phone", "digital_set"]
    assert [one.department for one in found.extensions] == ["민원실", "세무과", ""]
    korean = "내선번호,종류,부서명\r\n3001,팩스,총무과\r\n3002,키폰,총무과\r\n3003,,\r\n"
    wanted = (
        Extension("3001", "fax", "총무과"),
        Extension("3002", "digital_set", "총무과"),
        Extension("3003", "unused"),
    )
    for encoding in ("utf-8", "utf-8-sig", "cp949"):  # a Korean spreadsheet's CSV is one of the last two
        assert read(tmp_path, korean.encode(encoding)).extensions == wanted


def test_semicolons_of_a_spreadsheet_in_another_language(tmp_path: Path) -> None:
    assert read(tmp_path, "extension;kind;department\n2001;fax;a, b\n").extensions == (
        Extension("2001", "fax", "a, b"),
    )


def test_a_bad_line_is_told_in_one_line(tmp_path: Path) -> None:
    """A cell may contain line breaks and terminal control characters."""
    with pytest.raises(BadLines) as found:
        read(tmp_path, 'extension,kind\n2001,"IP\nset \x1b[2J"\n')
    assert [line.isprintable() for line in found.value.lines] == [True]


def test_cells_without_a_kind_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Merged cells of a spreadsheet: all but the first are empty, and count as no telephone of staff."""
    path, out = tmp_path / "pbx.csv", tmp_path / "extensions.csv"
    path.write_text("extension,kind\n2001,analog\n2002,\n2003,\n")
    assert cli.main(["desk", "coverage", "import", str(path), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 3 extensions: 1 analog, 2 unused\n"


def test_a_named_column_goes_before_a_known_one(tmp_path: Path) -> None:
    text = "extension,dn,type\n1,2001,analog\n"
    with pytest.raises(BadInput, match=":1: two columns for extension"):
        read(tmp_path, text)
    assert read(tmp_path, text, columns={"DN": "extension"}).extensions[0].number == "2001"


def test_every_bad_line_is_told_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "pbx.csv", tmp_path / "extensions.csv"
    path.write_text(
        'extension,kind,department\n2001,analog,a\n02-120,analog,\n2001,fax,\n2002,hologram,\n2003,analog,"\x07"\n\n'
    )
    assert cli.main(["desk", "coverage", "import", str(path), "-o", str(out)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{path}:").partition(":")[0] for line in told[:4]] == ["3", "4", "5", "6"]
    assert "--kind 'hologram=ip_phone'" in told[2]
    assert told[4] == f"{path}: 4 bad lines; nothing is written"
    assert not out.exists()
    assert cli.main(["desk", "coverage", "import", str(path), "-o", str(out), "--kind", "hologram"]) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [(b"", "no column extension and kind"), (b"extension\n1\n", "no column kind"), (b"\xff\xfe\x00", "neither UTF-8"),
     (b'extension,kind\n2001,"analog\n', "bad lines"), (b"extension,kind\n2001\n2002,analog\n", "")],
)  # fmt: skip
def test_a_list_that_is_none(tmp_path: Path, text: bytes, says: str) -> None:
    if not says:
        assert read(tmp_path, text).extensions[0] == Extension("2001", "unused")  # trailing empty cells are cut
        return
    with pytest.raises(BadInput, match=says):
        read(tmp_path, text)


def test_what_is_imported_is_read_again(tmp_path: Path) -> None:
    found = read(tmp_path, AVAYA, kinds={"9608": "ip_phone", "6408D+": "digital_set"})
    (tmp_path / "extensions.csv").write_bytes(register.csv_of(found))
    assert Register.load(tmp_path / "extensions.csv") == found
    (tmp_path / "extensions.csv").write_text("extension,kind\n2001,SIP\n")
    with pytest.raises(BadLines):  # the register accepts only our words
        Register.load(tmp_path / "extensions.csv")


# --- against lines and calls ------------------------------------------------------------------------------------------

LINES = """unit,line,extension,department,from
floor-01,1,2001,민원실,2026-01-01
floor-01,2,2002,민원실,2026-01-01
floor-01,3,2003,민원실,2026-01-01
floor-09,1,2004,민원실,2026-01-01
floor-01,4,,국선,2026-01-01
floor-01,,2010,세무과,2026-01-01
floor-01,6,2090,세무과,2026-01-01
floor-01,7,2001,옛자리,2025-01-01
"""
KINDS = {
    "2001": "analog", "2002": "analog", "2003": "ip_phone", "2004": "analog", "2005": "analog", "2006": "ip_phone",
    "2007": "mobile", "2008": "fax", "2009": "unused", "2010": "digital_set",
}  # fmt: skip
STATES = {
    "2001": "tapped", "2002": "silent", "2003": "odd", "2004": "no_line", "2005": "untapped", "2006": "ip_phone",
    "2007": "mobile", "2008": "fax", "2009": "unused", "2010": "trunk",
}  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "lines.csv").write_text(LINES)
    text = "extension,kind,department\n" + "".join(f"{number},{kind},=부서\n" for number, kind in KINDS.items())
    (tmp_path / "extensions.csv").write_text(text)
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    fill(engine, [recorded("floor-01", 1), recorded("floor-01", 2, -40 * 86400), recorded("floor-01", 4, 60),
                  recorded("floor-01", 5, 90)])  # fmt: skip
    with engine.begin() as db:
        db.execute(insert(tables.units).values(unit="floor-01", named=True, set_aside=0))
        for day, missing in (("2026-11-20", 3), ("2026-11-21", 0), ("2026-09-01", 50)):
            db.execute(insert(tables.pbx_days).values(
                unit="floor-01", day=day, calls=100, recorded=100 - missing, missing=missing, unseen=1, told_at=NOW,
            ))  # fmt: skip
    yield engine
    engine.dispose()


def compared(engine: Engine, folder: Path, live: set[Place] | None = None) -> Coverage:
    table = Departments.load(folder / "lines.csv", zone_of(KOREA))
    with engine.connect() as db:
        return compare(db, Register.load(folder / "extensions.csv"), table, parse_rfc3339(NOW), live)


def test_each_telephone_has_its_state(engine: Engine, tmp_path: Path) -> None:
    found = compared(engine, tmp_path)
    assert {one.extension.number: one.state for one in found.extensions} == STATES
    assert (found.tapped, found.staff, found.wrong) == (1, 8, 4)
    assert found.extensions[0].place == ("floor-01", 1)  # the newest seat, not the former
    assert (found.strays, found.nobodys) == (["2090"], [("floor-01", 5)])
    assert [(one.days, one.calls, one.missing) for one in found.pbx] == [(2, 200, 3)]


def test_calls_of_the_line_before_it_had_the_telephone_cover_none(engine: Engine, tmp_path: Path) -> None:
    """A telephone that got the line yesterday, with its wire not in place, had the calls of the former one."""
    (tmp_path / "lines.csv").write_text(LINES + "floor-01,1,2005,민원실,2026-11-25\n")
    found = {one.extension.number: (one.state, one.last) for one in compared(engine, tmp_path).extensions}
    assert found["2005"] == ("silent", None)


def test_a_call_of_the_future_covers_no_telephone(engine: Engine, tmp_path: Path) -> None:
    """By a unit's wrong clock its line would be covered for years."""
    fill(engine, [recorded("floor-01", 2, 3000 * 86400)])
    assert {one.extension.number: one.state for one in compared(engine, tmp_path).extensions} == STATES


def test_a_line_that_its_unit_does_not_report(engine: Engine, tmp_path: Path) -> None:
    live = {("floor-01", line) for line in range(1, 6)}
    found = {one.extension.number: one.state for one in compared(engine, tmp_path, live - {("floor-01", 2)}).extensions}
    assert found == STATES | {"2002": "no_line"}
    found = {one.extension.number: one.state for one in compared(engine, tmp_path, live | {("floor-09", 1)}).extensions}
    assert found == STATES | {"2004": "silent"}


@pytest.mark.usefixtures("engine")
def test_the_command_says_the_measure_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "desk.toml"
    config.write_text('db = "sqlite:///desk.db"\n[serve]\nlines = "lines.csv"\nextensions = "extensions.csv"\n')
    words = ["desk", "coverage", "show", "--config", str(config)]
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args([*words[1:], "-o", str(tmp_path / "out.csv")])
    assert command.run(args, ManualClock(parse_rfc3339(NOW))) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "seen in 30 days: 1 of 8 telephones of staff (12.5 %)"
    assert "PBX at floor-01: 2 days, 200 calls, 197 recorded, 3 missing, 2 recorded and not listed" in told
    rows = list(csv.reader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8-sig"), newline="")))
    assert rows[1] == ["2001", "'=부서", "analog", "tapped", "floor-01", "1", "2026-11-24T00:00:00.000Z"]
    assert len(rows) == 1 + len(KINDS)
    config.write_text('db = "sqlite:///desk.db"\n[serve]\n')
    assert cli.main(words) == 2
    assert "serve.extensions is missing" in capsys.readouterr().err


@pytest.mark.usefixtures("engine")
def test_the_page_and_the_report_have_the_same_measure(tmp_path: Path) -> None:
    more = 'lines = "lines.csv"\nextensions = "extensions.csv"'
    with ServeSite(tmp_path, ManualClock(parse_rfc3339(NOW)), more, 'db = "sqlite:///desk.db"') as served:
        text = " ".join(re.sub("<[^>]+>", " ", served.client("officer").get("/coverage").text).split())
        assert "직원 전화 8대 중 1대의 통화가 최근 30일 동안 확인되었습니다 (12.5 %)" in text
        assert "floor-01 2 200 197 3 2" in text
        report = " ".join(re.sub("<[^>]+>", " ", served.client("officer").get("/protection").text).split())
        assert "최근 30일 통화가 확인된 전화 1 / 8 (12.5 %)" in report
        for role, status in (("watch", 200), ("auditor", 200), ("custodian", 403), ("vault", 403)):
            assert served.client(role).get("/coverage").status_code == status


def text_of(served: ServeSite, path: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", served.client("officer").get(path).text).split())


@pytest.mark.usefixtures("engine")
def test_the_lines_that_staff_hang_up_are_on_page_and_report(tmp_path: Path) -> None:
    """As reported by units at a real broker."""
    more = 'lines = "lines.csv"\nextensions = "extensions.csv"'
    with Broker(tmp_path / "broker", saves=False) as broker:
        floor = Speaking(broker.port)
        floor.is_well("floor-01", 4)
        for line, how in ((1, "contact"), (2, "exchange"), (3, "no_contact")):
            floor.say("floor-01", f"line/{line}", {**LINE, "release": how})
        floor.close()
        where = f'db = "sqlite:///desk.db"\n[broker]\nhost = "{HOST}"\nport = {broker.port}'
        with ServeSite(tmp_path, more=more, tables=where) as served:
            until(lambda: served.site.fleet.figures()[0] == "live", END_S)
            page, unit = text_of(served, "/coverage"), text_of(served, "/fleet/unit/floor-01")
            report = text_of(served, "/protection")
    assert "floor-01, 2 측정 결과 교환기가 제한 시간 안에 회선을 해제하지 않음" in page
    assert "floor-01, 3 카드에 회선을 끊는 접점이 없음" in page
    assert "floor-01, 1 " not in page
    assert unit.count("통화 종료는 담당자가 함") >= 2
    assert (
        "종료하는 회선: 1개. 종료 안내 후 담당자가 끊는 회선: 접점 없음 1개, 설정으로 지정 0개, 교환기가 제한" in report
    )


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("how", "says"),
    [("contact", "모든 회선에서 기기가 직접 통화를 종료합니다"), (None, "통화를 종료한다고 보고한 기기가 없습니다")],
)
def test_what_no_unit_reports_is_not_claimed(tmp_path: Path, how: str | None, says: str) -> None:
    """Units of an earlier version do not report it."""
    with Broker(tmp_path / "broker", saves=False) as broker:
        floor = Speaking(broker.port)
        floor.is_well("floor-01", 2)
        if how is not None:
            floor.say("floor-01", "line/1", {**LINE, "release": how})
        floor.close()
        where = f'db = "sqlite:///desk.db"\n[broker]\nhost = "{HOST}"\nport = {broker.port}'
        with ServeSite(tmp_path, more='extensions = "extensions.csv"', tables=where) as served:
            until(lambda: served.site.fleet.figures()[0] == "live", END_S)
            page = text_of(served, "/coverage")
    assert says in page


@pytest.mark.usefixtures("engine")
def test_without_a_broker_that_is_not_known(tmp_path: Path) -> None:
    more = 'lines = "lines.csv"\nextensions = "extensions.csv"'
    with ServeSite(tmp_path, ManualClock(parse_rfc3339(NOW)), more, 'db = "sqlite:///desk.db"') as served:
        assert "브로커에 연결되어 있지 않아 현재 알 수 없습니다" in text_of(served, "/coverage")


@pytest.mark.usefixtures("engine")
def test_without_a_register_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    with ServeSite(tmp_path, ManualClock(parse_rfc3339(NOW)), "", 'db = "sqlite:///desk.db"') as served:
        assert "linetap desk coverage import" in served.client("officer").get("/coverage").text
