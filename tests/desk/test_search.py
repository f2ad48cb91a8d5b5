# SPDX-License-Identifier: Apache-2.0
"""Finding a call by number from the centre, from the unit's index to the logged answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from unicodedata import normalize

import httpx
import pytest
from search_house import FIELDS, UNIT, SearchHouse

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.index import Entry
from linetap_core.mask import masked
from linetap_desk.custody.search import unitindex
from linetap_desk.custody.search.connection import DeskConnection, GrantedSession, NotLogged
from linetap_desk.custody.search.memory import SearchQuery
from linetap_desk.inputs import strict
from linetap_desk.searching.departments import Row
from linetap_desk.serve.people import accounts

NUMBER, OTHER = "01012345678", "0212340000"


@pytest.fixture
def house(tmp_path: Path, run_dir: Path) -> Iterator[SearchHouse]:
    house = SearchHouse(tmp_path, run_dir)
    with house.served:
        yield house
        house.close()


def test_a_number_is_found_and_logged_without_it(house: SearchHouse) -> None:
    house.copied(NUMBER, OTHER, NUMBER)
    session = house.session()
    answer = session.search("number", "010-1234-5678", session.begun.first, session.begun.last)
    assert [(row.entry.number, row.entry.unit, row.entry.line) for row in answer.rows] == [(NUMBER, UNIT, 1)] * 2
    assert session.is_whole, (session.gaps(), session.late())
    (row,) = house.rows()
    assert (row["person"], row["purpose"], row["case_number"]) == ("custodian", "dispute", "2026-117")
    assert row["terms"].startswith(f"{session.begun.id} 2026-11-20/2026-11-30 number units=1 access-")
    assert row["seq"] == answer.row
    (own,) = house.own_entries()
    assert (own.number, own.outcome, own.case, own.request) == (
        "010-****-5678", "granted", "2026-117", session.begun.id,
    )  # fmt: skip
    assert [one["act"] for one in house.rows("find_begin")] == ["find_begin"]


def test_no_number_reaches_the_server(house: SearchHouse, caplog: pytest.LogCaptureFixture) -> None:
    house.copied(NUMBER)
    session = house.session()
    for typed in (NUMBER, "345678", "+82 10-1234-5678"):
        assert house.found(session, "number", typed) == [NUMBER]
    stored = house.server_files()
    for spelled in (NUMBER, "1234-5678", "345678"):  # four figures may occur in a key by chance
        assert spelled.encode() not in stored
        assert spelled not in caplog.text


def test_the_link_leads_to_the_release_of_this_call(house: SearchHouse) -> None:
    record = house.unit.call(NUMBER)
    house.copied()
    session = house.session()
    answer = session.search("number", NUMBER, session.begun.first, session.begun.last)
    assert [row.ask for row in answer.rows] == [f"{house.served.url}/release/ask/{UNIT}/{record.call_id}"]
    assert sealed.CALL_ID.fullmatch(answer.rows[0].entry.call_id)


def test_an_ending_a_name_and_an_extension(house: SearchHouse) -> None:
    house.table = [Row(0, UNIT, 1, "2301", "민원 1팀")]
    house.copied(NUMBER, OTHER)
    session = house.session()
    assert house.found(session, "number", "0000") == [OTHER]
    assert house.found(session, "extension", "2301") == [NUMBER, OTHER]
    assert house.found(session, "extension", "2302") == []
    assert house.found(session, "name", "민원") == [NUMBER, OTHER]
    assert [entry.number for entry in house.own_entries()] == [masked("0000"), "(extension)", "(extension)", "(name)"]


def test_a_department_behind_a_pbx_is_found_by_what_the_pbx_printed(house: SearchHouse) -> None:
    """Its lines are trunks: the table names it by extension, from a day on, in the encoding of a Mac's spreadsheet."""
    moved_ns = house.clock.utc_ns() + 90 * 10**9
    mac = [normalize("NFD", name) for name in ("세무과", "수도과")]
    house.table = [Row(0, UNIT, None, "2477", mac[0]), Row(moved_ns, UNIT, None, "2477", mac[1])]
    house.unit.index._extensions[1] = "2477"
    house.copied(NUMBER, OTHER)  # a minute and two minutes from now
    session = house.session()
    assert house.found(session, "name", "세무") == [NUMBER]
    assert house.found(session, "name", "수도") == [OTHER]
    assert house.found(session, "name", "과") == [NUMBER, OTHER]


@pytest.mark.parametrize(
    "typed",
    ["010-1234-5678", " 010 1234 5678 ", "+82 10-1234-5678", "0082 (0)10.1234.5678", "０１０－１２３４－５６７８"],
)
def test_a_number_in_whatever_spelling(house: SearchHouse, typed: str) -> None:
    house.copied(NUMBER, OTHER)
    session = house.session()
    assert house.found(session, "number", typed) == [NUMBER]
    assert [entry.number for entry in house.own_entries()] == ["010-****-5678"]


