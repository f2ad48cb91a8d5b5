# SPDX-License-Identifier: Apache-2.0
"""Approving, opening or removing a layer verifies the whole call first, and the log names the opened file."""

from __future__ import annotations

import ast
import hashlib
import shutil
from pathlib import Path

import pytest
from swapped_rig import approved, forged, hold_key, refused

from linetap_core.codecs import mulaw
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.ceremony import hold
from linetap_desk.proofs import callfolder
from linetap_desk.release import opening, unwrap
from linetap_desk.unsealing import checkedcall, layers
from linetap_desk.unsealing.callproof import Basis
from release_rig import HAN, ID, KIM, Desk
from sealing_rig import CALL_ID, UNIT, Rig, noise, record


def test_an_approver_does_not_sign_for_a_forged_call(desk: Desk) -> None:
    folder = forged(desk, keys.new_unit_key())
    request = approved(desk, folder)
    (desk.root / f"{ID}.json.privacy.sig").unlink()
    for call, code in (
        (folder, "call_not_as_sealed"),
        (desk.call, "record_differs"),
        (desk.root / "no", "call_needed"),
    ):
        words = [] if not call.exists() else ["--call", call]
        with pytest.raises(Refusal, match=rf"\[{code}\]"):
            desk.release("approve", request, "--key", desk.root / KIM, "--name", KIM, *words)
        assert desk.steps()[-1] == ("approve", "refused", code)
    with pytest.raises(Refusal, match=r"\[call_not_named\]"):
        desk.release("approve", request, "--key", desk.root / KIM, "--name", KIM, "--call", desk.other)
    assert not (desk.root / f"{ID}.json.privacy.sig").exists()


def test_a_custodian_is_asked_by_no_record_that_was_forged(desk: Desk) -> None:
    folder = forged(desk, keys.new_unit_key())
    inner = desk.unwrap(desk.call, desk.approved(desk.call), "good.age")
    with pytest.raises(Refusal, match=r"\[call_not_as_sealed\]"):
        desk.open(folder, inner, "call.wav")
    assert not (desk.root / "call.wav").exists()


def test_without_roles_what_does_not_fit_is_refused_and_the_rest_is_warned_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(desk.root / "nobody"))
    monkeypatch.delenv("LINETAP_DESK", raising=False)
    folder = forged(desk, keys.new_unit_key())
    words = [folder, "--identity", desk.rig.epoch_file, "-o", desk.root / "inner.age"]
    with pytest.raises(Refusal, match=r"\[call_not_as_sealed\]"):
        desk.run(unwrap, *words, "--signers", desk.rig.signers_file)
    with pytest.raises(Refusal, match=r"\[key_of_another_call\]"):
        desk.run(unwrap, *words)
    record = sealed.decode_record((desk.call / sealed.RECORD).read_bytes())
    data = sealed.public_json(record)
    for name in (sealed.KEY, sealed.RECORD):
        shutil.copy(desk.call / name, folder)
    (folder / sealed.RECORD).write_bytes(data)
    (folder / sealed.SIGNATURE).write_text(sshsig.sign(data, keys.new_unit_key(), namespaces.RECORD))
    assert desk.run(unwrap, *words)[0] == 0
    said = capsys.readouterr().err
    assert "whose signature it bears was not checked" in said
    assert "nothing here shows that its unit's log has closed it" in said
    (desk.root / "inner.age").unlink()
    shutil.copy(desk.other / sealed.KEY, folder)
    with pytest.raises(Refusal, match=r"key\.age is not what was sealed"):
        desk.run(unwrap, *words)
    assert desk.run(unwrap, desk.call, *words[1:], "--signers", desk.rig.signers_file) == (0, "")
    assert capsys.readouterr().err == f"{desk.call.name}: not witnessed (no --policy)\n"


def test_with_roles_signers_are_needed(desk: Desk) -> None:
    request = desk.approved(desk.call)
    (desk.folder / "allowed_signers").unlink()
    assert "--signers: roles are in force" in refused(desk, desk.call, request)
    desk.unwrap(desk.call, request, "inner.age", None, "--signers", desk.rig.signers_file)


