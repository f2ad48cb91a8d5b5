# SPDX-License-Identifier: Apache-2.0
"""The custodians of a group, each with the helper for the package fetched from the pages."""

from __future__ import annotations

import dataclasses
import io
import tarfile

from custody_rig import Helper
from group_house import GroupHouse
from release_house import refusal

from linetap_core.clock import SYSTEM, ManualClock
from sealing_rig import CALL_ID

LISTEN, GIVE, HAND_ON = (f"/call/{CALL_ID}/{step}" for step in ("listen", "give", "hand-on"))


def ready(house: GroupHouse, call_id: str = CALL_ID) -> str:
    """A request whose half the officers have uploaded."""
    request_id = house.approved(call_id=call_id)
    half = house.half_of(1, 2, request_id, call_id)
    assert house.bring_half(request_id, half, "vault-2", together=True).status_code == 303
    return request_id


def package(house: GroupHouse, name: str, request_id: str) -> dict[str, bytes]:
    answer = house.client("custodian", name).get(f"/release/{request_id}/package")
    with tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:") as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def helper(house: GroupHouse, number: int, request_id: str, one_time: bool = False) -> Helper:
    """The helper for the custodian's package, with their own identity, signers and access log."""
    name = f"keeper-{number}"
    place = house.place(name)
    desk = dataclasses.replace(house.desk, folder=place / "desk", clock=ManualClock(SYSTEM.utc_ns()))
    identities = [house.custodians.files[number - 1], *([house.desk.one_time_file(request_id)] if one_time else [])]
    members = package(house, name, request_id)
    return Helper(desk, members, identities, logs=False, output=place / f"out-{len(list(place.iterdir()))}")


def handed(house: GroupHouse, request_id: str, data: bytes, number: int) -> str:
    return refusal(house.bring(f"/release/{request_id}/handed", data, "custodian", f"keeper-{number}"))
