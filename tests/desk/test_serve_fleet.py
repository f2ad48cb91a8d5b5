# SPDX-License-Identifier: Apache-2.0
"""The fleet with a real broker, in the stream: permissions, the effect of deaths, limits."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleet_rig import END_S, PLACES, Speaking, fleet_site
from servesite import HOST as SITE_HOST
from servesite import ServeSite
from sqlalchemy import delete, select
from watch_rig import ALERT, AT, HEALTH, LINE, OFFLINE, ONLINE

from broker import HOST, Broker, until
from linetap_core.clock import NS_PER_S, SYSTEM, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.wire.mqtt import Broker as BrokerConfig
from linetap_desk.config.desk import DeskConfig, ServeConfig
from linetap_desk.serve.database.tables import access as access_table
from linetap_desk.serve.database.tables import sessions as session_table
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.fleet import routes
from linetap_desk.serve.live import hub as hubs
from linetap_desk.serve.live import journal
from linetap_desk.serve.live.hub import Hub
from linetap_desk.serve.live.journal import Entry, Reader
from linetap_desk.serve.people import sessions
from linetap_desk.watch import units
from linetap_desk.watch.places import Places
from linetap_desk.watch.watcher import Settings, pages_settings
from linetap_desk.web import server
from pki_rig import Pki

CALL = "20261124T225600.123Z-L03"
ALL = Reader(True, "en")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", saves=False) as running:
        yield running


@pytest.fixture
def floor(broker: Broker) -> Iterator[Speaking]:
    speaking = Speaking(broker.port)
    yield speaking
    speaking.close()


@pytest.fixture
def served(broker: Broker, floor: Speaking, tmp_path: Path) -> Iterator[ServeSite]:
    for unit in ("main-01", "main-02", "main-b1", "west-01"):
        floor.is_well(unit, 2)
    with fleet_site(tmp_path / "site", broker.port) as site:
        until(lambda: link(site.site.fleet) == "live", END_S)
        yield site


def watching(port: int, places: str, folder: Path) -> Hub:
    (folder / "p.toml").write_text(places)
    return Hub(Settings(BrokerConfig(host=HOST, port=port), "hub", Places.read(folder / "p.toml")), SYSTEM)


def link(hub: Hub) -> str:
    return hub.state(ALL)[1].link


def standings(hub: Hub) -> dict[str, str]:
    return {one["unit"]: one["standing"] for one in hub.state(ALL)[2]}


def told(hub: Hub, after: int) -> list[Entry]:
    found = hub.after(after)
    assert found is not None
    return found


def number(hub: Hub) -> int:
    return int(hub.state(ALL)[0].rpartition("-")[2])


class Stream:
    """Events as received by a browser."""

    def __init__(self, client: httpx.Client, query: str = "", **headers: str) -> None:
        self._context = client.stream("GET", f"/fleet/events{query}", headers=headers)
        self.response = self._context.__enter__()
        self._lines = self.response.iter_lines()

    def until(self, kind: str) -> dict[str, Any]:
        """The next event of this kind; `id` beside its data."""
        event: dict[str, str] = {}
        for line in self._lines:
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
                continue
            if event.get("event") == kind:
                return {"id": event.get("id", ""), **json.loads(event["data"])}
            event = {}
        raise AssertionError(f"the stream ended without {kind}")

    def close(self) -> None:
        self._context.__exit__(None, None, None)


# --- the broker ------------------------------------------------------------------------------------------------------


def test_a_broker_that_dies_makes_what_is_seen_old_and_comes_back_as_what_is_different(
    broker: Broker, floor: Speaking, tmp_path: Path
) -> None:
    for unit in ("main-01", "main-02"):
        floor.is_well(unit)
    with watching(broker.port, PLACES, tmp_path) as hub:
        until(lambda: standings(hub).get("main-02") == "fine", END_S)
        assert standings(hub) == {"main-01": "fine", "main-02": "fine", "main-b1": "unheard", "west-01": "unheard"}
        since = hub.state(ALL)[1].since
        before = number(hub)
        broker.stop()
        until(lambda: link(hub) == "away", END_S)
        assert hub.state(ALL)[1].since > since
        assert "refused" in hub.state(ALL)[1].why or hub.state(ALL)[1].why
        assert standings(hub)["main-01"] == "fine"  # the last known state; without a broker no unit is late
        broker.start()
        until(lambda: link(hub) == "live", END_S)
        floor.say("main-01", "line/3", {**LINE, "state": "ringing"})
        until(lambda: any(entry.kind == "unit" and "lines" in entry.fields for entry in told(hub, before)), END_S)
        of_units = [entry.fields for entry in told(hub, before) if entry.kind == "unit"]
        assert {fields["unit"] for fields in of_units} == {"main-01"}  # and none of the unchanged ones
        assert all(set(fields.get("lines", {"3": 0})) == {"3"} for fields in of_units)


def test_a_desk_that_starts_without_a_broker_says_so_and_reads_it_when_it_comes(broker: Broker, tmp_path: Path) -> None:
    broker.stop()
    with watching(broker.port, PLACES, tmp_path) as hub:
        until(lambda: "refused" in hub.state(ALL)[1].why, END_S)
        assert link(hub) == "away"
        broker.start()
        until(lambda: link(hub) == "live", END_S)
        assert set(standings(hub).values()) == {"unheard"}


def test_doubled_and_late_words_are_no_change(broker: Broker, floor: Speaking, tmp_path: Path) -> None:
    floor.is_well("main-01", 2)
    with watching(broker.port, PLACES, tmp_path) as hub:
        until(lambda: standings(hub).get("main-01") == "fine", END_S)
        before = number(hub)
        for _ in range(3):
            floor.say("main-01", "line/1", LINE)
            floor.say("main-01", "status", {**OFFLINE, "session": "older"})  # the will of an earlier connection
        floor.say("main-01", "line/2", {**LINE, "state": "notice"})
        until(lambda: number(hub) > before, END_S)
        (only,) = told(hub, before)
        assert only.fields["lines"] == {"2": {"state": "notice", "since": AT, "call": None}}


def _ringing(hub: Hub, unit: str) -> int:
    return [line.state for line in hub._watcher.units.units[unit].lines.values()].count("ringing")


def test_what_happens_at_once_is_one_change(
    broker: Broker, floor: Speaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.is_well("main-01", 8)
    with watching(broker.port, PLACES, tmp_path) as hub:
        until(lambda: standings(hub).get("main-01") == "fine", END_S)
        monkeypatch.setattr(hubs, "JOIN_MS", 1000 * END_S)
        before = number(hub)
        for n in range(1, 9):
            floor.tell("main-01", f"line/{n}", {**LINE, "state": "ringing"})
        until(lambda: _ringing(hub, "main-01") == 8, END_S)  # as seen by the watcher: nothing of it was published
        assert number(hub) == before
        monkeypatch.setattr(hubs, "JOIN_MS", 0)
        floor.tell("main-01", "line/8", {**LINE, "state": "ringing"})  # the watcher reads again
        until(lambda: number(hub) > before, END_S)
        (only,) = told(hub, before)
        assert len(only.fields["lines"]) == 8


def test_a_flood_of_alerts_is_bounded_and_said(
    served: ServeSite, floor: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "MOST_ALERTS_IN_ALL", 200)
    for n in range(2000):
        floor.tell(f"flood-{n % 40:02d}", f"alert/a{n // 40}", ALERT)
    floor.say("main-01", "alert/hum", b"{")
    hub = served.site.fleet
    until(lambda: hub.state(ALL)[1].not_shown == 1800 and hub.state(ALL)[1].bad == 1, END_S)
    assert sum(len(one["alerts"]) + one["more"] for one in hub.state(ALL)[2]) == 200
    text = served.client("watch").get("/fleet").text
    assert "표시하지 않은 메시지: 1800건" in text
    assert "읽을 수 없어 표시하지 않은 메시지: 1건" in text
    assert text.count('data-field="says"') <= 44 + 2  # and the moulds: one reason each


def test_a_broker_that_is_killed_while_the_desk_is_off(broker: Broker, floor: Speaking, tmp_path: Path) -> None:
    """It has lost its retained messages. Units that have sent again are shown as they are, the others are missed."""
    for unit in ("main-01", "main-02"):
        floor.is_well(unit, 2)
    with watching(broker.port, PLACES, tmp_path) as hub:
        until(lambda: standings(hub).get("main-02") == "fine", END_S)
        id = hub.state(ALL)[0]
    broker.kill()
    broker.start()
    back = Speaking(broker.port)
    back.is_well("main-01", 2)
    back.say("main-01", "line/2", {**LINE, "state": "recording", "call_id": CALL})
    with watching(broker.port, PLACES, tmp_path) as hub:
        until(lambda: link(hub) == "live", END_S)
        assert standings(hub) == {"main-01": "fine", "main-02": "unheard", "main-b1": "unheard", "west-01": "unheard"}
        assert hub.state(ALL)[2][0]["lines"]["2"]["call"] == CALL
        assert hub.number_of(id) is None  # a page open meanwhile gets all of it
        back.is_well("main-02", 2)
        until(lambda: standings(hub)["main-02"] == "fine", END_S)
    back.close()


@pytest.mark.parametrize("days", [-1, 1])
def test_a_unit_whose_clock_is_a_day_off(served: ServeSite, floor: Speaking, days: int) -> None:
    """Not late because of that, and its times are shown as sent."""
    at = rfc3339(SYSTEM.utc_ns() + days * 86_400 * NS_PER_S)
    floor.say("main-02", "status", {**ONLINE, "session": "b", "since": at})
    floor.say("main-02", "health", {**HEALTH, "at": at})  # a birth alone is only valid for some seconds
    floor.say("main-02", "line/2", {**LINE, "state": "ringing", "since": at})
    hub = served.site.fleet
    until(lambda: _main_02(hub)["lines"]["2"]["since"] == at, END_S)
    assert (_main_02(hub)["standing"], _main_02(hub)["since"], _main_02(hub)["heard"]) == ("fine", at, "")
    assert f'datetime="{at}"' in served.client("watch").get("/fleet/unit/main-02").text
    assert at[:10] not in hub.state(ALL)[1].since  # the desk's own clock
    floor.say("main-02", "status", {**OFFLINE, "session": "b", "since": at})
    until(lambda: _main_02(hub)["standing"] == "offline", END_S)
    heard = parse_rfc3339(_main_02(hub)["heard"])  # by the desk's clock too
    assert abs(heard - SYSTEM.utc_ns()) < 3600 * NS_PER_S


def _main_02(hub: Hub) -> dict[str, Any]:
    return next(one for one in hub.state(ALL)[2] if one["unit"] == "main-02")


# --- who sees what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "sees"), [("watch", False), ("officer", True), ("vault", True)])
def test_which_call_it_is_is_told_to_who_may_look_at_calls(
    served: ServeSite, floor: Speaking, role: str, sees: bool
) -> None:
    client = served.client(role)
    listening, of_all = Stream(client, "?unit=main-01"), Stream(client)
    first = listening.until("snapshot")
    of_all.until("snapshot")
    floor.say("main-01", "line/2", {**LINE, "state": "recording", "call_id": CALL})
    change = listening.until("unit")
    assert change["lines"]["2"]["state"] == "recording"
    assert change["lines"]["2"]["call"] == (CALL if sees else None)
    assert of_all.until("unit")["lines"]["2"] == {"state": "recording", "since": AT, "call": None}
    listening.close()
    of_all.close()
    again = Stream(client, "?unit=main-01", **{"Last-Event-ID": first["id"]})  # of the journal, as of the snapshot
    assert (CALL in json.dumps(again.until("unit"))) == sees
    again.close()
    assert (CALL in client.get("/fleet/unit/main-01").text) == sees
    assert CALL not in client.get("/fleet").text
    snapshot = Stream(client, "?unit=main-01")
    assert (CALL in json.dumps(snapshot.until("snapshot"))) == sees
    snapshot.close()


def test_whoever_may_send_commands_sees_which_configuration_one_replaces(served: ServeSite, floor: Speaking) -> None:
    floor.say("main-01", "health", {**HEALTH, "config_sha256": "5f" * 32})
    line, officer = f"main-01 config {'5f' * 32}</pre>", served.client("officer")
    until(lambda: line in officer.get("/fleet/unit/main-01").text)
    assert "5f5f" not in served.client("watch").get("/fleet/unit/main-01").text
    assert "5f5f" not in officer.get("/fleet").text, "it weighs nothing there"


def test_the_opening_of_a_page_is_a_view_and_what_its_stream_tells_is_none(served: ServeSite) -> None:
    client = served.client("watch", name="kim")
    for path in ("/fleet", "/fleet/unit/main-01"):
        assert client.get(path).status_code == 200
    listening = Stream(client)
    listening.until("snapshot")
    listening.close()
    with served.site.own.connect() as db:
        rows = db.execute(select(access_table.c.act, access_table.c.terms).where(access_table.c.person == "kim")).all()
    assert [tuple(row) for row in rows] == [("fleet_view", ""), ("unit_view", "main-01")]


def test_who_has_no_part_in_it_sees_no_unit(served: ServeSite) -> None:
    for path in ("/fleet", "/fleet/events", "/fleet/unit/main-01"):
        assert served.client("approver-legal", "approver-manager").get(path).status_code == 403
    assert served.client().get("/fleet/events").status_code == 401
    assert served.client("watch").get("/fleet/unit/nobody-99").status_code == 404


def test_a_session_that_ends_ends_its_stream(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "BEAT_S", 0.1)
    listening = Stream(served.client("watch"))
    listening.until("snapshot")
    with writing(served.site.own) as db:
        db.execute(delete(session_table))
    listening.until("over")
    listening.close()


def test_nobody_takes_all_places(served: ServeSite) -> None:
    client = served.client("watch")
    held = [Stream(client) for _ in range(hubs.MOST_OF_A_SESSION)]
    refused = client.get("/fleet/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert Stream(served.client("watch", name="another")).until("snapshot")["desk"]["link"] == "live"
    held.pop().close()
    until(lambda: _is_let_in(client), END_S)
    for one in held:
        one.close()


def _is_let_in(client: httpx.Client) -> bool:
    one = Stream(client)
    one.close()
    return one.response.status_code == 200


# --- who reads how ---------------------------------------------------------------------------------------------------


def test_who_comes_back_gets_what_followed_or_all_of_it_once(
    served: ServeSite, floor: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "SHARED_NS", -1)  # separate for each
    client = served.client("watch")
    here = Stream(client)
    first = here.until("snapshot")
    assert [one["unit"] for one in first["units"]] == ["main-01", "main-02", "main-b1", "west-01"]
    floor.say("main-01", "line/1", {**LINE, "state": "ringing"})
    second = here.until("unit")
    floor.say("main-02", "line/1", {**LINE, "state": "ringing"})
    here.until("unit")
    here.close()
    back = Stream(client, f"?after={first['id']}", **{"Last-Event-ID": second["id"]})
    assert back.until("unit")["unit"] == "main-02"
    back.close()
    for strange in ("", "?after=x-1", "?after=%00"):
        lost = Stream(client, strange)
        assert lost.until("snapshot")["units"][1]["lines"]["1"]["state"] == "ringing"
        lost.close()
    monkeypatch.setattr(journal, "MOST_ENTRIES", 5)
    hub = served.site.fleet
    for n in range(10):
        before = number(hub)
        floor.say("west-01", "line/1", {**LINE, "state": ("recording", "idle")[n % 2]})
        until(lambda before=before: number(hub) > before, END_S)  # type: ignore[misc]
    late = Stream(client, f"?after={second['id']}")
    assert len(late.until("snapshot")["units"]) == 4
    floor.say("west-01", "line/2", {**LINE, "state": "recording"})
    assert late.until("unit")["lines"] == {"2": {"state": "recording", "since": AT, "call": None}}
    late.close()


def test_a_browser_that_does_not_read_costs_nothing_and_ends_right(
    served: ServeSite, floor: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 20)
    hub = served.site.fleet
    slow = _unread(served, served.session("watch", name="slow"))
    until(lambda: len(hub._readers) == 1, END_S)
    long = {**ALERT, "text_ko": "가" * 400, "action_ko": "나" * 400}
    four = [one["unit"] for one in hub.state(ALL)[2]]
    for n in range(160):  # 6 MB: more than fits into the sockets between
        before = number(hub)
        for unit in four:
            floor.tell(unit, f"alert/a{n % 4}", {**long, "line": n})
        until(lambda before=before: number(hub) >= before + 4, END_S)  # type: ignore[misc]
    assert len(hub._journal._entries) == 20
    other = Stream(served.client("watch"))  # a client that does not read blocks nobody
    other.until("snapshot")
    floor.say("main-02", "line/1", {**LINE, "state": "recording"})
    assert other.until("unit")["lines"]["1"]["state"] == "recording"
    other.close()
    said = b""
    slow.settimeout(END_S)
    while b"event: snapshot" not in said.partition(b"event: unit")[2] and len(said) < 20_000_000:
        said += slow.recv(1 << 16)
    assert b"event: snapshot" in said.partition(b"event: unit")[2]
    assert said.count(b"event: unit") < 4 * 160
    slow.close()


def test_a_browser_that_never_reads_loses_its_place(
    served: ServeSite, floor: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 20)
    monkeypatch.setattr(server, "TAKEN_S", 0.3)
    hub = served.site.fleet
    slow = _unread(served, served.session("watch", name="slow"))
    other = Stream(served.client("watch"))
    other.until("snapshot")
    until(lambda: len(hub._readers) == 2, END_S)
    long = {**ALERT, "text_ko": "가" * 400, "action_ko": "나" * 400}
    four = [one["unit"] for one in hub.state(ALL)[2]]
    for n in range(1000):
        for unit in four:
            floor.tell(unit, f"alert/a{n % 4}", {**long, "line": n})
        floor.say("main-02", "line/1", {**LINE, "since": f"round {n}"})
        while other.until("unit").get("lines", {}).get("1", {}).get("since") != f"round {n}":
            pass  # a client that does not read blocks nobody
        if len(hub._readers) == 1:
            break
    assert len(hub._readers) == 1
    assert len(hub._journal._entries) <= 20
    other.close()
    slow.close()


def _unread(served: ServeSite, token: str) -> ssl.SSLSocket:
    """A stream that is requested and not read."""
    bare = socket.socket()
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    bare.connect((SITE_HOST, int(served.url.rpartition(":")[2])))
    secure = served.trust().wrap_socket(bare, server_hostname=SITE_HOST)
    cookie = f"Cookie: {sessions.COOKIE}={token}"
    secure.sendall(f"GET /fleet/events HTTP/1.1\r\nHost: {SITE_HOST}\r\n{cookie}\r\n\r\n".encode())
    return secure


# --- its certificate -------------------------------------------------------------------------------------------------


def test_the_pages_need_another_name_than_ingest_and_terminal(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "authority")
    files = {}
    for name in ("seoul", "wall", "pages"):
        pki.desk(name)
        files[name] = (f"{pki.root}/desk-{name}.pem", f"{pki.root}/desk-{name}.key")

    def config(pages: str | None) -> DeskConfig:
        certificate, key = files["seoul"]
        broker = BrokerConfig(host="mqtt.example", ca=str(pki.ca), certificate=certificate, key=key)
        serve = ServeConfig(fleet_certificate=files[pages][0], fleet_key=files[pages][1]) if pages else ServeConfig()
        watch = type(DeskConfig().watch)(certificate=files["wall"][0], key=files["wall"][1])
        return DeskConfig(broker=broker, watch=watch, serve=serve)

    with pytest.raises(BadInput, match=r"\[serve\] fleet_certificate and key are missing"):
        pages_settings(config(None))
    with pytest.raises(BadInput, match="it has the ingest's name"):
        pages_settings(config("seoul"))
    with pytest.raises(BadInput, match="it has the terminal's name"):
        pages_settings(config("wall"))
    assert pages_settings(config("pages")).broker.certificate == files["pages"][0]


def test_a_unit_that_comes_and_goes(served: ServeSite, floor: Speaking) -> None:
    listening = Stream(served.client("watch"))
    listening.until("snapshot")
    floor.say("north-09", "status", ONLINE)
    new = listening.until("unit")
    assert (new["unit"], new["building"], new["floor"], new["lines"]) == ("north-09", "north", "9", {})
    floor.say("north-09", "health", {**HEALTH, "storage_days_left": 3.9})
    assert listening.until("unit")["days"] == 3
    floor.tell("north-09", "health", b"")
    floor.say("north-09", "status", b"")
    while not listening.until("unit").get("gone"):
        pass
    listening.close()
