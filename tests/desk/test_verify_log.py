# SPDX-License-Identifier: Apache-2.0
"""A vault with its log: every removal, addition, change, exchange or new signature is detected and named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.log.recentlywritten import RecentlyWritten
from linetap_core.cli import main
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES, LeafLog
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.evidence.signing import sshsig
from linetap_desk.proofs import callfolder
from linetap_desk.vaultproofs import verifylog, verifyvault
from linetap_desk.vaultproofs.logclaims import LogClaims
from linetap_desk.vaultproofs.verifylog import LogCheck
from sealing_rig import CALL_ID, NOW, UNIT, Rig, run

SECOND = "20261124T225700.000Z-L04"
HEAD, SIG = "head.json", "head.json.sig"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """Two calls, logged like a recorder's."""
    rig = Rig.make(tmp_path_factory.mktemp("made"))
    rig.publish()
    for call_id in (CALL_ID, SECOND):
        add_call(rig, call_id)
    return rig


@pytest.fixture
def rig(made: Rig, tmp_path: Path) -> Rig:
    root = shutil.copytree(made.root, tmp_path / "rig")
    return dataclasses.replace(made, root=root, vault=root / "vault", signers_file=root / "allowed_signers")


def add_call(rig: Rig, call_id: str) -> None:
    log = rig.log()
    log.append("open", call_id=call_id, line=3)
    rig.sealed_call(200, call_id)
    log.close_call(call_id)
    log.publish()
    log.close()


def codes(rig: Rig, witness: Path | None = None) -> list[str]:
    verdicts = [*verifyvault.verify_vault(rig.vault, callfolder.load_signers(rig.signers_file), witness)]
    found = [problem.code for verdict in verdicts for problem in verdict.problems]
    assert bool(found) != all(verdict.good for verdict in verdicts)
    return found


def log_codes(rig: Rig) -> list[str]:
    """The codes of the log alone."""
    found = LogCheck(folder(rig), callfolder.load_signers(rig.signers_file), None).verdict().problems
    return [problem.code for problem in found if problem.code != "missing_call"]


def folder(rig: Rig) -> Path:
    return rig.vault / "log"


def call(rig: Rig, call_id: str = CALL_ID) -> Path:
    return rig.vault / sealed.call_path(call_id)


def sign_head(rig: Rig, **change: object) -> None:
    """Signs a changed head with the unit's own key."""
    head = {**json.loads((folder(rig) / HEAD).read_bytes()), **change}
    data = json.dumps(head, separators=(",", ":")).encode()
    (folder(rig) / HEAD).write_bytes(data)
    (folder(rig) / SIG).write_text(rig.sign_head(data))


