# SPDX-License-Identifier: Apache-2.0
"""Releases by the rules of the signed roles, from the request to the recording: every step at a key judges them."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from custody_rig import pack

from linetap_core.clock import NS_PER_DAY, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import NotReleased, parse, require_purpose
from linetap_core.evidence.authorization.roles import RolesFault
from linetap_core.evidence.authorization.roles import parse as parse_roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.keys import keys
from linetap_desk.accesslog import roles
from linetap_desk.accesslog.deskfolder import open_desk
from linetap_desk.custody.case import Case, CustodianFiles
from linetap_desk.custody.package import unpack
from linetap_desk.release import requestfile
from linetap_desk.unsealing import checkedcall
from linetap_desk.unsealing.callproof import Basis
from release_rig import KIM, NOW, PARK, PURPOSES, Desk
from sealing_rig import CALL_ID, UNIT

ELSEWHERE = "floor-09"
STAFF, BEGAN_NS = "Jung Ho", sealed.call_ns(CALL_ID)
TO_LISTEN = {"approvals": [["privacy"]], "max_age_days": 365, "may": "listen", "party": "citizen", "purpose": "abuse"}
OWN = {"approvals": [["legal"]], "expires_days": 8, "max_age_days": 14, "party": "own_line", "purpose": "dispute"}
OFFICE = {"approvals": [["privacy"], ["legal"]], "max_age_days": 30, "party": "other_office", "purpose": "dispute"}


@pytest.fixture
def ruled(desk: Desk) -> Desk:
    """The desk a day after the call, with rules in force."""
    desk.clock.advance(BEGAN_NS + NS_PER_DAY - desk.clock.utc_ns())
    use_rules(desk, 2, [OWN, OFFICE, TO_LISTEN])
    return desk


def use_rules(desk: Desk, version: int, rules: list[dict[str, Any]], *units: str) -> None:
    """`units`: further units on which the requester has line 3."""
    staff = {"line": 3, "name": STAFF, "recipient": desk.requester.recipient, "since": NOW, "supervisors": [PARK]}
    desk.sign_roles(version, rules=rules, lines=[staff | {"unit": unit} for unit in (UNIT, *units)])
    desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)


def own_call(desk: Desk, call: Path) -> Path:
    return desk.ask(call, requester=STAFF, party="own_line")


def forged(desk: Desk, request: Path, changes: dict[str, Any], *signers: str) -> Path:
    """A request with false claims, signed by people who look at no call. None: the field is missing."""
    data = {name: value for name, value in (json.loads(request.read_bytes()) | changes).items() if value is not None}
    path = request.with_name(f"forged-{request.name}")
    path.write_text(json.dumps(data, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n")
    for name in signers:
        desk.stock_sign(path, name, path.with_name(f"{path.name}.{len(name)}.sig"))
    return path


def code_of(step: Callable[[], object]) -> str:
    with pytest.raises(NotReleased) as refused:
        step()
    return refused.value.code


def test_own_call_by_one_supervisor(ruled: Desk, call: Path) -> None:
    request = own_call(ruled, call)
    assert json.loads(request.read_bytes())["unit"] == UNIT
    assert "MISSING" in ruled.run_show(request)[1]
    ruled.approve(request, PARK)
    status, shown = ruled.run_show(request)
    assert (status, "approvals: legal" in shown) == (0, True)
    inner = ruled.unwrap(call, request)
    opened = ruled.open(call, inner, "call.wav.age", "--for", ruled.requester.recipient, "--request", request)
    assert opened.stat().st_size > 20_000
    assert [entry.approvers for entry in ruled.log() if entry.verb == "unwrap"] == [[PARK]]


def test_another_office_takes_two(ruled: Desk, call: Path) -> None:
    request = ruled.ask(call, requester="Ro Min", party="other_office")
    ruled.approve(request, PARK)
    assert code_of(lambda: ruled.unwrap(call, request, "one.age")) == "approvals_missing"
    ruled.approve(request, KIM)
    assert ruled.unwrap(call, request).exists()


def test_a_request_by_a_rule_that_does_not_fit_is_not_made(ruled: Desk, call: Path) -> None:
    asked = {"one_time": ruled.one_time_key("T-1"), "request_id": "T-1"}
    assert code_of(lambda: ruled.ask(call, requester="Ro Min", party="own_line", **asked)) == "party_differs"
    assert code_of(lambda: ruled.ask(call, requester=STAFF, **asked)) == "party_needed"
    assert code_of(lambda: ruled.ask(call, requester=STAFF, party="court", **asked)) == "rule_unknown"
    assert code_of(lambda: ruled.ask(call, requester=STAFF, party="own_line", days=9, **asked)) == "expires_too_late"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"unit": "floor-09"}, "party_differs"),
        ({"requester": "Ro Min"}, "party_differs"),
        ({"policy": 3}, "policy_older"),
        ({"party": None, "unit": None, "policy": None}, "party_needed"),  # a request from before there were rules
        ({"party": "citizen", "purpose": "abuse"}, "party_differs"),
    ],
)
def test_forged_claims_open_nothing_at_either_key(ruled: Desk, call: Path, changes: dict[str, Any], code: str) -> None:
    """The approvers signed them; the officer's and the custodian's tools refuse them independently."""
    request = own_call(ruled, call)
    ruled.approve(request, PARK)
    inner = ruled.unwrap(call, request)
    bad = forged(ruled, request, changes, PARK, KIM)
    assert code_of(lambda: ruled.unwrap(call, bad, "bad.age")) == code
    words = ("--for", ruled.requester.recipient, "--request", bad)
    assert code_of(lambda: ruled.open(call, inner, "bad.wav.age", *words)) == code
    assert not list(ruled.root.glob("bad.*"))


def test_who_has_the_same_line_of_another_unit_gets_only_what_the_record_says(ruled: Desk, call: Path) -> None:
    """The request satisfies the policy by itself; the sealed record contradicts it at every step."""
    use_rules(ruled, 3, [OWN], ELSEWHERE)
    request = own_call(ruled, call)
    ruled.approve(request, PARK)
    inner = ruled.unwrap(call, request)
    bad = forged(ruled, request, {"unit": ELSEWHERE}, PARK)
    assert code_of(lambda: ruled.unwrap(call, bad, "bad.age")) == "party_differs"
    words = ("--for", ruled.requester.recipient, "--request", bad)
    assert code_of(lambda: ruled.open(call, inner, "bad.wav.age", *words)) == "party_differs"
    case = custodians_case(ruled, call, bad, inner)
    assert code_of(lambda: case.listen(call.name)) == "party_differs"
    assert code_of(case.bundle) == "party_differs"


def test_a_unit_that_the_record_does_not_have(ruled: Desk, call: Path) -> None:
    """If the policy gives this person a line of that unit too, only the sealed record identifies the call's unit."""
    request = parse(own_call(ruled, call).read_bytes())
    found = checkedcall.require_verified(call, Basis(None), with_audio=False)
    policy = parse_roles((ruled.folder / "roles.json").read_bytes())
    elsewhere = dataclasses.replace(found, record=msgspec.structs.replace(found.record, unit="floor-09"))
    requestfile.require_named(request, found, policy)
    assert code_of(lambda: requestfile.require_named(request, elsewhere, policy)) == "party_differs"