@pytest.mark.parametrize(("kind", "typed"), [("number", "123"), ("number", "abc"), ("name", " "), ("extension", "")])
def test_what_cannot_be_searched_is_refused_and_logged_here(house: SearchHouse, kind: str, typed: str) -> None:
    house.copied(NUMBER)
    session = house.session()
    with pytest.raises(BadInput):
        house.found(session, kind, typed)
    assert [entry.outcome for entry in house.own_entries()] == ["refused"]
    assert house.rows() == []


def test_a_search_long_after_the_last(house: SearchHouse) -> None:
    """The desk closes an idle connection; a person types minutes later."""
    house.copied(NUMBER)
    session = house.session()
    for _ in range(2):
        if (open_one := session._connection._connection.sock) is not None:
            open_one.shutdown(socket.SHUT_RDWR)
        assert house.found(session, "number", NUMBER) == [NUMBER]


@pytest.mark.parametrize("days", ["0001-01-01/2026-11-24", "2026-11-24/9999-12-31", "2026-11-25/2026-11-24"])
def test_days_that_no_desk_grants(days: str) -> None:
    """Such days from a desk in other hands ended `linetap search` as a fault of its own."""
    first, last = days.split("/")
    granted: dict[str, object] = {
        "token": "t" * 20,
        "id": "F-1",
        "person": "choi",
        "purpose": "dispute",
        "case": "1",
        "from": first,
    }
    granted |= {"to": last, "zone": "Asia/Seoul", "units": []}
    with pytest.raises(BadInput, match="are no days of a search"):
        strict.decode(json.dumps(granted), GrantedSession)


