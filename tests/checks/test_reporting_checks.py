# SPDX-License-Identifier: Apache-2.0
"""The checks of reporting to the desk: connection, certificate, outbox."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from linetap.checks import Finding, Snapshot, Trouble, judge, run
from linetap.checks.command import alerts_of_services
from linetap.checks.watch import Seen, Services, Status
from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.records import DeliveryState, Fault, OutboxState, ReporterState
from panel_shown import shown
from state_files import DEATHS, capture, recorder, reporter

NOW_NS = 1_800_000_000 * NS_PER_S  # 2027-01-15T08:00:00Z
DAY_NS = 86_400 * NS_PER_S


def unit(status: Status = "alive", said: ReporterState | None = None, **of_recorder: Any) -> Snapshot:
    words = Seen(recorder("idle", "idle", **of_recorder), "alive")
    told = Seen(said or reporter(broker="broker.example:8883"), status)
    services = Services({1: Seen(capture(), "alive", 60 * NS_PER_S)}, words, told)
    return Snapshot(services, 1 << 40, 1 << 41, 0, "/vault", NOW_NS)


def stands(snapshot: Snapshot, before: list[Finding] | None = None) -> list[tuple[str, str]]:
    standing = run(snapshot, before or [])
    return [(finding.check, finding.trouble.severity) for finding in standing if finding.check not in DEATHS]


AWAY = reporter(False, broker="broker.example:8883")


class TestBrokerUnreachable:
    @pytest.mark.parametrize("said", [AWAY, reporter(fault=Fault("internal", "it fell"))])
    def test_it_is_the_panels_word(self, said: ReporterState) -> None:
        assert stands(unit(said=said)) == [("broker_unreachable", "warning")]
        assert shown(unit(said=said).services).condition == "broker_unreachable"

    def test_it_clears_and_says_where(self) -> None:
        found = run(unit(said=AWAY))
        assert "broker.example:8883" in found[0].trouble.text_en
        assert stands(unit(), found) == []

    def test_a_dead_reporter_says_nothing_new(self) -> None:
        assert stands(unit("dead", AWAY)) == []
        assert stands(unit("dead"), run(unit(said=AWAY))) == [("broker_unreachable", "warning")]

    def test_one_that_has_not_tried_yet_is_not_told(self) -> None:
        assert stands(unit("starting", AWAY)) == []

    @pytest.mark.parametrize(("seconds", "tried", "told"), [(1, False, False), (1, True, True), (10, False, True)])
    def test_one_that_has_just_started_has_time_to_connect(self, seconds: int, tried: bool, told: bool) -> None:
        """As the panel sees it. A start clears nothing: no connection is there yet."""
        begins = reporter(False, tried=tried)
        begins.mono_ns = begins.started_ns + seconds * NS_PER_S
        assert stands(unit(said=begins)) == ([("broker_unreachable", "warning")] if told else [])
        for status in ("alive", "starting"):
            assert stands(unit(status, begins), run(unit(said=AWAY))) == [("broker_unreachable", "warning")]


@pytest.mark.parametrize(
    ("left_ns", "severity", "says"),
    [
        (31 * DAY_NS, None, ""), (30 * DAY_NS, "warning", "30 days"), (8 * DAY_NS, "warning", "30 days"),
        (7 * DAY_NS, "warning", "7 days"), (DAY_NS + 1_000_000, "warning", "7 days"), (DAY_NS, "critical", "1 day,"),
        (0, "critical", "ended on 2027-01-15"), (-400 * DAY_NS, "critical", "ended on 2025-12-11"),
    ],
)  # fmt: skip
def test_certificate_end(left_ns: int, severity: str | None, says: str) -> None:
    said = reporter(certificate_until=rfc3339(NOW_NS + left_ns))
    found = run(unit(said=said))
    assert stands(unit(said=said)) == ([("certificate_end", severity)] if severity else [])
    assert all(says in finding.trouble.text_en for finding in found)
    assert stands(unit("dead", said), found) == stands(unit(said=said))
    assert stands(unit(), found) == []


@pytest.mark.parametrize(
    ("outbox", "severity", "says"),
    [
        (OutboxState(), None, ""),
        (OutboxState(oldest_s=3599, confirmed_by="desk"), None, ""),
        (OutboxState(oldest_s=3600, confirmed_by="desk"), "warning", "desk has not confirmed reports"),
        (OutboxState(oldest_s=3 * 3600, confirmed_by="desk"), "warning", "2 h"),
        (OutboxState(oldest_s=3 * 3600, confirmed_by="broker"), "warning", "The broker has not"),
        (OutboxState(oldest_s=3 * 86_400, confirmed_by="broker"), "critical", "3 days"),
        (OutboxState(oldest_s=3600, confirmed_by="desk", size_bytes=79, limit_bytes=100), "warning", "1 h"),
        (OutboxState(oldest_s=3600, confirmed_by="desk", size_bytes=80, limit_bytes=100), "critical", "1 h"),
        (OutboxState(oldest_s=3600, confirmed_by="broker", size_bytes=99, limit_bytes=100), "warning", "1 h"),
    ],
)  # fmt: skip
def test_outbox_old(outbox: OutboxState, severity: str | None, says: str) -> None:
    said = reporter(outbox=outbox)
    found = run(unit(said=said))
    assert stands(unit(said=said)) == ([("outbox_old", severity)] if severity else [])
    assert all(says in finding.trouble.text_en for finding in found)
    assert stands(unit("dead"), found) == stands(unit(said=said))
    assert stands(unit(said=reporter(outbox=OutboxState())), found) == []


def test_outbox_dropped_stands_until_the_desk_knows() -> None:
    def desk(confirmed: int) -> Snapshot:
        return unit(outbox_dropped_to=500, delivery=DeliveryState(desk=True, confirmed=confirmed))

    assert stands(unit(delivery=DeliveryState(desk=True))) == []
    found = run(desk(499))
    assert [(it.check, it.trouble.severity) for it in found] == [("outbox_dropped", "critical")]
    assert "up to 500" in found[0].trouble.text_en
    assert stands(desk(500), found) == []


def test_without_a_desk_what_a_broker_has_taken_is_not_lost() -> None:
    assert stands(unit(said=reporter(delivered_seq=500), outbox_dropped_to=500)) == []
    found = run(unit(said=reporter(delivered_seq=499), outbox_dropped_to=500))
    assert [it.check for it in found] == ["outbox_dropped"]
    assert stands(unit("dead", outbox_dropped_to=500), found) == [("outbox_dropped", "critical")]


def test_an_alert_within_one_look_is_raised_and_cleared() -> None:
    trouble = Trouble(severity="warning", text_ko="소음", text_en="It hums.", action_ko="조임", action_en="Tighten.")
    held = Finding("hum", "line_check", "since", trouble, changes=6)
    said = reporter(alerts={"hum": held.alert(), "of_a_later_version": held.alert()})

    def one_look(status: Status) -> tuple[Finding, ...]:
        services = replace(unit().services, reporter=Seen(said, status))
        return judge(alerts_of_services(services)).judge(unit(), 1).findings

    assert one_look("alive") == (held,)
    assert one_look("dead") == ()


def test_what_a_service_tells_does_nothing_to_a_terminal() -> None:
    it = Trouble(severity="warning", text_ko="\x1b[2J", text_en="\x1b]0;x\x07" * 999, action_ko="", action_en="")
    (found,) = judge({"hum": Finding("hum", "line_check", "\n", it, changes=6).alert()}).judge(unit(), 1).findings
    assert (found.trouble.text_ko.isprintable(), found.trouble.text_en.isprintable()) == (True, True)
    assert len(found.trouble.text_en) <= 2000
