# SPDX-License-Identifier: Apache-2.0
"""[smdr] in unit.toml: its errors are reported with their lines."""

from __future__ import annotations

from typing import get_args

import pytest
from smdr_rig import T0_NS

import config_rig
from config_rig import Site
from linetap.commission.configcheck import check_config
from linetap.config.schema import Smdr
from linetap.recorder.smdr.layouts import LAYOUTS, parser
from linetap_core.clock import rfc3339
from linetap_core.wire import smdrcolumns

site = config_rig.site  # the fixture


def test_what_is_written_are_the_defaults(site: Site) -> None:
    assert check_config(site.path).smdr == Smdr()


def test_every_format_has_its_maker_its_parser_and_its_words_in_the_file(site: Site) -> None:
    formats = get_args(smdrcolumns.Format)
    assert (*smdrcolumns.MAKERS, smdrcolumns.COLUMNS) == formats
    assert tuple(LAYOUTS) == formats
    written = site.path.read_text()
    assert [name for name in formats if f'"{name}" is ' not in written] == []


def test_another_pbx_as_the_comments_show_it(site: Site) -> None:
    site.edit('# port = "/dev/linetap/smdr"', 'port = "/dev/ttyAMA4"')
    site.edit('format = "panasonic"', 'format = "columns"')
    for key in ("columns", "date", "time", "duration", "time_is", "kinds"):
        site.edit(f"\n# {key} = ", f"\n{key} = ")
    line = parser(check_config(site.path))("26/11/25 07:58AM 2101  01 01012345678                    00:01'30", T0_NS)
    assert line is not None
    assert (line.extension, line.trunk, line.number, line.duration_s) == ("2101", "01", "01012345678", 90)
    assert rfc3339(line.started_ns) == "2026-11-24T22:56:30.000Z"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("columns", '"date:8 tme:5"', "smdr.columns: 'tme:5': a name of kind, date,"),
        ("columns", '""', "smdr.columns: time is wanted"),
        ("date", '"DD.MM.JJJJ"', "smdr.date: 'DD.MM.JJJJ': each of Y, M, D once"),
        ("time", '"MM:SS"', "smdr.time: 'MM:SS': each of H, M, S once, H and M at least"),
        ("duration", '"lots"', "smdr.duration: 'lots'"),
        ("kinds", '"I=inbound"', "smdr.kinds: 'I=inbound': I=in, O=out"),
        ("zone", '"Asia/Soul"', "smdr.zone = 'Asia/Soul': no such time zone"),
        ("baud", "300", "smdr.baud = 300"),
        ("wait_s", "0", "smdr.wait_s = 0"),
        ("format", '"csv"', "smdr.format = 'csv'"),
        ("colums", '""', "unknown key smdr.colums; known here: port, baud, format, columns"),
    ],
)
def test_what_is_wrong_is_reported_with_its_line(site: Site, key: str, value: str, says: str) -> None:
    text = site.path.read_text()
    kept = [line for line in text.splitlines() if not line.startswith((f"{key} = ", 'format = "panasonic'))]
    fresh = [f"{key} = {value}"]
    if key not in ("format", "columns"):
        fresh += ['columns = "date:8 time:7 ext:5"']
    if key != "format":
        fresh += ['format = "columns"']
    at = kept.index("[smdr]") + 1
    site.path.write_text("\n".join([*kept[:at], *fresh, *kept[at:]]) + "\n")
    line, told = site.only_error()
    assert line == at + 1
    assert says in told