def test_vault_as_it_was_sealed(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert codes(rig) == []
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 0
    assert capsys.readouterr().out == (
        f"ok   {CALL_ID}\nok   {SECOND}\nok   log of {UNIT}, 4 leaves\n"
        f"?    witness of {UNIT}: not witnessed (no --policy)\n3 checked, 3 good\n"
    )
    assert main(["verify", str(rig.vault)]) == 1
    assert "log of closet-3f, 4 leaves: consistent, signer not trusted" in capsys.readouterr().out


def test_every_byte_of_the_log_matters(rig: Rig) -> None:
    for file in sorted(folder(rig).iterdir()):
        good = file.read_bytes()
        for at in range(len(good)):
            file.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
            assert log_codes(rig), f"byte {at} of {file.name}"
        for changed in (good[:-1], good + b"\n", good + b"x", good[: len(good) // 2], b""):
            file.write_bytes(changed)
            assert log_codes(rig), f"length of {file.name}"
        file.write_bytes(good)
    assert log_codes(rig) == []


def test_every_file_of_a_vault_matters(rig: Rig) -> None:
    for file in sorted(path for path in rig.vault.rglob("*") if path.is_file()):
        good = file.read_bytes()
        file.unlink()
        # A repeated head: a vault of an earlier version lacks it, and nothing is lost with it.
        assert codes(rig) or file.name == "head.copy", f"{file} removed"
        file.write_bytes(good[:-1])
        assert codes(rig), f"{file} cut"
        other = call(rig, SECOND) / file.name
        if file.parent == call(rig):
            file.write_bytes(other.read_bytes())
            assert codes(rig), f"{file} swapped"
        file.write_bytes(good)
    assert codes(rig) == []


@pytest.mark.parametrize(
    ("name", "more"),
    [(LEAVES, ["log_unreadable"]), (TREE, []), (HEAD, ["file_unreadable"]), (SIG, ["file_unreadable"])],
)
def test_a_file_of_the_log_that_is_gone_is_named(rig: Rig, name: str, more: list[str]) -> None:
    (folder(rig) / name).unlink()
    assert codes(rig) == ["missing_file", *more]


def test_a_log_that_is_gone(rig: Rig) -> None:
    shutil.rmtree(folder(rig))
    assert codes(rig) == ["log_missing"]


@pytest.mark.parametrize("name", ["note.txt", "leaves.jsonl.old"])
def test_what_does_not_belong_into_a_log(rig: Rig, name: str) -> None:
    (folder(rig) / name).write_bytes(b"x")
    assert codes(rig) == ["extra_file"]


def lines(rig: Rig) -> list[bytes]:
    return (folder(rig) / LEAVES).read_bytes().splitlines(keepends=True)


def removed(rig: Rig) -> None:
    (folder(rig) / LEAVES).write_bytes(b"".join(lines(rig)[:2] + lines(rig)[3:]))


def removed_at_the_end(rig: Rig) -> None:
    (folder(rig) / LEAVES).write_bytes(b"".join(lines(rig)[:3]))


def added(rig: Rig) -> None:
    (folder(rig) / LEAVES).write_bytes(b"".join(lines(rig)) + b'{"kind":"heartbeat","at":"x"}\n')


def reordered(rig: Rig) -> None:
    found = lines(rig)
    (folder(rig) / LEAVES).write_bytes(b"".join([found[1], found[0], *found[2:]]))


def repeated(rig: Rig) -> None:
    (folder(rig) / LEAVES).write_bytes(b"".join([*lines(rig), lines(rig)[-1]]))


@pytest.mark.parametrize("change", [removed, removed_at_the_end, added, reordered, repeated])
@pytest.mark.parametrize("tree_too", [False, True])
def test_other_leaves(rig: Rig, change: Callable[[Rig], None], tree_too: bool) -> None:
    change(rig)
    if tree_too:  # recomputed, so that only the signed head reveals it
        (folder(rig) / TREE).unlink()
        LeafLog(folder(rig)).close()
    assert {"log_root", "log_size"} & set(codes(rig))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"unit": "closet-9f"}, "signer_not_trusted"),
        ({"size": 3}, "log_root"),
        ({"size": 5}, "log_size"),
        ({"size": -1}, "bad_head"),
        ({"root": "0" * 64}, "log_root"),
        ({"root": "0"}, "bad_head"),
        ({"at": "yesterday"}, "bad_head"),
        ({"origin": "SHA256:x"}, "bad_head"),
        ({"more": 1}, "bad_head"),
    ],
)
def test_a_head_that_says_something_else(rig: Rig, change: dict[str, object], code: str) -> None:
    sign_head(rig, **change)
    assert code in codes(rig)


def test_a_head_signed_by_a_stranger(rig: Rig) -> None:
    stranger = keys.new_unit_key()
    head = json.loads((folder(rig) / HEAD).read_bytes())
    for origin in (head["origin"], keys.fingerprint(stranger.public_key())):
        data = json.dumps({**head, "origin": origin}, separators=(",", ":")).encode()
        (folder(rig) / HEAD).write_bytes(data)
        (folder(rig) / SIG).write_text(sshsig.sign(data, stranger, "linetap-head"))
        assert codes(rig) == ["bad_head" if origin == head["origin"] else "signer_not_trusted"]


def test_a_signature_of_another_kind_of_message(rig: Rig) -> None:
    (folder(rig) / SIG).write_text(rig.sign((folder(rig) / HEAD).read_bytes()))
    assert codes(rig) == ["signature_namespace"]


def test_a_call_that_is_gone_with_its_folder(rig: Rig) -> None:
    shutil.rmtree(call(rig))
    assert codes(rig) == ["missing_call"]
    destroy(rig)
    assert codes(rig) == []


def destroy(rig: Rig) -> None:
    """Destroys the calls, on the day after their retention."""
    log = UnitLog(rig.vault, UNIT, rig.unit_key, ManualClock(parse_rfc3339("2027-11-25T10:00:00.000Z")))
    log.append("destruction", call_id=CALL_ID)
    log.publish()
    log.close()


def test_a_call_that_was_destroyed_and_came_back(rig: Rig) -> None:
    destroy(rig)
    assert codes(rig) == ["destroyed"]


def test_a_call_that_was_opened_and_left_no_trace(rig: Rig) -> None:
    log = rig.log()
    log.append("open", call_id="20261124T235700.000Z-L04", line=4)
    log.publish()
    assert codes(rig) == ["missing_call"]


def test_a_call_that_the_log_does_not_know(rig: Rig) -> None:
    rig.sealed_call(200, "20261124T230000.000Z-L05")
    assert codes(rig) == ["not_in_log"]


