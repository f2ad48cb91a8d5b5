# SPDX-License-Identifier: Apache-2.0
"""Weakening changes: every key of the schema is classified, and each rule has the right direction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.config import Config
from linetap.config.change import differing
from linetap.config.numbers import DtmfNumbers
from linetap.config.patternsubset import MOST_DIGITS, is_narrower, matches
from linetap.config.profile import Profile
from linetap.config.schema import Board, Card, Ending, Keys, Line, RetentionClass, RetentionPolicy, Situation
from linetap.config.weakening import RULES, UNCLASSIFIED, WORDS, rule_of, schema_path, weakenings
from linetap_core.wire.mqtt import Broker
from state_files import unit

WHOLE = ("profile", "retention.classes", "retention.dispositions", "card", "keys", "broker", "smdr")


def fields_of(kind: type[msgspec.Struct], at: str = "") -> Iterator[str]:
    """Every key of the schema: `recording.notice`, `line.exempt`; a table judged as a whole counts as one."""
    for name, hint in get_type_hints(kind).items():
        path = f"{at}.{name}" if at else name
        inner = get_args(hint)[0] if get_origin(hint) is list else hint
        if path not in WHOLE and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from fields_of(inner, path)
        else:
            yield path


def test_every_key_of_the_schema_is_classified_and_no_other() -> None:
    """The author of a new key decides here whether a change of it is a weakening. Until then every change is."""
    assert {*fields_of(Config)} == RULES.keys() - {"broker.keepalive_s"}


def test_a_key_that_nobody_has_classified_weakens() -> None:
    for path in ("tomorrow", "tomorrow.exempt", "line.silent", "recording.mute", "retention.shred_days"):
        code, weakens = rule_of(path)
        assert code == UNCLASSIFIED
        assert weakens(1, 2)
        assert weakens("a", "b")
    assert rule_of("broker.tomorrow")[0] == "reporting"
    assert rule_of("keys.tomorrow")[0] == "keys"


def test_every_code_has_words_in_both_languages() -> None:
    assert {code for code, _ in RULES.values() if code} <= WORDS.keys()
    for korean, english in WORDS.values():
        assert re.search("[가-힣]", korean)
        assert english.isascii()


@pytest.mark.parametrize("name", ["a.exempt", "classes", "x 1.days", "line 3", "", ". .", "profile"])
def test_names_that_people_choose_hide_nothing(name: str) -> None:
    before = msgspec.structs.replace(base(), retention=RetentionPolicy(default=name, classes=[Class(name, 60)]))
    after = msgspec.structs.replace(base(), retention=RetentionPolicy(default=name, classes=[Class(name, 59)]))
    assert codes(before, after) == {"retention_shorter"}
    profiles = [msgspec.structs.replace(base(), profile=[Profile(name=name, flash_min_ms=n)]) for n in (300, 400)]
    lines = [msgspec.structs.replace(each, line=[Line(number=1, channel=1, profile=name)]) for each in profiles]
    assert codes(*lines) == {"detectors"}
    for key, _, _ in differing(lines[0], lines[1]):
        assert schema_path(key) == "profile"


def Class(name: str, days: int) -> RetentionClass:
    return RetentionClass(name=name, days=days)


def base() -> Config:
    config = unit(Path("/nowhere"))
    classes = [Class("standard", 60), Class("long", 180), Class("short", 30)]
    retention = RetentionPolicy(classes=classes, marked="long")
    return msgspec.structs.replace(config, retention=retention, situation=[ENDED])


ENDED = Situation(name="threat", code="**4", notice="end-threat")


def situation(**changes: Any) -> dict[str, Any]:
    return {"situation": [msgspec.structs.replace(ENDED, **changes)]}


def changed(part: str, **changes: Any) -> Config:
    config = base()
    if part == "line":
        first, *others = config.line
        return msgspec.structs.replace(config, line=[msgspec.structs.replace(first, **changes), *others])
    if part == "":
        return msgspec.structs.replace(config, **changes)
    return msgspec.structs.replace(config, **{part: msgspec.structs.replace(getattr(config, part), **changes)})


def codes(before: Config, after: Config) -> set[str]:
    return {each.code for each in weakenings(before, after)}


ONE_WAY: list[tuple[str, str, dict[str, Any]]] = [
    ("line_exempt", "line", {"exempt": True}),
    ("line_changed", "line", {"caller_id": "off"}),
    ("record_less", "recording", {"record_from": "notice_end"}),
    ("record_less", "recording", {"on_unknown_answer": "wait"}),
    ("codec", "recording", {"codec": "opus"}),
    ("record_unannounced", "recording", {"on_notice_failure": "record_and_flag"}),
    ("record_emergency", "recording", {"record_emergency": True}),
    ("alert_later", "recording", {"deaf_calls": 4}),
    ("notice_changed", "recording", {"notice_target_dbm0": -17.0}),
    ("alert_later", "recording", {"deaf_span_s": 1801}),
    ("record_unannounced", "recording", {"recorded_before_answer": "keep_and_flag"}),
    ("record_unannounced", "recording", {"answer_doubt_s": 29}),
    ("alert_later", "panel", {"night_percent": 19}),
    ("alert_later", "panel", {"night_from": "19:59"}),
    ("alert_later", "panel", {"night_to": "06:01"}),
    ("alert_later", "panel", {"night_from": "10:00", "night_to": "09:59"}),
    ("alert_later", "", {"broker": Broker(keepalive_s=31)}),
    ("alert_later", "recording", {"recommended_call_s": 1201}),
    ("internal_wider", "recording", {"internal_pattern": r"^[2-9]\d{3}$"}),
    ("retention_clock", "retention", {"largest_gap_days": 8}),
    ("retention_shorter", "retention", {"marked": "standard"}),
    ("retention_shorter", "retention", {"default": "short"}),
    ("retention_shorter", "retention", {"dispositions": {"recorded": "short"}}),
    ("retention_shorter", "line", {"retention": "short"}),
    ("retention_shorter", "", situation(retention="short")),
    ("storage", "storage", {"outbox_mb": 1023}),
    ("line_removed", "", {"line": base().line[:1]}),
]
EITHER_WAY: list[tuple[str, str, dict[str, Any]]] = [
    ("line_changed", "line", {"channel": 7}), ("line_changed", "line", {"extension": "2101"}),
    ("line_changed", "line", {"trunk": "01"}),
    ("notice_changed", "line", {"notice": "en"}), ("notice_changed", "recording", {"notice": "en"}),
    ("notice_changed", "recording", {"greeting_max_ms": 0}),
    ("notice_changed", "recording", {"notice_tone_ms": 200}),
    ("notice_changed", "recording", {"notice_delay_ms": 5000}), ("notice_changed", "recording", {"end_notice": "x"}),
    ("notice_changed", "recording", {"mark_notice": "x"}),
    ("internal_changed", "recording", {"record_internal": True}),
    ("emergency_changed", "recording", {"emergency_numbers": ["112", "113", "119", "1"]}),
    ("emergency_changed", "recording", {"trunk_prefixes": []}),
    ("call_times", "recording", {"answer_timeout_s": 9}), ("call_times", "recording", {"answer_unheard_s": 16}),
    ("call_times", "recording", {"answer_silence_s": 31}), ("call_times", "recording", {"numbers_at_once": []}),
    ("call_times", "recording", {"pickup_codes": []}),
    ("call_times", "recording", {"tone_end_s": 29}), ("call_times", "recording", {"longest_call_s": 60}),
    ("mark_code", "recording", {"mark_code": "**8"}),
    ("ending", "", situation(code="**7")), ("ending", "", situation(notice="other")),
    ("ending", "", situation(then="warn")), ("ending", "", situation(then="nothing", notice=None)),
    ("ending", "line", {"release": "staff"}), ("ending", "", {"ending": Ending(warn_s=900, end_s=1200)}),
    ("ending", "ending", {"extend_s": 600}), ("ending", "ending", {"extend_code": "**7"}),
    ("retention_clock", "retention", {"zone": "UTC"}),
    ("storage", "storage", {"reserve_mb": 1 << 20}),
    ("pbx", "smdr", {"kinds": "X=internal"}), ("pbx", "smdr", {"port": "/dev/ttyS1"}),
    ("updates", "update", {"log_policy": "log 00"}),
    ("identity", "", {"unit": "other"}), ("keys", "", {"key": "/other"}), ("paths", "", {"vault": "/other"}),
    ("paths", "", {"run_dir": "/other"}), ("paths", "", {"notices": "/other"}), ("paths", "", {"learned": "/other"}),
    ("hardware", "", {"board": Board(kind="hardware")}), ("hardware", "", {"card": [Card(rate_hz=8000)]}),
    ("keys", "", {"keys": Keys(custodians=["age1other"], overflow_epoch="age1none")}),
    ("reporting", "", {"broker": Broker(host="127.0.0.1")}),
    ("detectors", "", {"profile": [Profile(dtmf=DtmfNumbers(tone_min_ms=400.0))]}),
]  # fmt: skip
NEUTRAL: list[tuple[str, dict[str, Any]]] = [
    ("", {"situation": [ENDED, Situation(name="other", notice="other", retention="short")]}),
    ("", {"situation": [ENDED, Situation(name="other", code="**5", then="nothing", retention="short")]}),
    ("", situation(name="threats")), ("", situation(name="threats", retention="long")),
    ("", {"site_number": 7}), ("", {"broker": Broker(keepalive_s=29)}), ("recording", {"recommended_call_s": 60}),
    ("panel", {"night_from": "20:01"}), ("panel", {"night_from": "06:00"}), ("panel", {"night_percent": 21}),
    ("home_assistant", {"discovery": True}), ("storage", {"outbox_mb": 2048}),
    ("", {"profile": [Profile(name="unused", flash_min_ms=1)]}), ("line", {"notice": "ko"}),
    ("retention", {"classes": [*base().retention.classes, Class("none", 1)]}),
    ("", {"line": [*base().line, Line(number=9, channel=8, exempt=True)]}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "part", "changes"), ONE_WAY)
def test_a_change_weakens_in_one_direction(code: str, part: str, changes: dict[str, Any]) -> None:
    after = changed(part, **changes)
    assert codes(base(), after) == {code}
    assert codes(after, base()) == set()


@pytest.mark.parametrize(("code", "part", "changes"), EITHER_WAY)
def test_either_way_weakens(code: str, part: str, changes: dict[str, Any]) -> None:
    after = changed(part, **changes)
    assert codes(base(), after) == codes(after, base()) == {code}


@pytest.mark.parametrize(("part", "changes"), NEUTRAL)
def test_a_harmless_change_does_not_weaken(part: str, changes: dict[str, Any]) -> None:
    after = changed(part, **changes)
    assert after != base()
    assert codes(base(), after) == set()


@pytest.mark.parametrize(
    ("found", "situations"),
    [
        ({"ending", "retention_shorter"}, []),
        ({"ending", "retention_shorter"}, [Situation(name="threats", code="**4", then="nothing", retention="short")]),
        ({"ending"}, [Situation(name="threats", code="**4", then="warn", notice="end-threat")]),
        ({"ending"}, [Situation(name="threats", code="**4", notice="end-other")]),
        ({"retention_shorter"}, [Situation(name="threats", code="**4", notice="end-threat", retention="short")]),
        ({"ending", "retention_shorter"}, [Situation(name="threats", code="**5", notice="end-threat")]),
        ({"ending"}, [ENDED, Situation(name="other", code="**5", notice="end-threat")]),
        ({"ending"}, [ENDED, Situation(name="other", code="**5", notice="end-threat", then="warn")]),
    ],
)
def test_another_name_hides_no_change_of_what_a_code_does(found: set[str], situations: list[Situation]) -> None:
    assert codes(base(), changed("", situation=situations)) == found


def test_a_delay_is_moved_by_nobody_alone() -> None:
    """A shorter one lets a weakening through; a longer one blocks two people's agreed change for a month."""
    longer = changed("policy", weakening_delay_h=24)
    assert codes(base(), longer) == {"delay_longer"}
    assert codes(longer, base()) == {"delay_shorter"}


