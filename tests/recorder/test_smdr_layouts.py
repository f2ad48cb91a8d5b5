# SPDX-License-Identifier: Apache-2.0
"""Every line of a PBX is parsed as a call or ignored; none raises."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smdr_rig import T0_NS, config_of, panasonic

from linetap.config.schema import Config
from linetap.recorder.smdr.layouts import SmdrLine, parser
from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.mask import masked
from linetap_core.wire import smdrcolumns as grammar

# Columns counted on the manual's ruler, 0 to 77: T 0, date 2, start 8, duration 17, extension 26, digits 30, trunk 76.
RULED = "O 11/25 07:56:12 00:01:30 101 901012345678                9876543210 V0012 07"


def parse(raw: str, arrived_ns: int = T0_NS, **smdr: Any) -> SmdrLine | None:
    return parser(config_of({}, **smdr))(raw, arrived_ns)


def told(raw: str, arrived_ns: int = T0_NS, **smdr: Any) -> SmdrLine:
    line = parse(raw, arrived_ns, **smdr)
    assert line is not None, raw
    return line


def test_panasonic_by_the_manuals_ruler() -> None:
    line = told(RULED)
    assert rfc3339(line.started_ns) == "2026-11-24T22:56:12.000Z"
    assert (line.kind, line.duration_s, line.extension, line.number, line.trunk, line.raw) == (
        "out", 90, "101", "901012345678", "07", RULED,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (panasonic(0, 5, trunk="01", kind="I"), ("in", "2101", "01012345678", "01")),
        (panasonic(0, 5, number="", trunk="01", kind="I"), ("in", "2101", "", "01")),
        (panasonic(0, 5, number="2102", kind="O"), ("out", "2101", "2102", "")),
        (panasonic(0, 5, number="Out of Area", trunk="12", kind="D"), ("in", "2101", "", "12")),
        (panasonic(0, 5, number=">123<", trunk="12", kind="s"), ("out", "2101", "*123#", "12")),
        ("T 11/25 07:56:00 00:00:05 101 0212345678 03", ("unknown", "101", "0212345678", "03")),
        ("O 11/25 07:56:00 00:00.05 101 0212345678 99 V0001 03", ("out", "101", "0212345678", "03")),
        ("N 11/25 07:56:00 00:00:05 101", ("in", "101", "", "")),
    ],
)
def test_panasonic_in_all_its_forms(raw: str, wanted: tuple[str, str, str, str]) -> None:
    line = told(raw)
    assert (line.kind, line.extension, line.number, line.trunk) == wanted
    assert line.duration_s == 5


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "X 11/25 07:56:00 00:00:05 101",
        "O 13/25 07:56:00 00:00:05 101",
        "O 11/31 07:56:00 00:00:05 101",
        "O 11/25 24:56:00 00:00:05 101",
        "O 11/25 07:66:00 00:00:05 101",
        "O 11/25 07:56 00:05 101",
        "O 11/25 07:56:00 00:00:05",
        "T MM/DD HH:MM:SS HH:MM.SS NNN DDDD",
        "O 11/25 07:56:00 00:00:05 101 " + "9" * 500,
        "O ١١/25 07:56:00 00:00:05 101",
    ],
)
def test_what_is_no_line_is_none(raw: str) -> None:
    assert parse(raw) is None


@pytest.mark.parametrize(
    ("arrived", "day", "started"),
    [
        ("2026-12-31T15:00:10Z", "12/31", "2026-12-31T14:59:00.000Z"),  # printed after midnight in Seoul
        ("2026-12-31T14:59:30Z", "01/01", "2026-12-31T23:59:00.000Z"),  # its clock is ahead
        ("2028-02-29T03:00:00Z", "02/29", "2028-02-28T23:59:00.000Z"),
    ],
)
def test_the_year_is_the_one_nearest_to_the_arrival(arrived: str, day: str, started: str) -> None:
    time = "23:59:00" if day == "12/31" else "08:59:00"
    assert rfc3339(told(f"O {day} {time} 00:00:05 101", parse_rfc3339(arrived)).started_ns) == started


@pytest.mark.parametrize("year", ["2569", "9999", "1500", "0101"])
def test_a_year_of_another_calendar_is_no_day(year: str) -> None:
    """2569 is Thailand's 2026. Its nanoseconds do not fit into the checkpoint, which ended every recorder."""
    columns: dict[str, Any] = {"format": "columns", "columns": "date:10 time:5 ext:3 number:10", "time": "HH:MM"}
    assert parse(f"{year}/11/25 07:56 101 0312345678", date="YYYY/MM/DD", **columns) is None
    msgspec.msgpack.encode(told("2026/11/25 07:56 101 0312345678", date="YYYY/MM/DD", **columns))


def test_a_duration_of_centuries_is_no_call() -> None:
    columns: dict[str, Any] = {"format": "columns", "columns": "time:5 duration:9 ext:3", "time": "HH:MM"}
    assert parse("07:56 999999999 101", duration="HHHHHHHHH", **columns) is None


