# SPDX-License-Identifier: Apache-2.0
"""A call whose times its unit has amended: every package has the amendment, and shows the true end."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from custody_rig import CALL, Helper, marked_call, released
from release_house import ReleaseHouse
from sqlalchemy import insert

from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.custody.package import private_folder, unpack
from linetap_desk.ingest import tables
from release_rig import Desk
from sealing_rig import CALL_ID, UNIT

UNTIL, SHOWN = "2027-01-20T15:00:00.000Z", "2027-01-21"  # in Seoul
Sign = Callable[[bytes], str]


def amended(call: Path, sign: Sign, number: int = 1, until: str = UNTIL) -> dict[str, bytes]:
    """The members of a package: name -> content."""
    document = amendment.encode(Amendment(
        suite=amendment.SUITE, unit=UNIT, call_id=call.name, number=number,
        record_sha256=amendment.digest((call / sealed.RECORD).read_bytes()), began_at="2026-11-20T10:00:00.000Z",
        ended_at="2026-11-20T10:05:00.000Z", uncertainty_s=40, until=until, made_at="2026-11-24T23:00:00.000Z",
    ))  # fmt: skip
    name = f"{amendment.FOLDER}/{amendment.name(call.name, number)}"
    return {name: document, f"{name}{namespaces.SUFFIX}": sign(document).encode("ascii")}


def lay(members: dict[str, bytes], home: Path) -> None:
    for name, data in members.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(data)


def test_the_custodian_sees_the_end_that_counts_and_the_bundle_has_it(desk: Desk) -> None:
    call = marked_call(desk)
    members = released(desk, call) | amended(call, desk.rig.sign, until="2026-12-01T15:00:00.000Z")
    with Helper(desk, members | amended(call, desk.rig.sign, number=2)) as helper:
        inside = helper.inside()
        for _ in ("as the package says", "checked"):
            page = helper.get(inside, f"/call/{CALL}").text
            assert SHOWN in page
            assert "2026-12-0" not in page, "the first amendment does not count"
            assert "최대 40초 더 이를 수 있음" in page
            assert helper.post(inside, f"/call/{CALL}/listen").status_code == 303
        assert helper.post(inside, "/bundle").status_code == 303
        bundled = zipfile.ZipFile(next(helper.output.glob("*.zip")))
        assert (
            bundled.read(f"amended/{CALL}.json")
            == (helper.folder / amendment.FOLDER / amendment.name(CALL, 2)).read_bytes()
        )


def test_an_amendment_of_anybody_else_does_not_count(desk: Desk) -> None:
    call, other = marked_call(desk), keys.new_unit_key()
    forged = amended(call, lambda data: sshsig.sign(data, other, namespaces.RECORD))
    with Helper(desk, released(desk, call) | forged) as helper:
        inside = helper.inside()
        assert helper.post(inside, f"/call/{CALL}/listen").status_code == 303
        page = helper.get(inside, f"/call/{CALL}").text
        assert SHOWN not in page
        assert "인정하지 않습니다" in page


def test_a_record_that_leaves_its_end_open_has_a_page(desk: Desk) -> None:
    """Until the unit amends it, the day is unknown."""
    with Helper(desk, released(desk, marked_call(desk, until_open=True))) as helper:
        inside = helper.inside()
        for _ in ("as the package says", "checked"):
            page = helper.get(inside, f"/call/{CALL}")
            assert page.status_code == 200
            assert "기록에 정해져 있지 않고" in page.text
            assert helper.post(inside, f"/call/{CALL}/listen").status_code == 303


@pytest.fixture
def house(desk: Desk) -> Iterator[ReleaseHouse]:
    """A house with the amendment beside the copy, as brought by the unit's event."""
    house = ReleaseHouse(desk)
    members = amended(desk.call, desk.rig.sign)
    lay(members, house.copies / UNIT)
    document, sig = members.values()
    with house.engine.begin() as db:
        db.execute(insert(tables.amendments).values(
            unit=UNIT, call_id=CALL_ID, number=1, document=document, sig=sig.decode(), until=UNTIL
        ))  # fmt: skip
    yield house
    house.engine.dispose()


def test_the_desk_gives_it_to_each_who_takes_a_package(desk: Desk, house: ReleaseHouse) -> None:
    wanted = amended(desk.call, desk.rig.sign)
    with house.served:
        assert SHOWN in house.client("officer").get(f"/calls/{UNIT}/{CALL_ID}").text
        request_id = house.keyed()
        name = f"/release/{request_id}"
        for_an_approver = house.client("approver-legal").get(f"{name}/call").content
        for role in ("approver-legal", "approver-manager"):
            assert house.approve(request_id, role).status_code == 303
        for_the_vault = house.client("vault").get(f"{name}/vault").content
        assert all(data in for_an_approver and data in for_the_vault for data in wanted.values())
        assert house.bring(f"{name}/unwrap", house.half(request_id), "vault").status_code == 303
        answer = house.fetch(house.ticket(request_id))
        with private_folder() as folder:
            unpack(io.BytesIO(answer.content), folder)
            for member, data in wanted.items():
                assert (folder / member).read_bytes() == data


def test_in_a_terminal_it_is_said(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    lay(amended(desk.call, desk.rig.sign), desk.rig.vault)
    desk.unwrap(desk.call, desk.approved(desk.call), "said.inner")
    assert f"{CALL_ID}: amended by its unit: it ended 2026-11-20T10:05:00.000Z at the latest" in capsys.readouterr().err
