# SPDX-License-Identifier: Apache-2.0
"""An attacker with the desk's database and store tries to open call B by the approvals for call A: the pages refuse,
and so does every device that receives a package from them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "desk"))  # the rigs of the desk's pages

from custody_rig import Helper
from release_house import LEGAL, MANAGER, NOW_NS, ReleaseHouse, refusal
from swapped_rig import closed, forged, trusted

from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.errors import LinetapError
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_desk.ingest import tables
from linetap_desk.release import unwrap
from linetap_desk.serve.database.tables import holds, requests
from release_rig import KIM, OTHER_CALL, Desk
from sealing_rig import CALL_ID, UNIT


@pytest.fixture
def house(desk: Desk) -> Iterator[ReleaseHouse]:
    desk.clock.step_utc(NOW_NS - desk.clock.utc_ns())
    house = ReleaseHouse(desk, ManualClock(NOW_NS, NS_PER_S))
    with house.served:
        yield house
    house.engine.dispose()


def in_the_store(house: ReleaseHouse, folder: Path) -> Path:
    """Puts the forged call in place of A's copy, and its record into the ingest's table."""
    place = house.copies / UNIT / sealed.call_path(CALL_ID)
    shutil.rmtree(place)
    shutil.copytree(folder, place)
    digest = hashlib.sha256((place / sealed.RECORD).read_bytes()).hexdigest()
    with house.engine.begin() as db:
        db.execute(tables.calls.update().where(tables.calls.c.call_id == CALL_ID).values(record_sha256=digest))
    return place


def test_nobody_approves_a_forged_call(house: ReleaseHouse) -> None:
    in_the_store(house, forged(house.desk, keys.new_unit_key()))
    request_id = house.keyed()
    for role in (LEGAL, MANAGER):
        assert refusal(house.approve(request_id, role)) == "call_not_as_sealed"
        assert refusal(house.client(role).get(f"/release/{request_id}/call")) == "call_not_as_sealed"
    assert ("approver-legal", "request_approve", "refused", "call_not_as_sealed") in house.log()


def test_nothing_of_an_approved_request_goes_on_when_the_copy_is_exchanged(house: ReleaseHouse) -> None:
    approved, unwrapped = house.approved(), house.unwrapped()
    folder = forged(house.desk, keys.new_unit_key())
    ticket = house.ticket(unwrapped)
    place = in_the_store(house, folder)
    with house.served.site.own.begin() as db:
        digest = hashlib.sha256((place / sealed.RECORD).read_bytes()).hexdigest()
        db.execute(requests.update().values(record_sha256=digest))
    assert refusal(house.client("vault").get(f"/release/{approved}/vault")) == "call_not_as_sealed"
    assert refusal(house.bring(f"/release/{approved}/unwrap", house.half(approved), "vault")) == "call_not_as_sealed"
    assert refusal(house.client("custodian").get(f"/release/{unwrapped}/package")) == "call_not_as_sealed"
    assert house.fetch(ticket).text == "call_not_as_sealed\n"


def test_the_unit_of_another_floor_does_not_do_it(house: ReleaseHouse) -> None:
    """A key of another unit known to the desk, and no close in the log of the call's unit."""
    other = keys.new_unit_key()
    with house.desk.rig.signers_file.open("a") as file:
        file.write(f"floor-9 {keys.public_line(other.public_key())}\n")
    trusted(house.desk, "floor-9", other)
    in_the_store(house, forged(house.desk, other, "floor-9"))
    assert refusal(house.approve(house.keyed(), LEGAL)) == "closing_differs"


def test_the_units_own_stolen_key_does_not_do_it(house: ReleaseHouse) -> None:
    """It signs a record of call A over the key of call B, like version 0.1, and closes it in the log. The copies have
    B's own record, which names that key; without the copy of B the forgery is undetected here.
    """
    stolen = house.desk.rig.unit_key
    folder = forged(house.desk, stolen)
    in_the_store(house, folder)
    proof = closed(house.desk, folder, stolen, UNIT)
    shutil.copy(proof, house.copies / UNIT / closing_path(CALL_ID))
    other = house.copies / UNIT / sealed.call_path(OTHER_CALL)
    request_id = house.keyed()
    for role in (LEGAL, MANAGER):
        assert refusal(house.approve(request_id, role)) == "key_of_another_call"
        assert refusal(house.client(role).get(f"/release/{request_id}/call")) == "key_of_another_call"
    shutil.rmtree(other)
    assert house.approve(request_id, LEGAL).status_code == 303


