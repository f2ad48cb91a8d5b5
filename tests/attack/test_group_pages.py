# SPDX-License-Identifier: Apache-2.0
"""Members of a group who are dishonest, late or mistaken, on the desk's pages.

A partial result belongs to this very call, comes in its turn, and permits no second one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "desk"))  # the rigs of the desk's pages

from group_custody import HAND_ON, LISTEN, handed, helper, ready
from group_house import GroupHouse
from release_house import refusal

from linetap_core.clock import SYSTEM, rfc3339
from linetap_desk.serve.release import store
from linetap_desk.serve.release.steps import Partial
from release_rig import OTHER_CALL
from sealing_rig import CALL_ID, UNIT


@pytest.fixture
def house(run_dir: Path) -> Iterator[GroupHouse]:
    house = GroupHouse(run_dir)
    with house.served:
        yield house
    house.engine.dispose()


def test_wrong_late_and_forged_partials(house: GroupHouse) -> None:
    request_id = house.keyed()
    part = house.peeled(1)
    assert refusal(house.partial(request_id, part, "vault-1")) == "step_not_yet"
    for role in ("approver-legal", "approver-manager"):
        assert house.approve(request_id, role).status_code == 303
    other, own = house.peeled(1, OTHER_CALL), (house.desk.call / "key.age").read_bytes()
    changed = part[:-1] + bytes([part[-1] ^ 1])
    private = house.officers.files[0].read_bytes()
    for data, code in (
        (other, "group_other_layer"), (changed, "group_other_layer"), (own, "group_other_layer"),
        (b"nothing", "partial_malformed"), (private, "private_key"), (part[:100], "group_other_layer"),
    ):  # fmt: skip
        assert refusal(house.partial(request_id, data, "vault-1")) == code
    assert refusal(house.bring_half(request_id, house.half_of(1, 3, request_id), "vault-3")) == "partial_first"
    assert house.partial(request_id, part, "vault-1").status_code == 303
    assert refusal(house.partial(request_id, part, "vault-2")) == "partial_there"
    assert refusal(house.bring_half(request_id, house.peeled(2), "vault-2")) == "partial_not_half"
    half = house.half_of(1, 3, request_id)
    assert refusal(house.bring_half(request_id, half, "vault-1")) == "one_person_two_steps"
    assert house.bring_half(request_id, half, "vault-3").status_code == 303
    assert refusal(house.partial(request_id, part, "vault-2")) == "step_done"
    refused = [remark for _, act, outcome, remark in house.log() if (act, outcome) == ("request_partial", "refused")]
    assert len(refused) == 9


def test_what_is_no_partial_and_what_comes_too_early(house: GroupHouse) -> None:
    request_id = house.approved()
    archive = house.inner_layer(1, 2)
    assert handed(house, request_id, archive, 1) == "step_not_yet"
    half = house.half_of(1, 2, request_id)
    assert house.bring_half(request_id, half, "vault-2", together=True).status_code == 303
    for data, code in (
        (b"nothing", "partial_malformed"), (house.custodians.files[0].read_bytes(), "private_key"),
        (b"ustar" * 200, "partial_malformed"), (archive[:300] + b"\x00" * 1200, "partial_malformed"),
    ):  # fmt: skip
        assert handed(house, request_id, data, 1) == code


def test_a_layer_of_another_call_opens_nothing(house: GroupHouse) -> None:
    """Two calls are approved; the first custodian mixes the partial results. The page detects it, and if the page is
    compromised, the next one's helper.
    """
    mine, other = ready(house), ready(house, OTHER_CALL)
    with helper(house, 1, other, one_time=True) as first:
        assert first.post(first.inside(), f"/call/{OTHER_CALL}/hand-on").status_code == 303
        part = (first.output / f"{OTHER_CALL}.part.age").read_bytes()
    assert handed(house, mine, part, 1) == "key_of_another_call"
    unnamed = part.replace(f"-> linetap-call {UNIT} {OTHER_CALL}\n\n".encode(), b"")
    assert len(unnamed) < len(part)
    assert handed(house, mine, unnamed, 1) == "key_of_another_call"
    for data, why in ((part, "key_of_another_call"), (unnamed, "does not open")):
        with house.served.site.own.begin() as db:
            store.empty_partials(db, mine)
            made = Partial("custodian", "", (1,), 1, "keeper-1", rfc3339(SYSTEM.utc_ns()), True)
            store._put_partial(db, mine, made, data)
        with helper(house, 2, mine) as last:
            page = last.post(last.inside(), LISTEN)
            assert page.status_code == 409
            assert why in page.text
            assert last.case.opened(CALL_ID) is None
            assert last.desk.log()[-1].outcome in ("refused", "failed")
    with helper(house, 1, mine, one_time=True) as again:
        assert again.post(again.inside(), HAND_ON).status_code == 303
        part = (again.output / f"{CALL_ID}.part.age").read_bytes()
    assert handed(house, mine, part, 1) == "303"
    with helper(house, 2, mine) as last:
        assert last.post(last.inside(), LISTEN).status_code == 303