@pytest.mark.parametrize("hours", [("20:00", "06:00"), ("22:00", "04:00"), ("06:00", "20:00"), ("00:00", "00:00")])
def test_a_night_is_compared_by_what_can_be_seen_at_each_minute(hours: tuple[str, str]) -> None:
    """A shorter night that is darker hides more, and so does one at another time of the day."""
    begins, ends = hours
    after = changed("panel", night_from=begins, night_to=ends, night_percent=1)
    assert codes(base(), after) == (set() if begins == ends else {"alert_later"})
    moved = changed("panel", night_from=begins, night_to=ends)
    assert codes(base(), moved) == ({"alert_later"} if hours == ("06:00", "20:00") else set())


def test_what_is_shown_elsewhere_is_not_taken_away_by_one() -> None:
    assert codes(changed("home_assistant", discovery=True), base()) == {"alert_later"}


def test_what_a_line_has_is_compared_and_not_what_the_table_is_called() -> None:
    renamed = changed("retention", default="other", classes=[Class("other", 60), Class("long", 180)])
    assert codes(base(), renamed) == set()
    same = msgspec.structs.replace(
        changed("", profile=[Profile(name="pbx")]),
        line=[msgspec.structs.replace(line, profile="pbx") for line in base().line],
    )
    assert codes(base(), same) == set(), "the same numbers under another name"