class TestReason:
    @pytest.mark.parametrize(
        "more",
        [{"purpose": "curiosity"}, {"case": ""}, {"case": "010-1234-5678"}, {"from": "2026-12-01"}, {"to": "soon"},
         {"from": "1900-01-01"}],
    )  # fmt: skip
    def test_without_one_there_is_no_ticket(self, house: SearchHouse, more: dict[str, str]) -> None:
        answer = house.reason(**more)
        assert answer.status_code == 409
        assert 'id="ticket"' not in answer.text
        assert [row["outcome"] for row in house.rows("find_ticket")] == ["refused"]

    @pytest.mark.parametrize("role", ["officer", "auditor", "watch", "approver-legal"])
    def test_another_role_gets_none(self, house: SearchHouse, role: str) -> None:
        assert house.reason(role).status_code == 403

    def test_a_ticket_serves_once_and_not_for_long(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        ticket = house.ticket()
        with DeskConnection(house.served.url, house.served.ca, ticket):
            pass
        with pytest.raises(Refusal, match="401"):
            DeskConnection(house.served.url, house.served.ca, ticket)
        late = house.ticket()
        house.clock.advance(601 * 10**9)
        with pytest.raises(Refusal, match="401"):
            DeskConnection(house.served.url, house.served.ca, late)

    def test_other_days_than_granted_are_not_searched(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        session = house.session(to="2026-11-21")
        assert session.count == 0
        with pytest.raises(BadInput, match="granted"):
            session.search("number", NUMBER, session.begun.first, session.begun.last.replace(day=24))

    @pytest.mark.parametrize("when", ["before it begins", "in the middle"])
    def test_who_may_no_longer_search_is_out_at_once(self, house: SearchHouse, when: str) -> None:
        house.copied(NUMBER)
        session, ticket = house.session(), house.ticket()
        accounts.set_roles(house.served.site.access, "test", "custodian", ["watch"])
        if when == "before it begins":
            with pytest.raises(Refusal, match="401"):
                DeskConnection(house.served.url, house.served.ca, ticket)
            return
        with pytest.raises(NotLogged, match="401"):
            house.found(session, "number", NUMBER)
        headers = {"authorization": f"Bearer {session._connection._token}"}
        assert house.served.client().get(f"/find/index/{UNIT}", headers=headers).status_code == 401
        assert house.rows() == []

    def test_nothing_is_given_without_a_ticket(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        client = house.served.client()
        for headers in ({}, {"authorization": "Bearer " + "x" * 43}):
            assert client.get(f"/find/index/{UNIT}", headers=headers).status_code == 401
            assert client.post("/find/search", content=b"{}", headers=headers).status_code == 401
            assert client.post("/find/begin", content=b"{}", headers=headers).status_code == 401


class TestLogged:
    """A search without its log entry shows nothing."""

    def test_a_body_with_a_number_is_refused(self, house: SearchHouse) -> None:
        connection = house.connection()
        headers = {"authorization": f"Bearer {connection._token}"}
        body = {"kind": "number", "from": "2026-11-24", "to": "2026-11-24", "units": 1, "entry": ""}
        client = house.served.client()
        assert client.post("/find/search", json=body, headers=headers).status_code == 200
        for more in ({"number": NUMBER}, {"entry": NUMBER}, {"kind": NUMBER}):
            assert client.post("/find/search", json=body | more, headers=headers).status_code == 400
        assert len(house.rows()) == 1

    def test_a_desk_that_logs_nothing_gets_nothing_shown(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        session = house.session()
        house.served.site.finding.end(session._connection._token)
        with pytest.raises(NotLogged):
            house.found(session, "number", NUMBER)
        assert [entry.outcome for entry in house.own_entries()] == ["granted", "failed"]

    def test_an_answer_that_is_no_head_of_a_log(self, house: SearchHouse, monkeypatch: pytest.MonkeyPatch) -> None:
        house.copied(NUMBER)
        session = house.session()
        monkeypatch.setattr(
            session._connection, "_post",
            lambda _path, _body, kind: kind(seq=7, head='{"kind":"head","seq":7,"hash":""}', sig=""),
        )  # fmt: skip
        with pytest.raises(NotLogged):
            house.found(session, "number", NUMBER)

    def test_the_row_is_there_before_anything_is_looked_at(
        self, house: SearchHouse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house.copied(NUMBER)
        session = house.session()
        seen: list[int] = []
        found = session._matching_entries

        def look(wanted: SearchQuery) -> Iterable[Entry]:
            seen.append(len(house.rows()))
            return found(wanted)

        monkeypatch.setattr(session, "_matching_entries", look)
        house.found(session, "number", NUMBER)
        assert seen == [1]


class TestMissing:
    """Segments omitted or changed by a desk are named, and never searched."""

    def gaps(self, house: SearchHouse) -> dict[str, dict[str, list[str]]]:
        return house.session().gaps()

    def segment(self, house: SearchHouse) -> Path:
        (name,) = house.unit.names()
        return house.central.folder.folder / name

    def test_a_segment_that_is_left_out(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        self.segment(house).unlink()
        session = house.session()
        assert session.gaps() == {unitindex.MISSING: {UNIT: ["2026-11-24"]}}
        assert house.found(session, "number", NUMBER) == []
        assert not session.is_whole

    def test_a_segment_that_is_forged(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        path = self.segment(house)
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
        assert self.gaps(house) == {unitindex.CHANGED: {UNIT: ["2026-11-24"]}}

    def test_a_segment_beside_the_units(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        path = self.segment(house)
        path.with_name("2026-11-24-009.age").write_bytes(path.read_bytes())
        session = house.session()
        assert session.gaps() == {unitindex.CHANGED: {UNIT: ["2026-11-24"]}}
        assert house.found(session, "number", NUMBER) == [NUMBER]

    def test_an_index_that_was_put_back(self, house: SearchHouse) -> None:
        """The desk repeats an earlier list with its segment: this machine has seen a newer one."""
        house.copied(NUMBER)
        root = house.central.folder.folder
        kept = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        house.copied(OTHER)
        assert house.session().is_whole
        for path, data in kept.items():
            path.write_bytes(data)
        session = house.session()
        assert unitindex.OLDER in session.gaps()
        assert house.found(session, "number", OTHER) == []

    def test_an_earlier_list_beside_the_newest(self, house: SearchHouse) -> None:
        """Its segment would hide the later call: of one log only the newest list counts."""
        house.copied(NUMBER)
        root = house.central.folder.folder
        kept = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        house.copied(OTHER)
        for path, data in kept.items():
            (path.with_name(path.name.replace("0" * 16, "0" * 15 + "1"))).write_bytes(data)
        session = house.session()
        assert session.gaps() == {unitindex.CHANGED: {UNIT: ["2026-11-24"]}}

    def test_an_index_that_ends_early_is_named(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        house.clock.advance(7200 * 10**9)
        session = house.session()
        assert [report.unit for report in session.late()] == [UNIT]
        assert not session.is_whole

    def test_a_unit_that_is_left_out(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        line = house.signers_file.read_text().partition(" ")[2]
        house.signers_file.write_text(house.signers_file.read_text() + f"floor-04 {line}")
        assert self.gaps(house) == {unitindex.NOT_GIVEN: {"floor-04": []}}
        house.signers_file.write_text(f"floor-* {line}")
        session = house.session()
        assert session.by_pattern
        assert not session.is_whole

    def test_a_list_that_somebody_else_signed(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        stranger = (house.people.root / "stranger.pub").read_text()
        house.signers_file.write_text(f"{UNIT} {stranger}")
        session = house.session()
        assert set(session.gaps()) == {unitindex.CHANGED, unitindex.NOT_SIGNED}
        assert session.count == 0

    def test_a_key_that_is_not_here(self, house: SearchHouse) -> None:
        house.copied(NUMBER)
        other = house.key.parent / "2027-01-24.index.txt"
        other.write_bytes(house.key.read_bytes())
        session = house.session(other)
        assert list(session.gaps()) == [unitindex.NO_KEY]
        assert session.count == 0

    def test_an_archive_that_is_none(self, house: SearchHouse) -> None:
        """A file of a foreign name among the lists: the archive counts up to there."""
        house.copied(NUMBER)
        (house.central.folder.folder / "list-evil.json").write_bytes(b"x")
        assert unitindex.NOT_WHOLE in self.gaps(house)

    def test_what_has_no_key_for_it_is_not_on_this_page(self, house: SearchHouse) -> None:
        answer = httpx.get(f"{house.served.url}/find", verify=house.served.trust())
        assert answer.status_code == 303
        assert FIELDS["case"] not in answer.text