def test_the_access_log_names_the_sealed_key_that_was_opened(desk: Desk) -> None:
    """By its own hash, whatever a record states: in every step that removes a layer, or returns the content."""
    request, (_, to) = desk.approved(desk.call), hold_key(desk)
    inner = desk.unwrap(desk.call, request)
    desk.open(desk.call, inner, "call.wav")
    words = ["--to", to, "--case", "1", "--basis", "law", "--until", "2027-06-30", "--key", desk.root / HAN]
    words += ["--identity", desk.rig.epoch_file, "-o", desk.root / "out", "--desk", desk.folder]
    desk.run(hold, "wrap", desk.call, *words)
    digest = hashlib.sha256((desk.call / sealed.KEY).read_bytes()).hexdigest()
    assert [(e.verb, e.key_sha256) for e in desk.log()[-3:]] == [(v, digest) for v in ("unwrap", "open", "hold")]
    assert f"key_sha256={digest}" in desk.access("show", "--call", CALL_ID)[1]


DESK = Path(checkedcall.__file__).parent
# Modules that decrypt with age: the custodians' layer, a day's index, a canary, a test letter, a call's files.
DECRYPTS = {"layers.py", "opening.py", "indexsearch.py", "canary.py", "keygroup.py"}


def test_a_record_that_changes_after_its_check_is_not_taken(tmp_path: Path) -> None:
    """Of a call recovered without its meta.age, which would contradict it: the record alone has its times."""
    rig = Rig.make(tmp_path)
    folder = rig.sealed_call(200)
    whole = sealed.decode_record((folder / sealed.RECORD).read_bytes())
    whole.recovered = True
    (folder / sealed.META).unlink()
    del whole.files[sealed.META]
    data = sealed.public_json(whole)
    (folder / sealed.RECORD).write_bytes(data)
    (folder / sealed.SIGNATURE).write_text(rig.sign(data))
    call = checkedcall.require_verified(folder, Basis(callfolder.load_signers(rig.signers_file)))
    identities = [rig.epoch_file, rig.custodian_files[0]]
    assert opening.Unlocked(call, identities, None).record["line"] == whole.line
    whole.line += 1
    (folder / sealed.RECORD).write_bytes(sealed.public_json(whole))
    with pytest.raises(Refusal, match="changed while it was being opened"):
        opening.Unlocked(call, identities, None)


@pytest.mark.parametrize("age_is_there", [True, False])
def test_audio_that_changes_after_its_check_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_is_there: bool
) -> None:
    """Another sound of the same length under the call's own key, which decrypts without a fault."""
    rig = Rig.make(tmp_path)
    folder = rig.create()
    folder.write(noise(100_000))
    folder.seal(record(100_000), rig.sign)
    call = checkedcall.require_verified(folder.path, Basis(callfolder.load_signers(rig.signers_file)))
    other = age.encrypt(mulaw.HEADER + noise(100_000, seed=2), [folder.recipient])
    assert len(other) == (folder.path / "audio.001.age").stat().st_size
    (folder.path / "audio.001.age").write_bytes(other)
    if not age_is_there:
        monkeypatch.setattr("linetap_core.system.program", lambda _name: None)
    with pytest.raises(Refusal, match=r"audio\.001\.age: changed while it was being opened"):
        opening.open_call(call, [rig.epoch_file, rig.custodian_files[0]], None, tmp_path / "call.wav")
    assert not list(tmp_path.glob("call.*"))


def test_no_layer_comes_off_bytes_that_nobody_checked() -> None:
    with pytest.raises(TypeError, match="what checkedcall"):
        checkedcall.SealedKey(b"key", "", OfCall(UNIT, CALL_ID), object())
    trees = {path: ast.parse(path.read_text()) for path in DESK.parent.rglob("*.py")}
    called = {
        (path.relative_to(DESK.parent), node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    }
    assert {path.name for path, name in called if name == "SealedKey"} == {"checkedcall.py"}
    stock = {
        path.name
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("decrypt", "decrypt_with_key", "PlainBlocks")
        if isinstance(node.value, ast.Name) and node.value.id == "stockage"
    }
    assert stock == DECRYPTS
    assert "opening.py" in {path.name for path, name in called if name == "outer_layer"}
    assert {path.name for path, name in called if name == "officer_step"} >= {"unwrap.py", "rewrap.py"}
    for path, tree in trees.items():
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert path.name == "checkedcall.py" or "_CHECKED" not in names, path
    for takes in (layers.outer_layer, layers.peel, layers.officer_step):
        assert takes.__annotations__["key"] == "SealedKey"