@pytest.mark.parametrize(
    ("began_ns", "uncertainty_s", "code"),
    [
        (BEGAN_NS, 60, ""),
        (BEGAN_NS, 15 * 86_400, "call_too_old"),  # it may be too old
        (BEGAN_NS, None, "call_too_old"),  # its age is unknown
        (BEGAN_NS - 20 * NS_PER_DAY, 60, "call_too_old"),  # its clock was ahead
        (BEGAN_NS + 2 * NS_PER_DAY, 60, "call_too_old"),  # it was behind, and the call is not yet over
    ],
)
def test_the_age_is_that_of_the_unit_s_amendment(
    ruled: Desk, call: Path, began_ns: int, uncertainty_s: int | None, code: str
) -> None:
    request = parse(own_call(ruled, call).read_bytes())
    found = checkedcall.require_verified(call, Basis(None), with_audio=False)
    policy = parse_roles((ruled.folder / "roles.json").read_bytes())
    at = rfc3339(began_ns)
    stated = Amendment(
        suite="linetap-amendment-1", unit=UNIT, call_id=CALL_ID, number=1, record_sha256=found.record_sha256,
        began_at=at, ended_at=at, uncertainty_s=uncertainty_s, until=at, made_at=at,
    )  # fmt: skip
    amended = dataclasses.replace(found, amended=stated)
    if code:
        assert code_of(lambda: requestfile.require_named(request, amended, policy)) == code
    else:
        requestfile.require_named(request, amended, policy)


