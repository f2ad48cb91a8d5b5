# SPDX-License-Identifier: Apache-2.0
"""No one person opens a recording: every forbidden way is refused with its code."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

import sealing_rig
from linetap_core.clock import rfc3339
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.authorization.roles import RolesFault
from linetap_core.evidence.calls import hold
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_desk.accesslog import deskfolder, roles
from linetap_desk.release import unwrap
from release_rig import CHOI, DAY_NS, HAN, ID, KIM, LEE, PARK, PEOPLE, PURPOSES, Desk
from sealing_rig import CALL_ID, UNIT


def refused(desk: Desk, code: str, call: Path, request: Path | None) -> str:
    """The line of `unwrap`'s refusal; asserts its code, that nothing is written, and that the log has it."""
    before = len(desk.log())
    with pytest.raises(Refusal) as caught:
        desk.unwrap(call, request, "refused.age")
    assert not (desk.root / "refused.age").exists()
    line = str(caught.value)
    assert "\n" not in line
    assert line.endswith(f"[{code}]")
    entry = desk.log()[-1]
    assert len(desk.log()) == before + 1
    assert (entry.verb, entry.outcome, entry.code, entry.calls) == ("unwrap", "refused", code, [call.name])
    return line


def test_without_a_request(desk: Desk, call: Path) -> None:
    assert "nothing opens without one" in refused(desk, "request_needed", call, None)


def test_used_again(desk: Desk, call: Path, other: Path) -> None:
    request = desk.approved(call, other)
    desk.unwrap(call, request, "first.age")
    assert CALL_ID in refused(desk, "request_used", call, request)
    desk.unwrap(other, request, "second.age")
    refused(desk, "request_used", other, request)


def test_used_again_under_another_name_or_with_the_same_key(desk: Desk, call: Path, other: Path) -> None:
    """Use is recorded for the bytes; neither an id nor a one-time key can be used twice."""
    request = desk.approved(call)
    desk.unwrap(call, request, "first.age")
    copy = desk.root / "elsewhere"
    copy.mkdir()
    for path in desk.root.glob(f"{ID}.json*"):
        shutil.copy(path, copy)
    refused(desk, "request_used", call, copy / request.name)
    one_time = keys.parse_identity_file(desk.one_time_file().read_text())[0].recipient
    same_key = desk.ask(other, request_id="2026-0043", one_time=one_time)
    desk.approve(same_key, KIM, PARK)
    refused(desk, "one_time_key_taken", other, same_key)
    request.unlink()
    for path in desk.root.glob(f"{ID}.json.*"):
        path.unlink()
    same_id = desk.ask(other, one_time=keys.new_identity().recipient)
    desk.approve(same_id, KIM, PARK)
    refused(desk, "request_id_taken", other, same_id)