def test_no_hold_of_a_forged_call_is_brought(house: ReleaseHouse) -> None:
    in_the_store(house, forged(house.desk, keys.new_unit_key()))
    fields = {"unit": UNIT, "call_id": CALL_ID, "case": "2026-117", "basis": "law", "until": "2099-06-30"}
    asked = house.served.post(house.client("officer"), "/hold/ask", **fields)
    hold_id = asked.headers["location"].rpartition("/")[2]
    assert refusal(house.client("vault").get(f"/hold/{hold_id}/call")) == "call_not_as_sealed"
    assert refusal(house.bring(f"/hold/{hold_id}/command", b"{}", "vault")) == "call_not_as_sealed"
    with house.served.site.own.connect() as db:
        assert db.execute(holds.select()).mappings().one()["command"] is None


def archive(house: ReleaseHouse, request_id: str) -> dict[str, bytes]:
    answer = house.client("vault").get(f"/release/{request_id}/vault")
    assert answer.status_code == 200, refusal(answer)
    with tarfile.open(fileobj=BytesIO(answer.content), mode="r:") as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]


def laid_out(folder: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder / "calls" / CALL_ID


def test_a_package_in_which_the_ticket_names_a_and_the_files_are_bs(house: ReleaseHouse) -> None:
    """The pages are compromised: their output is the attacker's. The officer's own tool refuses it."""
    desk, request_id = house.desk, house.approved()
    good = archive(house, request_id)
    swapped = dict(good)
    for name in (sealed.RECORD, sealed.SIGNATURE, sealed.META, sealed.KEY):
        swapped[f"calls/{CALL_ID}/{name}"] = (desk.other / name).read_bytes()
    only_the_key = {**good, f"calls/{CALL_ID}/{sealed.KEY}": (desk.other / sealed.KEY).read_bytes()}
    no_signature = {name: data for name, data in good.items() if not name.endswith("record.json.sig")}
    no_closing = {name: data for name, data in good.items() if not name.startswith("closing/")}
    cases = {"swapped": swapped, "key": only_the_key, "unsigned": no_signature, "open": no_closing}
    for name, members in cases.items():
        call = laid_out(desk.root / name, members)
        words = [call, "--identity", desk.rig.epoch_file, "--request", desk.root / name / "request.json"]
        with pytest.raises(LinetapError) as caught:
            desk.run(unwrap, *words, "-o", desk.root / "INNER.age", "--desk", desk.folder)
        code = "closing_needed" if name == "open" else "call_not_as_sealed"
        assert str(caught.value).endswith(f"[{code}]"), name
        assert not (desk.root / "INNER.age").exists()
    call = laid_out(desk.root / "good", good)
    words = [call, "--identity", desk.rig.epoch_file, "--request", desk.root / "good" / "request.json"]
    assert desk.run(unwrap, *words, "-o", desk.root / "INNER.age", "--desk", desk.folder) == (0, "")


def test_an_approvers_tool_refuses_it_too(house: ReleaseHouse) -> None:
    request_id = house.keyed()
    answer = house.client(LEGAL).get(f"/release/{request_id}/call")
    with tarfile.open(fileobj=BytesIO(answer.content), mode="r:") as tar:
        members = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    members[f"calls/{CALL_ID}/{sealed.KEY}"] = (house.desk.other / sealed.KEY).read_bytes()
    folder = house.desk.root / "approver"
    laid_out(folder, members)
    with pytest.raises(LinetapError, match=r"\[call_not_as_sealed\]"):
        house.desk.release("approve", folder / "request.json", "--key", house.desk.root / KIM, "--name", KIM)
    os.unlink(folder / "calls" / CALL_ID / sealed.KEY)
    os.mkfifo(folder / "calls" / CALL_ID / sealed.KEY)
    with pytest.raises(LinetapError, match="not a regular file"):
        house.desk.release("approve", folder / "request.json", "--key", house.desk.root / KIM, "--name", KIM)
    assert not list(folder.glob("*.sig"))


def test_the_custodians_helper_opens_no_call_of_another_name(house: ReleaseHouse) -> None:
    request_id = house.unwrapped()
    answer = house.fetch(house.ticket(request_id))
    with tarfile.open(fileobj=BytesIO(answer.content), mode="r:") as tar:
        members = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    for path in house.desk.other.iterdir():
        members[f"calls/{CALL_ID}/{path.name}"] = path.read_bytes()
    identities = [house.desk.rig.custodian_files[0], house.desk.one_time_file(request_id)]
    with Helper(house.desk, members, identities, logs=False) as helper:
        inside = helper.inside()
        for step in ("listen", "give"):
            assert helper.post(inside, f"/call/{CALL_ID}/{step}").status_code == 409
            assert house.desk.log()[-1].code == "call_not_as_sealed"
        assert list(helper.output.iterdir()) == []