def test_a_leap_day_of_no_year_nearby_is_no_day() -> None:
    assert parse("O 02/29 08:59:00 00:00:05 101", parse_rfc3339("2026-02-28T23:59:00Z")) is None


def test_the_zone_is_the_pbxs_own() -> None:
    assert rfc3339(told(RULED, zone="Europe/Berlin").started_ns) == "2026-11-25T06:56:12.000Z"


KX: dict[str, Any] = {
    "format": "columns",
    "columns": "date:8 time:7 ext:5 trunk:2 number:25 skip:4 duration:8",
    "date": "YY/MM/DD",
    "time": "HH:MMAM",
    "duration": "HH:MM'SS",
    "time_is": "end",
}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("26/11/25 07:58AM 2101  01 <I>01012345678            0'05 00:01'30 9876", ("in", "01012345678", "01", 90)),
        ("26/11/25 07:58AM 2101     EXT2102                        00:00'00", ("internal", "2102", "", 0)),
        ("26/11/25 07:58AM 2101  01 0212345678                     00:12'05", ("unknown", "0212345678", "01", 725)),
    ],
)
def test_columns_of_another_family(raw: str, wanted: tuple[str, str, str, int]) -> None:
    line = told(raw, **KX)
    assert (line.kind, line.number, line.trunk, line.duration_s) == wanted
    end = parse_rfc3339("2026-11-24T22:58:00Z")
    assert line.started_ns == end - wanted[3] * 10**9


def test_columns_by_their_places_and_without_a_day() -> None:
    smdr: dict[str, Any] = {"format": "columns", "columns": "time:1-5 kind:7-7 ext:9-12 number:14-30 duration:32-36",
            "time": "HH:MM", "duration": "SSSSS", "kinds": "X=internal E=in A=out"}  # fmt: skip
    line = told("07:56 E 2101 01012345678          90", **smdr)
    assert (line.kind, line.extension, line.number, line.duration_s) == ("in", "2101", "01012345678", 90)
    before_midnight = told("23:59 A 2101 01012345678          90", parse_rfc3339("2026-11-24T15:00:30Z"), **smdr)
    assert rfc3339(before_midnight.started_ns) == "2026-11-24T14:59:00.000Z"


@pytest.mark.parametrize("half", [("12:05AM", 5), ("12:05PM", 725), (" 1:05PM", 785), ("11:59PM", 1439)])
def test_twelve_hours(half: tuple[str, int]) -> None:
    line = told(f"26/11/25 {half[0]} 2101", **{**KX, "time_is": "start"})
    assert (line.started_ns - parse_rfc3339("2026-11-24T15:00:00Z")) // (60 * 10**9) == half[1]


@given(raw=st.text(max_size=300), columns=st.booleans())
def test_nothing_that_a_port_says_raises(raw: str, columns: bool) -> None:
    parse(raw, **(KX if columns else {}))


@given(raw=st.from_regex(r"[IOTSsDN] [0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9:]{8} .{0,60}", fullmatch=True))
def test_nothing_that_looks_like_a_line_raises(raw: str) -> None:
    parse(raw)
    parse(raw, **{**KX, "columns": "skip:2 date:5 time:8 duration:8 ext:3", "date": "MM/DD", "time": "HH:MM:SS"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("date:8 tme:5 ext:4", "'tme:5'"),
        ("date:8 time ext:4", "'time'"),
        ("time:5 ext:4 ext:5", "ext is there twice"),
        ("time:5 ext:9-8", "ends before"),
        ("time:5 ext:0-8", "ends before"),
        ("time:5 ext:999", "beyond 256"),
        ("date:8 ext:4", "time is wanted"),
        ("time:5 number:20", "time is wanted, and ext or trunk"),
        ("", "time is wanted"),
        ("skip:1 " * 40, "40 columns"),
    ],
)
def test_bad_columns_are_reported(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        grammar.columns(text)


@pytest.mark.parametrize("text", ["", "HH:MX", "HH:MM:HH", "MM:SS", "YY/MM", "H" * 40 + ":MM"])
def test_bad_pictures_are_reported(text: str) -> None:
    with pytest.raises(BadInput):
        grammar.picture(text, "HM", "HMS")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("01012341234", "010-****-1234"),
        ("010-1234-1234", "010-****-1234"),
        ("021234567", "02-***-4567"),
        ("03112345678", "031-****-5678"),
        ("15881234", "****-1234"),
        ("2101", "2***"),
        ("112", "1**"),
        ("", ""),
    ],
)
def test_numbers_in_reports_are_masked(number: str, shown: str) -> None:
    assert masked(number) == shown


@given(number=st.text(alphabet="0123456789-*# ", max_size=40))
def test_a_mask_hides(number: str) -> None:
    digits = [sign for sign in number if sign.isdigit()]
    shown = masked(number)
    assert sum(sign.isdigit() for sign in shown) <= max(1, len(digits) - 3)


def test_the_default_configuration_waits_for_nothing() -> None:
    default = next(field.default for field in msgspec.structs.fields(Config) if field.name == "smdr")
    assert default.port is None
