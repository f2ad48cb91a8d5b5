# SPDX-License-Identifier: Apache-2.0
"""The approvals required by a request: every purpose, party and set of approvers, and requests that claim too light a
rule.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap_core.clock import NS_PER_DAY, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import release, roles
from linetap_core.evidence.authorization.release import NamedCall, NotReleased, Request
from linetap_core.evidence.authorization.releaserules import PARTIES, LineStaff, Rule, Terms
from linetap_core.evidence.authorization.roles import OFFICES, Person, Purpose, Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, sshsig
from sealing_rig import CALL_ID, UNIT

LINE, BEGAN_NS = 3, sealed.call_ns(CALL_ID)
APPROVERS = {"Kim": "supervisor", "Oh": "supervisor", "Do": "privacy", "Ma": "manager", "Le": "legal"}
PEOPLE = APPROVERS | {"Han": "vault", "Yun": "custodian"}
KEYS = {name: keys.new_unit_key() for name in PEOPLE}
JUNG_KEY, OTHER_KEY, ONE_TIME = (keys.new_identity().recipient for _ in range(3))
RULES = [
    Rule(
        purpose="complaint", party="own_line", approvals=[["supervisor"]], max_age_days=14, may="copy", expires_days=3
    ),
    Rule(purpose="complaint", party="other_office", approvals=[["privacy"], ["manager", "legal"]], max_age_days=90),
    Rule(purpose="court", party="court", approvals=[["privacy"], ["manager"]], max_age_days=3000, expires_days=14),
    Rule(purpose="citizen", party="citizen", approvals=[["privacy"]], max_age_days=365, may="listen", expires_days=10),
]
STAFF = LineStaff(
    name="Jung Ho", unit=UNIT, line=LINE, since=rfc3339(BEGAN_NS - 100 * NS_PER_DAY), recipient=JUNG_KEY,
    supervisors=["Kim"],
)  # fmt: skip
PURPOSES = [Purpose(one, "목적", "A purpose", "Act 1") for one in ("complaint", "court", "citizen", "dispute")]
POLICY = Roles(
    3,
    [Person(name, role, keys.public_line(KEYS[name].public_key(), "")) for name, role in PEOPLE.items()],
    PURPOSES,
    rules=RULES,
    lines=[STAFF],
)


def request(purpose: str, party: str, **changes: Any) -> Request:
    """A request made a day after the call, for two days."""
    stated = {"party": party, "unit": UNIT, "policy": 3} if party else {}
    asker = {"own_line": "Jung Ho", "citizen": "Citizen 7", "court": "Court 2"}.get(party, "Park Ro")
    values: dict[str, Any] = {
        "id": "2026-0042", "calls": [NamedCall(CALL_ID, LINE, "0" * 64)], "purpose": purpose, "case": "2026-117",
        "requester": asker, "recipient": JUNG_KEY if party == "own_line" else OTHER_KEY, "one_time": ONE_TIME,
        "created": rfc3339(BEGAN_NS + NS_PER_DAY), "expires": rfc3339(BEGAN_NS + 3 * NS_PER_DAY),
    }  # fmt: skip
    made = Request(**(values | stated | changes))
    return release.parse(document.encode(made))


def verdict(asked: Request, *signers: str, policy: Roles = POLICY) -> str:
    """`ok`, or the code of the refusal, judged like every gate: purpose, then approvals."""
    data = document.encode(asked)
    signed = {name: sshsig.sign(data, KEYS[name], namespaces.RELEASE).encode() for name in signers}
    try:
        release.require_purpose(asked, policy)
        release.require_approvals(asked, release.check_approvals(data, asked, signed, policy))
    except NotReleased as error:
        return error.code
    return "ok"


# The sets of approvers that suffice, written by hand; every other one is refused.
RELEASES: dict[tuple[str, str], list[set[str]]] = {
    ("complaint", "own_line"): [{"Kim"}],
    ("complaint", "other_office"): [{"Do", "Ma"}, {"Do", "Le"}],
    ("court", "court"): [{"Do", "Ma"}],
    ("citizen", "citizen"): [{"Do"}],
    ("dispute", ""): [{a, b} for a, b in combinations(APPROVERS, 2) if APPROVERS[a] != APPROVERS[b]],
}


@pytest.mark.parametrize("party", ["", *PARTIES])
@pytest.mark.parametrize("purpose", [one.id for one in PURPOSES])
def test_each_purpose_for_each_party_by_each_approvers(purpose: str, party: str) -> None:
    releasing = RELEASES.get((purpose, party))
    for size in range(4):
        for signers in combinations(PEOPLE, size):
            found = verdict(request(purpose, party), *signers)
            expected = releasing is not None and any(some <= set(signers) for some in releasing)
            assert (found == "ok") is expected, (purpose, party, signers, found)


@pytest.mark.parametrize(
    ("purpose", "party", "changes", "code"),
    [
        ("complaint", "own_line", {"requester": "Park Ro"}, "party_differs"),  # another's line
        ("complaint", "own_line", {"recipient": OTHER_KEY}, "party_differs"),  # for another recipient
        ("complaint", "own_line", {"unit": "floor-09"}, "party_differs"),
        ("complaint", "own_line", {"calls": [NamedCall(CALL_ID, 4, "0" * 64)]}, "party_differs"),
        ("complaint", "own_line", {"calls": [NamedCall(CALL_ID, LINE, "0" * 64),
                                             NamedCall("20261124T225700.000Z-L04", 4, "0" * 64)]}, "party_differs"),
        ("complaint", "own_line", {"expires": rfc3339(BEGAN_NS + 5 * NS_PER_DAY)}, "expires_too_late"),
        ("complaint", "own_line", {"created": rfc3339(BEGAN_NS + 15 * NS_PER_DAY),
                                   "expires": rfc3339(BEGAN_NS + 16 * NS_PER_DAY)}, "call_too_old"),
        ("complaint", "own_line", {"created": rfc3339(BEGAN_NS - 1_000_000),  # dated back, so that it is never too old
                                   "expires": rfc3339(BEGAN_NS + NS_PER_DAY)}, "call_too_old"),
        ("complaint", "", {}, "party_needed"),  # two of any role is lighter than privacy and one more
        ("complaint", "citizen", {}, "rule_unknown"),
        ("dispute", "own_line", {}, "rule_unknown"),
        ("court", "court", {"requester": "jung  HO"}, "party_differs"),  # staff, in another spelling
        ("citizen", "citizen", {"requester": "Le"}, "party_differs"),
        ("citizen", "citizen", {"recipient": JUNG_KEY}, "party_differs"),
        ("complaint", "own_line", {"policy": 4}, "policy_older"),  # this desk does not have the newest rules
        ("curiosity", "own_line", {}, "purpose_unknown"),
    ],
)  # fmt: skip
def test_a_claim_that_does_not_fit(purpose: str, party: str, changes: dict[str, Any], code: str) -> None:
    asked = request(purpose, party, **changes)
    for size in range(1, 6):
        assert {verdict(asked, *signers) for signers in combinations(APPROVERS, size)} == {code}


def test_a_role_that_the_rule_does_not_name() -> None:
    assert verdict(request("court", "court"), "Le") == "approver_rule"
    assert verdict(request("court", "court"), "Do") == "approvals_missing"


def test_the_supervisor_of_somebody_else_is_none() -> None:
    assert verdict(request("complaint", "own_line"), "Oh") == "approver_rule"
    assert verdict(request("complaint", "own_line"), "Ma") == "approver_rule"


def test_nobody_approves_their_own() -> None:
    own = msgspec.structs.replace(STAFF, name="Oh", supervisors=["Kim"])
    policy = msgspec.structs.replace(POLICY, lines=[own])
    asked = request("complaint", "own_line", requester="Oh")
    assert verdict(asked, "Oh", policy=policy) == "approver_is_requester"
    assert verdict(asked, "Kim", policy=policy) == "ok"


@pytest.mark.parametrize("name", ["Han", "Yun"])
def test_who_holds_a_half_gets_nothing_by_one_approval(name: str) -> None:
    policy = msgspec.structs.replace(POLICY, lines=[msgspec.structs.replace(STAFF, name=name)])
    assert verdict(request("complaint", "own_line", requester=name), "Kim", policy=policy) == "party_differs"


def test_a_line_changes_hands() -> None:
    """Calls before and after belong to another person."""
    for changed in ({"since": rfc3339(BEGAN_NS + 1_000_000)}, {"until": rfc3339(BEGAN_NS)}):
        policy = msgspec.structs.replace(POLICY, lines=[msgspec.structs.replace(STAFF, **changed)])
        assert verdict(request("complaint", "own_line"), "Kim", policy=policy) == "party_differs"


def test_the_newest_policy_counts() -> None:
    """A rule that was tightened or withdrawn since no longer permits the old request."""
    asked = request("complaint", "own_line")
    heavier = [msgspec.structs.replace(RULES[0], approvals=[["supervisor"], ["privacy"]]), *RULES[1:]]
    assert (
        verdict(asked, "Kim", policy=msgspec.structs.replace(POLICY, version=4, rules=heavier)) == "approvals_missing"
    )
    assert verdict(asked, "Kim", policy=msgspec.structs.replace(POLICY, version=4, rules=[])) == "rule_unknown"


def test_without_rules_all_is_as_before() -> None:
    """A request of an earlier version has the same bytes, and any two of different roles approve it."""
    policy = Roles(1, POLICY.people, POLICY.purposes)
    assert b"rules" not in document.encode(policy)
    assert b"party" not in document.encode(request("complaint", ""))
    assert verdict(request("complaint", ""), "Kim", "Ma", policy=policy) == "ok"
    assert verdict(request("complaint", ""), "Kim", "Oh", policy=policy) == "approvers_same_role"


def test_listening_is_no_copy() -> None:
    with pytest.raises(NotReleased) as refused:
        release.require_copy(request("citizen", "citizen"), POLICY)
    assert refused.value.code == "copy_not_allowed"
    release.require_copy(request("complaint", "own_line"), POLICY)
    release.require_copy(request("dispute", ""), POLICY)


@pytest.mark.parametrize("lacks", ["party", "unit", "policy"])
def test_a_claim_is_whole_or_none(lacks: str) -> None:
    made = msgspec.structs.replace(request("complaint", "own_line"), **{lacks: 0 if lacks == "policy" else ""})
    with pytest.raises(BadInput, match="party, unit, policy"):
        release.parse(document.encode(made))


def test_a_party_that_there_is_not() -> None:
    with pytest.raises(BadInput, match="own_line, other_office, citizen, court"):
        request("complaint", "journalist")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"purpose": "curiosity"}, "not in the list"),
        ({"approvals": []}, "1 to 4 expected"),
        ({"approvals": [["supervisor"]], "party": "court"}, "2 to 4 expected for court"),
        ({"approvals": [["supervisor"]], "party": "other_office"}, "2 to 4 expected for other_office"),
        ({"approvals": [[]]}, "names of 1 to 16 roles"),
        ({"approvals": [["Supervisor"]]}, "names of 1 to 16 roles"),
        ({"approvals": [["privacy"], ["privacy"]]}, "each approval is of another role"),
        *(({"approvals": [["privacy", office]]}, f"role {office} never approves") for office in OFFICES),
        ({"max_age_days": 0}, "1 to 3660 expected"),
        ({"expires_days": 32}, "1 to 31 expected"),
    ],
)
def test_a_rule_that_there_cannot_be(rule: dict[str, Any], text: str) -> None:
    made = msgspec.structs.replace(RULES[0], **rule)
    with pytest.raises(BadInput, match=text):
        roles.parse(document.encode(msgspec.structs.replace(POLICY, rules=[made])))


def test_two_rules_of_one_purpose_for_one_party() -> None:
    lighter = msgspec.structs.replace(RULES[2], approvals=[["manager"], ["legal"]])
    with pytest.raises(BadInput, match="already"):
        roles.parse(document.encode(msgspec.structs.replace(POLICY, rules=[*RULES, lighter])))


@pytest.mark.parametrize(
    ("staff", "text"),
    [
        ({"recipient": "age1x"}, "lines"),
        ({"since": "yesterday"}, "lines"),
        ({"until": STAFF.since}, "after since"),
        ({"supervisors": []}, "1 to 4 names"),
        ({"supervisors": ["Han"]}, "nobody of the list"),  # a vault officer approves nothing
        ({"supervisors": ["Nobody"]}, "nobody of the list"),
        ({"name": "kim", "supervisors": ["Kim"]}, "cannot approve for themselves"),
        ({"unit": "keys"}, "a unit's name"),
        ({"line": 0}, "a line from 1"),
    ],
)
def test_a_line_that_there_cannot_be(staff: dict[str, Any], text: str) -> None:
    made = msgspec.structs.replace(STAFF, **staff)
    with pytest.raises(BadInput, match=text):
        roles.parse(document.encode(msgspec.structs.replace(POLICY, lines=[made])))


def test_the_policy_of_these_tests_is_one() -> None:
    assert roles.parse(document.encode(POLICY)) == POLICY
    assert roles.changes(POLICY, msgspec.structs.replace(POLICY, rules=[])) == ["other rules of releases"]


ROLE = st.sampled_from("abcde")
SLOTS = st.lists(st.lists(ROLE, max_size=3, unique=True), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(SLOTS, st.lists(ROLE, max_size=6))
def test_an_assignment_is_found_where_there_is_one(slots: list[list[str]], given_roles: list[str]) -> None:
    """Compared with every way to assign distinct roles to the approvals."""
    have = sorted(set(given_roles)) + [""] * len(slots)
    filled = max(
        sum(bool(role) and (not slot or role in slot) for slot, role in zip(slots, order, strict=True))
        for order in permutations(have, len(slots))
    )
    missing = Terms(approvals=slots).missing(given_roles)
    assert len(missing) == len(slots) - filled
    assert Terms(approvals=slots).missing([*given_roles, "f"]) == missing or [] in slots  # a foreign role fills nothing


@settings(max_examples=200, deadline=None)
@given(st.sets(st.sampled_from(sorted(PEOPLE))), st.sampled_from(sorted(RELEASES)), st.sampled_from(["", *PARTIES]))
def test_another_claim_opens_nothing_by_fewer(signers: set[str], fitting: tuple[str, str], claimed: str) -> None:
    """The same person with the same key; only the claim differs from the true party. Claiming another office is open to
    everybody, and requires two.
    """
    purpose, party = fitting
    stated = {"party": claimed, "unit": UNIT, "policy": 3} if claimed else {"party": "", "unit": "", "policy": 0}
    asked = msgspec.structs.replace(request(purpose, party), **stated)
    if verdict(asked, *signers) == "ok" and claimed != party:
        assert claimed == "other_office"
        assert len({PEOPLE[name] for name in signers}) > 1