def test_a_call_sealed_a_second_time_by_the_unit_itself(rig: Rig) -> None:
    shutil.rmtree(call(rig))
    rig.sealed_call(200)
    assert codes(rig) == ["other_record"]


def test_a_call_closed_twice(rig: Rig) -> None:
    log = rig.log()
    log._known = RecentlyWritten(0)  # as after more leaves than it caches
    log.close_call(CALL_ID)
    log.publish()
    assert codes(rig) == ["closed_twice"]


def test_a_line_that_is_no_leaf(rig: Rig) -> None:
    for line in (b"hello", b"", b"[1]", b'{"kind":1,"at":"x"}', b'{"kind":"x"}', b"[" * 5000, b"\xff"):
        shutil.rmtree(folder(rig))
        rig.publish()
        with (folder(rig) / LEAVES).open("ab") as file:
            file.write(line + b"\n")
        assert "bad_leaf" in codes(rig)


def test_a_file_of_another_kind_is_not_quoted_line_by_line(rig: Rig) -> None:
    with (folder(rig) / LEAVES).open("ab") as file:
        file.write(b"x\n" * 5000)
    assert codes(rig).count("bad_leaf") == verifylog.MOST_PROBLEMS


def test_the_log_of_another_unit(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Rig.make(tmp_path / "other")
    other.publish()
    with rig.signers_file.open("a") as file:
        file.write(f"{UNIT} {keys.public_line(other.unit_key.public_key())}\n")
    shutil.rmtree(folder(rig))
    shutil.copytree(folder(other), folder(rig))
    assert codes(rig) == ["not_in_log", "not_in_log"]
    sign_head(other, unit="closet-9f")


# --- the witness ----------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(rig: Rig) -> Path:
    """A folder with a witness's key, named in the signers' file."""
    path = rig.root / "desk"
    (path / "heads").mkdir(parents=True)
    key = keys.new_unit_key()
    (path / "witness.key").write_bytes(keys.unit_key_file(key))
    with rig.signers_file.open("a") as file:
        file.write(f"witness {keys.public_line(key.public_key())}\n")
    return path


def witness(rig: Rig, desk: Path, *logs: Path) -> int:
    command = ["witness", "--state", desk / "seen.json", "--key", desk / "witness.key", "--signers", rig.signers_file]
    return main([*map(str, command), "-o", str(desk / "heads"), "--log", *map(str, logs or [folder(rig)])])


def test_a_log_that_grows_is_cosigned(rig: Rig, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert witness(rig, desk) == 0
    assert "closet-3f, 4 leaves, cosigned" in capsys.readouterr().out
    for number in range(3):
        add_call(rig, f"20261124T23000{number}.000Z-L01")
        assert witness(rig, desk, folder(rig) / HEAD) == 0
        assert codes(rig, desk / "heads" / f"{UNIT}.json") == []
    add_call(rig, "20261124T230009.000Z-L01")
    assert codes(rig, desk / "heads" / f"{UNIT}.json") == []  # the log may be ahead of its witness
    assert witness(rig, desk) == witness(rig, desk) == 0


def test_stock_ssh_keygen_checks_both_signatures(rig: Rig, desk: Path) -> None:
    witness(rig, desk)
    cosigned = desk / "heads" / f"{UNIT}.json"
    for who, suffix in ((UNIT, ".sig"), ("witness", ".witness.sig")):
        command = ["ssh-keygen", "-Y", "verify", "-f", str(rig.signers_file), "-I", who, "-n", "linetap-head"]
        assert run([*command, "-s", f"{cosigned}{suffix}"], stdin=cosigned.read_bytes()).returncode == 0


def rolled_back(rig: Rig) -> None:
    """Signed with the unit's own key, without the last call."""
    shutil.rmtree(call(rig, SECOND))
    shutil.rmtree(folder(rig))
    rig.publish()
    add_call(rig, "20261124T224000.000Z-L01")
    shutil.rmtree(call(rig, "20261124T224000.000Z-L01"))
    shutil.rmtree(folder(rig))
    rig.publish()


def forked(rig: Rig) -> None:
    """Signed with the unit's own key, with the same number of leaves, and one call replaced by another."""
    shutil.rmtree(folder(rig))
    shutil.rmtree(call(rig, SECOND))
    log = rig.log()
    log.append("open", call_id=CALL_ID, line=3)
    log.close_call(CALL_ID)
    log.close()
    add_call(rig, "20261124T225701.000Z-L04")


def rewritten(rig: Rig) -> None:
    """A log that grew, but does not continue the witnessed one."""
    forked(rig)
    add_call(rig, "20261124T230000.000Z-L05")


@pytest.mark.parametrize(
    ("change", "refused", "found"),
    [(rolled_back, "rollback", "rolled_back"), (forked, "fork", "forked"), (rewritten, "fork", "forked")],
)
def test_only_the_witness_knows_what_the_unit_itself_has_changed(
    rig: Rig, desk: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Rig], None], refused: str, found: str
) -> None:
    witness(rig, desk)
    before = (desk / "seen.json").read_bytes()
    capsys.readouterr()
    change(rig)
    assert codes(rig) == []
    assert codes(rig, desk / "heads" / f"{UNIT}.json") == [found]
    assert witness(rig, desk) == 1
    out = capsys.readouterr().out
    assert out.startswith("BAD  ")
    assert out.endswith(f"[{refused}]\n")
    assert out.count("\n") == 1
    assert (desk / "seen.json").read_bytes() == before