def test_a_desk_with_older_roles_opens_nothing_by_newer_rules(ruled: Desk, call: Path) -> None:
    """An older file is not accepted again either: the newer, stricter rule applies to the earlier request."""
    request = own_call(ruled, call)
    ruled.approve(request, PARK)
    use_rules(ruled, 3, [OWN | {"approvals": [["legal"], ["privacy"]]}])
    assert code_of(lambda: ruled.unwrap(call, request, "late.age")) == "approvals_missing"
    with pytest.raises(RolesFault, match="roles_rollback"):
        use_rules(ruled, 2, [OWN])
    older = msgspec.structs.replace(parse_roles((ruled.folder / "roles.json").read_bytes()), version=1)
    assert code_of(lambda: require_purpose(parse(request.read_bytes()), older)) == "policy_older"


def test_to_listen_is_to_listen(ruled: Desk, call: Path) -> None:
    """The officer's half is made; the custodian plays it, and exports nothing: no file, no bundle."""
    own = {"for": keys.new_identity().recipient}
    request = ruled.ask(call, requester="Citizen 7", party="citizen", purpose="abuse", days=7, **own)
    ruled.approve(request, KIM)
    inner = ruled.unwrap(call, request)
    words = ("--for", parse(request.read_bytes()).recipient, "--request", request)
    assert code_of(lambda: ruled.open(call, inner, "bad.wav.age", *words)) == "copy_not_allowed"
    case = custodians_case(ruled, call, request, inner)
    case.listen(call.name)
    assert code_of(lambda: case.give(call.name)) == "copy_not_allowed"
    assert code_of(case.bundle) == "copy_not_allowed"
    assert case.is_to_listen
    assert not list((ruled.root / "out").iterdir())


def custodians_case(desk: Desk, call: Path, request: Path, inner: Path) -> Case:
    members = {"request.json": request.read_bytes(), f"inner/{call.name}.age": inner.read_bytes()}
    members |= {
        f"request.json.{n}.sig": path.read_bytes() for n, path in enumerate(desk.root.glob(f"{request.name}.*.sig"))
    }
    members |= {f"calls/{call.name}/{path.name}": path.read_bytes() for path in call.iterdir()}
    folder, output = desk.root / "package", desk.root / "out"
    folder.mkdir()
    output.mkdir()
    identities = [desk.rig.custodian_files[0], desk.one_time_file()]
    means = CustodianFiles(desk.rig.signers_file, identities, "", output, [desk.rig.vault / "log"])
    return Case(unpack(io.BytesIO(pack(members)), folder), open_desk(desk.folder, desk.clock), means, desk.clock)


def test_the_roles_tell_their_rules(ruled: Desk) -> None:
    _, shown = ruled.run(roles, "check", ruled.root / "roles.json", "--authority", ruled.root / "authority.pub")
    assert "rule     dispute for own_line: legal; calls of 14 days; to copy; stands 8 days" in shown
    assert "lines    1, of 1 people" in shown


def test_a_rule_for_one_approval_of_a_court_is_no_roles_file(desk: Desk) -> None:
    desk.sign_roles(2, rules=[OWN | {"party": "court"}], purposes=PURPOSES)
    with pytest.raises(BadInput, match="2 to 4 expected for court"):
        desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
