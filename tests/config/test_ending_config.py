# SPDX-License-Identifier: Apache-2.0
"""[[situation]] and [ending] in unit.toml: every error with its line, and the message about lines without a contact."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from config_rig import Site
from linetap.commission.configcheck import check_config
from linetap.config import namednotices
from linetap.config.change import services
from linetap.config.retention import class_of
from linetap.config.schema import Config, Ending
from linetap.linerelease import staff_lines
from linetap_core.cli import main
from linetap_core.records import END_STEPS
from unit_rig import save_notice

FIVE = [("abuse", "**2"), ("sexual_harassment", "**3"), ("threat", "**4"), ("overlong", "**5"), ("repeated", "**6")]
TIMES = """[ending]
warn_s = 900
end_s = 1200
end_situation = "overlong"
extend_code = "**0"
extend_s = 300
extend_most = 2
"""


class Ended(Site):
    """A site whose own tables, at the end of its file, are changed by the tests."""

    def edit(self, old: str, new: str, count: int = 1) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(new.join(text.rsplit(old, count)))

    def line_of(self, needle: str, number: int = 1) -> int:
        lines = self.path.read_text().splitlines()
        return [i for i, line in enumerate(lines, 1) if line.startswith(needle)][-number]


@pytest.fixture
def site(tmp_path: Path) -> Ended:
    """All five situations, and the longest time switched on."""
    made = Ended(tmp_path)
    made.write()
    text = re.sub(r"^\[\[situation\]\]\n(.+\n)*", "", made.path.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^\[ending\]\n(.+\n)*", "", text, flags=re.MULTILINE)
    tables = [
        f'[[situation]]\nname = "{name}"\ncode = "{code}"\nnotice = "end-{name.replace("_", "-")}"\n\n'
        for name, code in FIVE
    ]
    made.path.write_text("\n".join([text, *tables, TIMES]))
    return made


def loaded(site: Site) -> Config:
    return check_config(site.path)


def test_five_situations_and_the_longest_time_are_right(site: Site) -> None:
    config = loaded(site)
    assert [(each.name, each.code, each.then) for each in config.situation] == [(*each, "end") for each in FIVE]
    assert (config.ending.warn_s, config.ending.end_s, config.ending.extend_code) == (900, 1200, "**0")


@pytest.mark.parametrize("taken", ["**1", "**9", "**0", "**", "*3", "**3"])
def test_a_code_within_another_is_an_error_at_the_later_one(site: Site, taken: str) -> None:
    site.edit('code = "**2"', f'code = "{taken}"')
    errors = site.errors()
    assert all("one is within the other" in text for _, text in errors)
    assert errors[0][0] == (
        site.line_of('code = "**3"') if taken in ("**3", "*3") else site.line_of(f'code = "{taken}"')
    )


@pytest.mark.parametrize("code", ["11", "119", "1190"])
def test_a_code_that_an_emergency_number_has_in_it_is_an_error(site: Site, code: str) -> None:
    """After a flash its digits would be taken for the code's, and the emergency call would fail."""
    site.edit('code = "**4"', f'code = "{code}"')
    ((line, text),) = site.errors()
    assert (line, "could not be dialled" in text) == (site.line_of(f'code = "{code}"'), True)


@pytest.mark.parametrize("code", ["**4\\n", "**4 ", "\\u0667\\u0667"])
def test_a_code_that_no_telephone_has_is_an_error(site: Site, code: str) -> None:
    site.edit('code = "**4"', f'code = "{code}"')
    ((line, text),) = site.errors()
    assert (line, "code" in text) == (site.line_of(f'code = "{code}"'), True)


def test_the_code_for_more_time_counts_only_where_a_time_is_set(site: Site) -> None:
    site.edit('code = "**2"', 'code = "**0"')
    site.edit("end_s = 1200", "end_s = 0")
    assert loaded(site).situation[0].code == "**0"


def test_a_situation_that_only_comes_by_time_needs_no_code(site: Site) -> None:
    site.edit('code = "**5"\n', "")
    assert [each.code for each in loaded(site).situation if each.name == "overlong"] == [""]


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ('name = "threat"', 'name = "Threat"', 'name = "Threat"', "situation"),
        ('name = "threat"', 'name = "abuse"', None, "is there twice"),
        ('name = "threat"', 'name = "warned"', 'name = "warned"', "a mark of records has that name"),
        ('notice = "end-threat"\n', "", None, "a notice is missing"),
        ('notice = "end-threat"', 'notice = "end-threat"\nthen = "stop"', 'then = "stop"', "then"),
        ('notice = "end-threat"', 'notice = "end-threat"\nretention = "x"', 'retention = "x"', "no class 'x'"),
        ('notice = "end-threat"', 'notice = "end-threat"\nafter = 1', "after = 1", "after"),
        ('code = "**4"', 'code = "*"', 'code = "*"', "code"),
        ("warn_s = 900", "warn_s = 0", "end_s =", "0 < warn_s < end_s"),
        ("warn_s = 900", "warn_s = 1200", "end_s =", "0 < warn_s < end_s"),
        ("longest_call_s = 14400", "longest_call_s = 1200", "end_s =", "< longest_call_s expected"),
        ('end_situation = "overlong"', 'end_situation = "tired"', "end_situation", "no situation that ends a call"),
        ("extend_most = 2", "extend_most = 13", "extend_most", "extend_most"),
        ("extend_s = 300", "extend_s = 5", "extend_s", "extend_s"),
        ("[ending]", "[ending]\nmost_s = 1", "most_s", "most_s"),
    ],
)
def test_an_error_is_told_with_its_line(site: Site, old: str, new: str, at: str | None, said: str) -> None:
    site.edit(old, new)
    line, text = site.errors()[0]
    assert said in text
    if at is not None:
        assert line == site.line_of(at)