def test_each_says_line_and_values() -> None:
    (found,) = weakenings(base(), changed("line", retention="short", exempt=True))[:1]
    assert found.what == "line 1.exempt: false -> true"
    told = [each.what for each in weakenings(base(), changed("retention", default="short"))]
    assert "line 1 recorded: 60 -> 30 days" in told


class TestNarrower:
    @pytest.mark.parametrize(
        ("new", "old", "certain"),
        [
            (r"^[2-5]\d{3}$", r"^[2-8]\d{3}$", True),
            (r"^[2-8][0-9]\d{2}$", r"^[2-8]\d{3}$", True),
            (r"2000", r"^[2-8]\d{3}$", True),
            (r"^[28]0{3}$", r"^(2|8)000$", True),
            (r"^[2-8]\d{3}$", r"^[2-8]\d+$", True),
            (r"^[2-9]\d{3}$", r"^[2-8]\d{3}$", False),
            (r"^[2-8]\d{3,4}$", r"^[2-8]\d{3}$", False),
            (r"^[2-8]\d{2,3}$", r"^[2-8]\d{3}$", False),
            (r".*", r"^[2-8]\d{3}$", False),
            (r"^2|3$", r"^[23]$", False),
            (r"^[^0]$", r"^\d$", False),
            (r"^2\d{6}$", r"^[2-8]\d{6}$", False),
            (r"^\d{0,40}$", r".*", False),
            ("", ".*", True),
        ],
    )
    def test_narrower_numbers_are_reported_only_where_certain(self, new: str, old: str, certain: bool) -> None:
        assert is_narrower(new, old) is certain

    @settings(max_examples=300)
    @given(st.data())
    def test_whatever_is_called_narrower_is(self, data: st.DataObject) -> None:
        """Compared on every number of up to four digits, by the matcher that judges calls."""
        atom = st.sampled_from([r"\d", "[2-8]", "[13-5]", "0", "9", "[0-9]"])
        count = st.sampled_from(["", "{1}", "{2}", "{0,1}", "{1,2}"])
        pattern = st.lists(st.tuples(atom, count).map("".join), min_size=1, max_size=3).map("".join)
        new, old = data.draw(pattern), data.draw(pattern | pattern.map(lambda text: f"({text}|00)"))
        found = [number for number in NUMBERS if matches(new, number)]
        truly = all(matches(old, number) for number in found)
        if is_narrower(new, old):
            assert truly
        elif found and max(map(len, found)) < 4:  # otherwise there may be longer ones
            assert not truly, "nothing that is plain is kept back"


NUMBERS = [f"{n:0{digits}d}" for digits in range(1, 5) for n in range(10**digits)]


@pytest.mark.parametrize("pattern", [r"^([2-8]\d*)*$", r"(\d+)+", r"(\d|\d\d)+x"])
def test_no_number_that_a_person_dials_holds_the_recorder_up(pattern: str) -> None:
    """By some patterns the time doubles with each digit: 64 digits and a star would take for ever."""
    assert not matches(pattern, "2" * 64 + "*")
    assert not matches(".*", "2" * (MOST_DIGITS + 1))
    assert matches(".*", "2" * MOST_DIGITS)