def test_a_cosigned_head_matters_in_every_byte(rig: Rig, desk: Path) -> None:
    witness(rig, desk)
    cosigned = desk / "heads" / f"{UNIT}.json"
    for file in sorted(cosigned.parent.iterdir()):
        good = file.read_bytes()
        for at in range(0, len(good), 3):
            file.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
            assert codes(rig, cosigned), f"byte {at} of {file.name}"
        file.unlink()
        assert codes(rig, cosigned) == ["file_unreadable"]
        file.write_bytes(good)
    assert codes(rig, cosigned) == []


def test_a_unit_is_no_witness(rig: Rig, desk: Path) -> None:
    witness(rig, desk)
    cosigned = desk / "heads" / f"{UNIT}.json"
    shutil.copy(f"{cosigned}.sig", f"{cosigned}.witness.sig")
    assert codes(rig, cosigned) == ["signer_is_unit"]


def test_the_witnessed_head_of_another_unit(rig: Rig, desk: Path) -> None:
    witness(rig, desk)
    (desk / "other").mkdir()
    other = Rig.make(desk / "other")
    shutil.rmtree(other.vault)
    shutil.copytree(rig.vault, other.vault)
    with rig.signers_file.open("a") as file:
        file.write(f"closet-9f {keys.public_line(rig.unit_key.public_key())}\n")
    sign_head(rig, unit="closet-9f")
    assert "witness_unit" in codes(rig, desk / "heads" / f"{UNIT}.json")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rig: (folder(rig) / TREE).unlink(), "no_proof"),
        (lambda rig: (folder(rig) / TREE).write_bytes(b"x"), "no_proof"),
        (lambda rig: (folder(rig) / TREE).write_bytes(bytes(32 * 100)), "fork"),
        (lambda rig: (folder(rig) / SIG).unlink(), "file_unreadable"),
        (lambda rig: rig.signers_file.write_text(""), "signer_not_trusted"),
    ],
)
def test_no_proof_no_cosignature(
    rig: Rig, desk: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Rig], object], code: str
) -> None:
    assert witness(rig, desk) == 0
    add_call(rig, "20261124T230000.000Z-L05")
    capsys.readouterr()
    change(rig)
    assert witness(rig, desk) == 1
    assert f"[{code}]" in capsys.readouterr().out


def test_one_bad_log_does_not_keep_the_others_from_the_witness(rig: Rig, desk: Path) -> None:
    (desk / "nothing").mkdir()
    assert witness(rig, desk, desk / "nothing", folder(rig)) == 1
    assert unitlog.decode_head((desk / "heads" / f"{UNIT}.json").read_bytes()).at == NOW


@pytest.mark.parametrize("name", ["witness.key", "seen.json"])
def test_files_of_the_witness_that_cannot_be_used(
    rig: Rig, desk: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (desk / name).write_text("hello")
    assert witness(rig, desk) == 2
    err = capsys.readouterr().err
    assert name in err
    assert err.count("\n") == 1


def test_a_witness_is_asked_about_a_vault(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(call(rig)), "--signers", str(rig.signers_file), "--witness", "x"]) == 2
    assert "--witness" in capsys.readouterr().err


def test_a_segment_of_many_leaves_is_not_copied_with_each() -> None:
    """A compromised unit may log one segment a million times: the time would grow with the square."""
    named, name = LogClaims(), "2027-01-24/2026-11-24-001.age"
    seen = set[int]()
    for number in range(100):
        named.check_leaf(Leaf(kind="index", at=NOW, file=name, sha256=f"{number:064x}", call_id=f"call {number}"))
        seen |= {id(named.segments[name].earlier_sha256s), id(named.segments[name].calls)}
    assert len(seen) == 2
    assert len(named.segments[name].calls) == 100
    assert all(named.segments[name].may_have(f"{number:064x}") for number in range(100))