def test_the_notices_of_situations_have_to_be_there(site: Site) -> None:
    folder = site.folder / "notices"
    folder.mkdir()
    for name in ("ko", "warn-overlong", *(f"end-{name.replace('_', '-')}" for name, _ in FIVE[1:])):
        (folder / f"{name}.wav").touch()
    (_, text) = site.only_error()
    assert "no notice 'end-abuse'" in text
    (folder / "warn-overlong.wav").unlink()
    assert any("no notice 'warn-overlong'" in text for _, text in site.errors())


def test_no_situation_is_named_after_another_mark_of_a_record() -> None:
    from linetap.config.endingchecks import TAKEN
    from linetap.recorder.calls.codes import MARKS, NOTICE_CODE

    assert {*END_STEPS, *MARKS.values(), *NOTICE_CODE.values()} - {"abuse"} == TAKEN


def test_lines_that_staff_hang_up_are_named(site: Site) -> None:
    assert list(staff_lines(loaded(site), {})) == [
        "lines 1, 2, 3, 4, 5, 6, 7, 8: card 1 has no contacts: staff hang up after the notice"
    ]
    site.edit("# contacts = false", "contacts = true")
    assert list(staff_lines(loaded(site), {})) == []
    site.edit("number = 3\n", 'number = 3\nrelease = "staff"\n')
    assert list(staff_lines(loaded(site), {})) == ['line 3: release = "staff": staff hang up after the notice']
    assert [loaded(site).has_contact(line) for line in loaded(site).line[1:4]] == [True, False, True]


def test_the_command_says_it_beside_its_verdict(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", str(site.path)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("ok: unit tower-3, 8 lines")
    assert told.err == f"note: {site.path}: lines 1, 2, 3, 4, 5, 6, 7, 8: {NO_CONTACTS}\n"


NO_CONTACTS = "card 1 has no contacts: staff hang up after the notice"


def test_a_notice_of_an_end_that_is_long_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    folder = site.path.parent / "said"
    site.path.write_text(re.sub(r"^notices = .*", f'notices = "{folder}"', site.path.read_text(), flags=re.MULTILINE))
    for name in namednotices.names(loaded(site)):
        save_notice(folder / f"{name}.wav", np.ones(8000, np.int16))
    for name, seconds in (("end-threat", 12.0), ("end-abuse", 12.5), ("warn-overlong", 30.0), ("ko", 30.0)):
        save_notice(folder / f"{name}.wav", np.zeros(round(seconds * 8000), np.int16))
    assert main(["config", "check", str(site.path)]) == 0
    said = [line.removeprefix(f"note: {site.path}: ") for line in capsys.readouterr().err.splitlines()]
    assert said[1:] == [
        "notice 'end-abuse' lasts 12.5 s: 12 s at most is meant for an end",
        "notice 'warn-overlong' lasts 30.0 s: 12 s at most is meant for an end",
    ]


def test_without_a_situation_nothing_is_said(tmp_path: Path) -> None:
    made = Site(tmp_path)
    made.write()
    assert list(staff_lines(loaded(made), {})) == []


def test_a_situation_keeps_its_calls_in_its_own_class_or_in_that_of_a_marked_call(site: Site) -> None:
    site.edit(
        '[[retention.classes]]\nname = "standard"\ndays = 60\n',
        "".join(
            f'[[retention.classes]]\nname = "{name}"\ndays = {days}\n'
            for name, days in [("standard", 60), ("short", 30), ("half", 180), ("long", 365)]
        ),
    )
    site.edit('notice = "end-abuse"', 'notice = "end-abuse"\nretention = "half"')
    site.edit('notice = "end-threat"', 'notice = "end-threat"\nretention = "short"')
    config = loaded(site)

    def name(marked: bool, *situations: str) -> str:
        return class_of(config, 1, "recorded", marked, situations).name

    assert name(False) == "standard"
    assert name(False, "abuse") == name(True) == "half", "the mark code and the situation have one name and one class"
    assert name(False, "threat") == "standard", "never shorter than without it"
    assert name(False, "repeated") == "long"
    assert name(False, "threat", "abuse") == "half"
    assert name(False, "of_an_earlier_configuration") == "long"


def test_only_the_recorder_is_restarted_for_another_code(site: Site) -> None:
    before = loaded(site)
    site.edit("extend_most = 2", "extend_most = 3")
    assert loaded(site).ending == Ending(warn_s=900, end_s=1200, extend_most=3)
    assert services(before, loaded(site)) == ["recorder"]
