# SPDX-License-Identifier: Apache-2.0
"""`linetap desk metrics` over a database filled by an ingest's own code, judged by promtool."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from broker import HOST, Broker, until
from ingest_rig import END_S, START_NS, UNIT, Ingesting, Teller, rows, trusted
from linetap_bench.stage.stage import linetap, run_command
from linetap_core.clock import NS_PER_S, rfc3339
from linetap_desk.ingest import database, heads, missingevents, tables
from linetap_desk.ingest.metrics import exposition
from linetap_desk.ingest.register import MOST_ALERTS, UnitMessage
from linetap_desk.ingest.store import Store
from reporter_rig import Floor

RULES = Path(__file__).parents[2] / "systemd" / "prometheus" / "linetap.rules.yml"
# test_serve_figures.py, test_citizen_pages.py
OF_THE_PAGES = {f"linetap_serve_{name}" for name in ("database_away", "access_log_writable", "access_requests")}
NOW_NS = START_NS + 3600 * NS_PER_S
HUM = json.dumps({"severity": "warning", "line": 2, "since": rfc3339(START_NS), "text_ko": "010-1234-5678"}).encode()


def promtool(*words: str, given: str = "") -> None:
    done = subprocess.run(["promtool", *words], input=given, capture_output=True, text=True, timeout=END_S)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'desk.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = database.open_writer(url)
    yield engine
    engine.dispose()


def said(topic: str, payload: bytes, check: str = "", unit: str = UNIT) -> UnitMessage:
    return UnitMessage(unit, topic, payload, START_NS, check)  # type: ignore[arg-type]


def status(state: str, unit: str = UNIT, version: str = "1.0") -> UnitMessage:
    words = {"state": state, "session": "s", "version": version, "since": rfc3339(START_NS)}
    return said("status", json.dumps(words).encode(), unit=unit)


def figures(engine: Engine, now_ns: int = NOW_NS) -> dict[str, float]:
    """Series -> value."""
    with engine.connect() as db:
        told = exposition(db, now_ns)
    samples = [line.rpartition(" ") for line in told.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in samples}


def test_what_is_told_of_a_unit(engine: Engine, teller: Teller) -> None:
    teller.call(1)
    teller.tell(call=2)
    teller.tell("missed", 3, disposition="missed")
    health = json.dumps({"at": rfc3339(START_NS), "outbox_seq": 17}).encode()
    store = Store(engine)
    store.write([status("online"), said("health", health), said("alert", HUM, "hum")], trusted(teller))
    store.write([*teller.reports(), status("online", "stranger")], trusted(teller))
    told = figures(engine)
    with engine.connect() as db:
        promtool("check", "metrics", given=exposition(db, NOW_NS))
    of_unit = f'unit="{UNIT}"'
    assert told == {
        next(series for series in told if series.startswith("linetap_desk_info")): 1,
        f'linetap_unit_info{{{of_unit},version="1.0"}}': 1,
        f"linetap_unit_online{{{of_unit}}}": 1,
        f"linetap_unit_heard_timestamp_seconds{{{of_unit}}}": teller.reports()[-1].received_ns / NS_PER_S,
        f"linetap_unit_health_timestamp_seconds{{{of_unit}}}": START_NS / NS_PER_S,
        f"linetap_unit_outbox_events{{{of_unit}}}": 10,
        f"linetap_unit_holes{{{of_unit}}}": 0,
        f"linetap_unit_log_broken{{{of_unit}}}": 0,
        f"linetap_unit_disk_alerts{{{of_unit}}}": 0,
        f"linetap_unit_set_aside_total{{{of_unit}}}": 0,
        f'linetap_unit_alert{{{of_unit},check="hum",severity="warning"}}': 1,
        f'linetap_calls_last_day{{{of_unit},disposition="open"}}': 1,
        f'linetap_calls_last_day{{{of_unit},disposition="missed"}}': 1,
        f'linetap_calls_last_day{{{of_unit},disposition="recorded"}}': 1,
        "linetap_strangers": 1,
    }
    assert not any("calls_last_day" in series for series in figures(engine, NOW_NS + 86_400 * NS_PER_S))


def test_words_of_a_unit_are_no_labels(engine: Engine, teller: Teller) -> None:
    """A word of its own, as `open` of a call that has ended or a telephone number, would repeat a sample, or be one."""
    for number, word in enumerate(("open", "01012345678", "missed")):
        teller.tell("ended", call_id=f"20261124T00000{number}.000Z-L01", line=1, disposition=word)
    Store(engine).write(teller.reports(), trusted(teller))
    with engine.connect() as db:
        text = exposition(db, NOW_NS)
    promtool("check", "metrics", given=text)
    assert "01012345678" not in text
    assert len(re.findall(r'linetap_calls_last_day\{[^}]*disposition="open"', text)) <= 1
    assert re.search(r'linetap_calls_last_day\{[^}]*disposition="other"\} 2\n', text)


def test_nothing_personal_is_reported(engine: Engine, teller: Teller) -> None:
    teller.call(1)
    Store(engine).write([*teller.reports(), said("alert", HUM, "hum")], trusted(teller))
    with engine.connect() as db:
        told = exposition(db, NOW_NS)
    (call,) = rows(engine, tables.calls)
    assert call["call_id"] not in told
    assert not re.search(r"\d{2,3}-\d{3,4}-\d{4}|1234", told)
    labels = set(re.findall(r'[{,](\w+)="', told))
    assert labels <= {"unit", "version", "check", "severity", "disposition"}


def test_a_unit_that_is_no_longer_named_is_only_counted(engine: Engine, teller: Teller) -> None:
    teller.call(1)
    Store(engine).write([status("online"), said("alert", HUM, "hum"), *teller.reports()], trusted(teller))
    Store(engine).write([status("online")], [])
    assert {name.partition("{")[0] for name in figures(engine)} == {"linetap_desk_info", "linetap_strangers"}


def test_a_units_own_words_break_no_line(engine: Engine, teller: Teller) -> None:
    Store(engine).write([status("online", version='1"} 7\\')], trusted(teller))
    with engine.connect() as db:
        promtool("check", "metrics", given=exposition(db, NOW_NS))
    assert f'linetap_unit_info{{unit="{UNIT}",version="1\\"}} 7\\\\"}}' in figures(engine)


def test_an_empty_desk(engine: Engine) -> None:
    assert [series.partition("{")[0] for series in figures(engine)] == ["linetap_desk_info", "linetap_strangers"]


def test_holes_and_what_was_set_aside(engine: Engine, teller: Teller) -> None:
    forged = teller.report(b"no event", "bm90IGEgc2lnbmF0dXJl")
    Store(engine).write([forged], trusted(teller))
    alert = {
        "unit": UNIT,
        "origin": "o",
        "code": missingevents.CODE,
        "first": 1,
        "last": 2,
        "since": "s",
        "alerted_at": "s",
    }
    with engine.begin() as db:
        db.execute(insert(tables.alerts), [alert | {"ended_at": None}, alert | {"ended_at": "now"}])
        broken = [alert | {"code": code, "ended_at": None} for code in heads.CODES]
        db.execute(insert(tables.alerts), [*broken, broken[0] | {"ended_at": "now"}])
    told = figures(engine)
    assert told[f'linetap_unit_holes{{unit="{UNIT}"}}'] == 1
    assert told[f'linetap_unit_log_broken{{unit="{UNIT}"}}'] == 2
    assert told[f'linetap_unit_set_aside_total{{unit="{UNIT}"}}'] == 1


class TestAlertsOfUnits:
    def standing(self, engine: Engine) -> list[str]:
        return [row["check"] for row in rows(engine, tables.unit_alerts)]

    def test_the_last_word_counts(self, engine: Engine, teller: Teller) -> None:
        store = Store(engine)
        store.write(
            [said("alert", HUM, "hum"), said("alert", b"", "hum"), said("alert", HUM, "clipped")], trusted(teller)
        )
        assert self.standing(engine) == ["clipped"]
        store.write([said("alert", b"", "clipped"), said("alert", HUM, "hum")], trusted(teller))
        assert self.standing(engine) == ["hum"]
        store.connected()
        assert self.standing(engine) == []

    @pytest.mark.parametrize(
        "payload", [b"{}", b"[" * 10_000, b"\xff", b'{"severity":"huge","since":""}', b"x" * 70_000]
    )
    def test_what_cannot_be_read_does_not_stand(self, engine: Engine, teller: Teller, payload: bytes) -> None:
        Store(engine).write([said("alert", HUM, "hum"), said("alert", payload, "hum")], trusted(teller))
        assert self.standing(engine) == []

    def test_names_of_checks_are_bounded(self, engine: Engine, teller: Teller) -> None:
        words = [said("alert", HUM, f"check_{n}") for n in range(MOST_ALERTS + 20)]
        Store(engine).write([*words, said("alert", HUM, "Kim 010-1234-5678")], trusted(teller))
        Store(engine).write([said("alert", HUM, "one_more")], trusted(teller))
        assert len(self.standing(engine)) == MOST_ALERTS


def test_promtool_accepts_the_rules_and_each_fires() -> None:
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(Path(__file__).with_name("linetap.rules.test.yml")))


def test_every_rule_is_about_a_figure_that_there_is(engine: Engine, teller: Teller) -> None:
    teller.call(1, situation="abuse")
    health = json.dumps({"at": rfc3339(START_NS), "outbox_seq": 17}).encode()
    Store(engine).write(
        [status("online"), said("health", health), said("alert", HUM, "hum"), *teller.reports()], trusted(teller)
    )
    names = {series.partition("{")[0] for series in figures(engine)} | OF_THE_PAGES
    asked = set(re.findall(r"linetap_[a-z_]+", "".join(re.findall(r"expr: (.*)", RULES.read_text()))))
    assert asked <= names


class Served:
    def __init__(self, url: str) -> None:
        words = [sys.executable, "-m", "linetap", "desk", "metrics", "--db", url, "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().strip()
        self.port = int(self.url.removesuffix("/metrics").rpartition(":")[2])

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=END_S)


def test_served_and_printed_are_the_same(url: str, engine: Engine, teller: Teller) -> None:
    Store(engine).write([status("online"), said("alert", HUM, "hum")], trusted(teller))
    printed = linetap("desk", "metrics", "--db", url)
    with Served(url) as served:
        slow = [socket.create_connection((HOST, served.port)) for _ in range(2)]  # they send nothing
        with urllib.request.urlopen(served.url, timeout=END_S) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert answer.read().decode() == printed
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(served.url.replace("metrics", "calls"), timeout=END_S)
        for peer in slow:
            peer.close()
        served.process.terminate()
        assert served.process.wait(END_S) == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen", "0.0.0.0:9464"], "--listen 0.0.0.0:9464: only on the loopback"),
        (["--listen", "localhost"], "--listen localhost: 127.0.0.1:9464 expected"),
        (["--db", "sqlite:////nowhere/desk.db"], "there is no file /nowhere/desk.db"),
    ],
)
def test_bad_usage_is_one_line(url: str, engine: Engine, words: list[str], says: str) -> None:
    assert engine is not None  # the database is there
    done = run_command("desk", "metrics", "--db", url, *words)
    assert done.status == 2
    assert says in done.messages
    assert len(done.messages.splitlines()) == 1


def test_a_real_units_alert_comes_to_the_figures_and_goes(tmp_path: Path, run_dir: Path) -> None:
    signers = tmp_path / "allowed_signers"
    with Broker(tmp_path / "broker") as broker, Floor(tmp_path, run_dir, broker.port) as floor:
        signers.write_text(floor.signers.read_text())
        with Ingesting(tmp_path, broker.port, signers) as ingest:
            ingest.start()
            floor.lines("idle", "idle", "idle", recording_refused="disk_full")
            floor.reporter()
            series = 'linetap_unit_alert{unit="floor-03",check="disk_full",severity="critical"}'
            until(lambda: series in figures(ingest.engine), why=ingest.said)
            floor.lines("idle", "idle", "idle")
            until(lambda: series not in figures(ingest.engine), why=ingest.said)
            assert ingest.end() == 0