def test_expired_also_with_the_clock_set_back(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    desk.clock.advance(7 * DAY_NS)
    refused(desk, "request_expired", call, request)
    desk.clock.step_utc(-6 * DAY_NS)
    refused(desk, "request_expired", call, request)  # the log has the time of the attempt


def test_not_yet(desk: Desk, call: Path) -> None:
    desk.clock.advance(DAY_NS)
    request = desk.approved(call)
    shutil.rmtree(desk.folder)
    desk.clock.step_utc(-DAY_NS)
    again = Path(desk.root / "roles.json")
    desk.run(roles, "use", again, "--authority", desk.root / "authority.pub", "--desk", desk.folder)
    shutil.copy(desk.rig.signers_file, desk.folder / "allowed_signers")
    assert rfc3339(desk.clock.utc_ns() + DAY_NS) in refused(desk, "request_not_yet", call, request)


@pytest.mark.parametrize("requester", [KIM, "park min", "ParkMin"])
def test_approver_is_the_requester(desk: Desk, call: Path, requester: str) -> None:
    request = desk.ask(call, requester=requester)
    name, other = (KIM, PARK) if requester == KIM else (PARK, KIM)
    with pytest.raises(NotReleased, match=r"has requested it and cannot approve it \[approver_is_requester\]"):
        desk.approve(request, name)
    desk.approve(request, other)
    desk.stock_sign(request, name, request.with_name(f"{request.name}.sneaked.sig"))
    refused(desk, "approver_is_requester", call, request)
    desk.approve(request, LEE if name == PARK else CHOI)  # somebody else of that role
    desk.unwrap(call, request)


def test_two_approvers_of_one_role(desk: Desk, call: Path) -> None:
    request = desk.ask(call)
    desk.approve(request, KIM)
    desk.stock_sign(request, CHOI, request.with_name(f"{request.name}.second.sig"))
    refused(desk, "approvers_same_role", call, request)
    with pytest.raises(BadInput, match=r"privacy\.sig: exists"):
        desk.approve(request, CHOI)


def test_one_approver_twice(desk: Desk, call: Path) -> None:
    request = desk.ask(call)
    desk.approve(request, KIM)
    shutil.copy(request.with_name(f"{request.name}.privacy.sig"), request.with_name(f"{request.name}.again.sig"))
    refused(desk, "approvers_same_role", call, request)


def test_approver_not_in_the_roles(desk: Desk, call: Path) -> None:
    request = desk.ask(call)
    desk.approve(request, KIM)
    desk.stock_sign(request, "stranger", request.with_name(f"{request.name}.legal.sig"))
    refused(desk, "approver_unknown", call, request)
    with pytest.raises(NotReleased, match=r"\[approver_unknown\]"):
        desk.release("approve", request, "--key", desk.root / "stranger", "--name", "stranger", "--call", call)


def test_approver_who_has_left(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    left = desk.sign_roles(2, {name: role for name, role in PEOPLE.items() if name != PARK})
    desk.run(roles, "use", left, "--desk", desk.folder)
    refused(desk, "approver_unknown", call, request)


def test_key_holders_do_not_approve(desk: Desk, call: Path) -> None:
    request = desk.ask(call)
    desk.approve(request, KIM)
    desk.stock_sign(request, HAN, request.with_name(f"{request.name}.vault.sig"))
    refused(desk, "approver_role", call, request)


def test_key_of_somebody_else(desk: Desk, call: Path) -> None:
    request = desk.ask(call)
    with pytest.raises(NotReleased, match=r"is the key of Park Min \[approver_key\]"):
        desk.release("approve", request, "--key", desk.root / PARK, "--name", KIM, "--call", call)
    assert desk.steps()[-2:] == [("approve", "granted", ""), ("approve", "failed", "approver_key")]
    assert not list(desk.root.glob("*.json.*.sig"))


def test_signed_for_something_else(desk: Desk, call: Path) -> None:
    request = desk.ask(call)
    desk.approve(request, KIM)
    desk.stock_sign(request, PARK, request.with_name(f"{request.name}.legal.sig"), "linetap-hold")
    refused(desk, "approval_malformed", call, request)


def test_every_changed_byte_of_the_request(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    whole = request.read_bytes()
    codes = set()
    for at in [*range(0, len(whole) - 1, 23), len(whole) - 1]:
        data = bytearray(whole)
        data[at] ^= 1
        request.write_bytes(data)
        with pytest.raises(Refusal) as caught:
            desk.unwrap(call, request)
        codes.add(caught.value.code)
    assert codes <= {"request_malformed", "approval_does_not_fit", "purpose_unknown", "request_expired"}
    assert {"request_malformed", "approval_does_not_fit"} <= codes
    request.write_bytes(whole)
    desk.unwrap(call, request)


def test_call_that_is_not_named(desk: Desk, call: Path, other: Path) -> None:
    refused(desk, "call_not_named", other, desk.approved(call))


def test_record_of_another_hash(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    record = call / "record.json"
    record.write_bytes(record.read_bytes().replace(b'"disposition":"recorded"', b'"disposition":"exempt"'))
    refused(desk, "call_not_as_sealed", call, request)


def test_key_of_another_call_in_the_folder_of_an_approved_one(desk: Desk, call: Path, other: Path) -> None:
    request = desk.approved(call)
    shutil.copy(other / "key.age", call / "key.age")
    refused(desk, "call_not_as_sealed", call, request)


def held(desk: Desk, key_age: bytes, who: str = HAN, **fields: str) -> Path:
    """The files written by `linetap hold wrap`."""
    folder = desk.root / "holds" / CALL_ID
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "key.age").write_bytes(key_age)
    record = hashlib.sha256((desk.call / "record.json").read_bytes()).hexdigest()
    named = {
        "call_id": CALL_ID, "unit": UNIT, "record_sha256": record, "key_sha256": hashlib.sha256(key_age).hexdigest(),
        "from_epoch": "2027-01-24", "to": "age1", "made_at": "2026-11-25T00:00:00.000Z", "case": "2026-117",
        "basis": "law", "until": "2027-06-30T15:00:00.000Z",
    }  # fmt: skip
    (folder / "hold.json").write_bytes(hold.encode(hold.Hold(**(named | fields))))
    desk.stock_sign(folder / "hold.json", who, folder / "hold.json.sig", "linetap-hold")
    return folder


def test_held_call_opens_with_the_holds_key_if_an_officer_signed_for_it(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    identity = keys.new_identity()
    (desk.root / "hold.txt").write_text(keys.identity_file(identity, "now"))
    recipe = ["age", "-d", "-i", str(desk.rig.epoch_file), str(call / "key.age")]
    wrapped = age.encrypt(sealing_rig.run(recipe).stdout, [identity.recipient])
    bad: list[tuple[str, str, dict[str, str]]] = [
        ("key_differs", HAN, {"key_sha256": "0" * 64}),
        ("record_differs", HAN, {"record_sha256": "0" * 64}),
        ("wrapped_not_signed", PARK, {}),
        ("wrapped_not_signed", "stranger", {}),
    ]
    for code, who, fields in bad:
        folder = held(desk, wrapped, who, **fields)
        with pytest.raises(NotReleased, match=rf"\[{code}\]"):
            desk.unwrap(call, request, "x.age", desk.root / "hold.txt", "--wrapped", folder)
    folder = held(desk, wrapped)
    with pytest.raises(BadInput, match=r"neither hold\.json"):
        desk.unwrap(call, request, "x.age", desk.root / "hold.txt", "--wrapped", call)
    inner = desk.unwrap(call, request, "inner.age", desk.root / "hold.txt", "--wrapped", folder)
    assert desk.open(call, inner, "call.wav").exists()


def test_closed(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    desk.release("close", ID, "--key", desk.one_time_file())
    refused(desk, "request_closed", call, request)


def test_roles_that_were_changed_or_taken_away(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    path = desk.folder / "roles.json"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"legal"', b'"audit"', 1))
    refused(desk, "roles_signature", call, request)
    path.unlink()
    refused(desk, "roles_missing", call, request)
    path.write_bytes(data)
    desk.unwrap(call, request)


def test_older_roles_put_back(desk: Desk, call: Path) -> None:
    old = [(name, (desk.folder / name).read_bytes()) for name in ("roles.json", "roles.json.sig")]
    desk.run(roles, "use", desk.sign_roles(2), "--desk", desk.folder)
    request = desk.approved(call)
    for name, data in old:
        (desk.folder / name).write_bytes(data)
    refused(desk, "roles_rollback", call, request)


def test_purpose_that_is_no_longer_lawful(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    desk.run(roles, "use", desk.sign_roles(2, purposes=PURPOSES[1:]), "--desk", desk.folder)
    assert "abuse" in refused(desk, "purpose_unknown", call, request)


def test_what_failed_did_not_use_the_request_up(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    with pytest.raises(Refusal, match="epoch's layer does not open"):
        desk.unwrap(call, request, identity=desk.rig.custodian_files[0])
    assert [step[:2] for step in desk.steps()[-2:]] == [("unwrap", "granted"), ("unwrap", "failed")]
    desk.unwrap(call, request)


def test_open_holds_the_request_against_what_it_is_asked(desk: Desk, call: Path, other: Path) -> None:
    request = desk.approved(call)
    inner = desk.unwrap(call, request)
    stranger = keys.new_identity().recipient
    with pytest.raises(NotReleased, match=r"\[recipient_differs\]"):
        desk.open(call, inner, "call.wav.age", "--for", stranger, "--request", request)
    with pytest.raises(NotReleased, match=r"\[call_not_named\]"):
        desk.open(other, inner, "call.wav.age", "--for", desk.requester.recipient, "--request", request)
    with pytest.raises(BadInput, match=r"ends in \.wav\.age"):
        desk.open(call, inner, "call.wav", "--for", stranger)
    with pytest.raises(BadInput, match="--for: not an age recipient"):
        desk.open(call, inner, "call.wav.age", "--for", "age1x")
    assert [step[1] for step in desk.steps()[-4:]] == ["refused"] * 4


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"purpose": "curiosity"}, r"dispute, abuse \[purpose_unknown\]"),
        ({"days": 32}, "at most 31 days"),
        ({"days": 0}, "at most 31 days"),
        ({"for": "age1x"}, "recipient: not an age recipient"),
        ({"case": ""}, "case: 1 to 120 printable"),
        ({"requester": "a\nb"}, r"requester: character 2 is U\+000A"),
        ({"requester": "a" * 65}, "requester: 1 to 64 printable"),
    ],
)
def test_requests_that_cannot_be(desk: Desk, call: Path, more: dict[str, object], says: str) -> None:
    with pytest.raises(LinetapError, match=says):
        desk.ask(call, **more)  # type: ignore[arg-type]
    assert desk.steps()[-1][:2] == ("request", "refused")
    assert not list(desk.root.glob("*.json.*"))[1:]


def test_what_else_a_request_cannot_be(desk: Desk, call: Path) -> None:
    with pytest.raises(BadInput, match="named twice"):
        desk.ask(call, call)
    with pytest.raises(BadInput, match="has a key already"):
        desk.one_time_key()
    with pytest.raises(BadInput, match="requester's own key"):
        desk.ask(call, one_time=desk.requester.recipient)
    with pytest.raises(BadInput, match="no one-time key; it is not destroyed"):
        desk.release("close", ID, "--key", desk.rig.epoch_file)
    with pytest.raises(BadInput, match="the key of request 2026-0042; it is not destroyed"):
        desk.release("close", "2026-0043", "--key", desk.one_time_file())
    assert desk.rig.epoch_file.exists()


def test_without_a_desk_unwrap_is_as_in_the_demo(
    desk: Desk, call: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LINETAP_DESK", raising=False)
    words = [call, "--identity", desk.rig.epoch_file, "-o"]
    assert desk.run(unwrap, *words, desk.root / "demo.age")[0] == 0
    with pytest.raises(BadInput, match="no roles are in force"):
        desk.run(unwrap, *words, desk.root / "x.age", "--request", desk.root / "roles.json")
    monkeypatch.setenv("LINETAP_DESK", str(tmp_path / "nothing"))
    with pytest.raises(BadInput, match="not a desk's folder"):
        desk.run(unwrap, *words, desk.root / "x.age")
    monkeypatch.setenv("LINETAP_DESK", str(desk.folder))
    with pytest.raises(NotReleased, match=r"\[request_needed\]"):
        desk.run(unwrap, *words, desk.root / "x.age")


def test_a_desk_that_was_gutted_is_no_demo(desk: Desk, call: Path) -> None:
    for name in ("roles.json", "access.key"):
        (desk.folder / name).unlink()
    with pytest.raises(LinetapError, match=r"access\.key"):
        desk.unwrap(call, None)


def test_roles_fault_is_a_refusal() -> None:
    assert RolesFault("x", "y").exit_status == NotReleased("x", "y").exit_status == 1


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_desks_folder_after_a_crash_while_it_was_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    words = ("use", desk.root / "roles.json", "--authority", desk.root / "authority.pub", "--desk", desk.root / "new")
    write, left = privatefile.write, [None] * written
    with monkeypatch.context() as crashing:
        crashing.setattr(privatefile, "write", lambda path, data: (left.pop(), write(path, data)))
        with pytest.raises(IndexError):
            desk.run(roles, *words)
    assert desk.run(roles, *words)[0] == 0
    assert deskfolder.is_complete(desk.root / "new")


@pytest.mark.parametrize("lost", [deskfolder.KEY, deskfolder.AUTHORITY])
def test_a_used_desk_gets_no_other_key_and_no_other_authority(desk: Desk, lost: str) -> None:
    (desk.folder / lost).unlink()
    before = {path.name for path in desk.folder.iterdir()}
    with pytest.raises(BadInput, match="the folder of a backup expected"):
        desk.run(
            roles, "use", desk.root / "roles.json", "--authority", desk.root / "authority.pub", "--desk", desk.folder
        )
    assert {path.name for path in desk.folder.iterdir()} == before
