# SPDX-License-Identifier: Apache-2.0
"""The access log: written before the act, and not to be shortened or changed unnoticed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sealing_rig
from linetap_core import cli
from linetap_core.clock import SYSTEM
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.evidence.signing import sshsig
from linetap_desk.accesslog import command
from linetap_desk.accesslog.access import AccessFault, AccessLog, Entry
from linetap_desk.ceremony import hold
from release_rig import ID, KIM, PARK, Desk
from sealing_rig import CALL_ID, TIMEOUT_S
from unreadable import Unreadable


@pytest.fixture
def log(desk: Desk) -> Path:
    """The log of a desk with a request, its approvals and the opened call."""
    desk.unwrap(desk.call, desk.approved(desk.call))
    return desk.folder / "access"


def keep(log: Path, name: str = "kept") -> Path:
    """Keeps the head elsewhere, as a witness does."""
    folder = log.parent.parent / name
    folder.mkdir()
    for file in ("head.json", "head.json.sig"):
        shutil.copy(log / file, folder)
    return folder / "head.json"


def put_back(kept: Path, log: Path) -> None:
    for file in ("head.json", "head.json.sig"):
        shutil.copy(kept.with_name(file), log)


def fault(desk: Desk, *words: object) -> str:
    with pytest.raises(Refusal) as caught:
        desk.access("verify", *words)
    assert "\n" not in str(caught.value)
    return caught.value.code


def test_a_whole_log(desk: Desk, log: Path) -> None:
    kept = keep(log)
    assert desk.access("verify") == (
        1,
        "?    6 entries, consistent; a log cut back together with its head would not be seen: --head\n",
    )
    desk.release("close", ID, "--key", desk.one_time_file())
    assert desk.access("verify", "--head", kept) == (0, "ok   7 entries, signed, and they continue 1 kept head(s)\n")


def test_hashes_that_the_medium_has_lost_are_made_again(desk: Desk, log: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, log / TREE)
        desk.release("close", ID, "--key", desk.one_time_file())
    assert desk.access("verify")[1].startswith("?    7 entries, consistent")
    assert (log / f"{TREE}.broken-1").exists()


def test_cut_back_together_with_its_head(desk: Desk, log: Path) -> None:
    early = keep(log, "early")
    with pytest.raises(Refusal):
        desk.unwrap(desk.call, None)
    kept = keep(log)
    leaves = (log / "leaves.jsonl").read_bytes().splitlines(keepends=True)
    (log / "leaves.jsonl").write_bytes(b"".join(leaves[:-1]))
    (log / "tree.bin").unlink()
    assert fault(desk) == "access_log_shortened"
    put_back(early, log)
    assert desk.access("verify")[0] == 1  # undetectable without a kept head
    assert desk.access("verify", "--head", early)[0] == 0
    assert fault(desk, "--head", early, "--head", kept) == "access_log_shortened"
    desk.clock.advance(1_000_000)
    with pytest.raises(Refusal):
        desk.unwrap(desk.call, None)  # grown again, with another entry in place of the old
    assert fault(desk, "--head", kept) == "access_log_rewritten"


def _changed(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"2026-117", b"2026-118") for line in lines]


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[3], lines[2], *lines[4:]]


def _added(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[-1]]


def _left_out(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], *lines[3:]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_changed, "access_log_rewritten"),
        (_swapped, "access_log_rewritten"),
        (_added, "access_log_added"),
        (_left_out, "access_log_shortened"),
    ],
)
def test_changed_leaves(desk: Desk, log: Path, change: Callable[[list[bytes]], list[bytes]], code: str) -> None:
    lines = (log / "leaves.jsonl").read_bytes().splitlines(keepends=True)
    (log / "leaves.jsonl").write_bytes(b"".join(change(lines)))
    assert fault(desk) == code


def test_no_byte_of_a_leaf_counts_for_nothing(desk: Desk, log: Path) -> None:
    data = (log / "leaves.jsonl").read_bytes()
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 1
        (log / "leaves.jsonl").write_bytes(changed)
        assert fault(desk).startswith("access_log_")


def test_nothing_is_opened_while_the_log_is_short(desk: Desk, log: Path) -> None:
    """Removing the last entries does not make a request unused."""
    request = desk.root / f"{ID}.json"
    lines = (log / "leaves.jsonl").read_bytes().splitlines(keepends=True)
    (log / "leaves.jsonl").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(AccessFault, match="had 6 entries"):
        desk.unwrap(desk.call, request, "again.age")
    shutil.rmtree(log)
    with pytest.raises(NotReleased, match=r"roles|request"):
        desk.unwrap(desk.call, None)


def test_head_of_a_stranger(desk: Desk, log: Path) -> None:
    stranger = keys.new_unit_key()
    data = (log / "head.json").read_bytes()
    (log / "head.json.sig").write_text(sshsig.sign(data, stranger, "linetap-head"))
    assert fault(desk) == "access_log_signer"
    (log / "head.json.sig").write_text(sshsig.sign(b"other", stranger, "linetap-head"))
    assert fault(desk) == "signature_does_not_fit"


def test_ssh_keygen_verifies_the_head(desk: Desk, log: Path) -> None:
    signers = desk.root / "access_signers"
    line = (desk.folder / "access.pub").read_text()
    name = line.split()[2]
    signers.write_text(f"{name} {line}")
    words = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", name, "-n", "linetap-head", "-s"]
    done = sealing_rig.run([*words, str(log / "head.json.sig")], stdin=(log / "head.json").read_bytes())
    assert done.returncode == 0, done.stderr


def test_the_witness_of_units_is_its_witness_too(desk: Desk, log: Path) -> None:
    line, heads = (desk.folder / "access.pub").read_text(), desk.root / "heads"
    (desk.root / "access_signers").write_text(f"{line.split()[2]} {line}")
    heads.mkdir()
    words = ["--log", log, "--state", desk.root / "seen.json", "--key", desk.root / "stranger"]
    words += ["--signers", desk.root / "access_signers", "-o", heads]
    assert cli.main(["witness", *map(str, words)]) == 0
    early = keep(log)
    with pytest.raises(Refusal):
        desk.unwrap(desk.call, None)
    assert cli.main(["witness", *map(str, words)]) == 0
    (kept,) = heads.glob("*.json")
    assert desk.access("verify", "--head", kept)[0] == 0
    put_back(early, log)
    assert cli.main(["witness", *map(str, words)]) == 1


def test_a_crash_between_leaf_and_head_is_made_good(desk: Desk, log: Path) -> None:
    before = keep(log)
    with pytest.raises(Refusal):
        desk.unwrap(desk.call, None)
    put_back(before, log)
    assert fault(desk) == "access_log_added"
    with pytest.raises(Refusal):
        desk.unwrap(desk.call, None)
    assert desk.access("verify", "--head", before)[0] == 0


@pytest.mark.parametrize("rest", [b'{"verb":"open","at":"2026-1', bytes(300), b'\0\0\0","at":"2026"}\n'])
def test_what_a_power_cut_left_of_a_leaf_refuses_no_later_step(desk: Desk, log: Path, rest: bytes) -> None:
    kept = keep(log)
    whole = (log / "leaves.jsonl").read_bytes()
    (log / "leaves.jsonl").write_bytes(whole + rest)
    if not rest.endswith(b"\n"):
        assert desk.access("verify", "--head", kept)[0] == 0
    desk.release("close", ID, "--key", desk.one_time_file())
    assert desk.access("verify", "--head", kept) == (0, "ok   7 entries, signed, and they continue 1 kept head(s)\n")
    assert (log / "leaves.jsonl").read_bytes().startswith(whole)


def test_no_leaf_under_the_head_is_cut_off(desk: Desk, log: Path) -> None:
    """Without tree.bin a damaged leaf could be taken for one that was never finished."""
    whole = (log / "leaves.jsonl").read_bytes()
    changed = whole.replace(b'{"verb"', b'\0"verb"', 3)
    (log / "leaves.jsonl").write_bytes(changed)
    (log / "tree.bin").unlink()
    with pytest.raises(AccessFault):
        desk.release("close", ID, "--key", desk.one_time_file())
    assert (log / "leaves.jsonl").read_bytes() == changed


def test_written_before_it_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares the log's content on disk at the moment when `age` is started."""
    request = desk.approved(desk.call)
    seen, folder = desk.root / "seen", desk.root / "bin"
    folder.mkdir()
    age = shutil.which("age")
    (folder / "age").write_text(f'#!/bin/sh\ncp {desk.folder}/access/leaves.jsonl {seen}\nexec {age} "$@"\n')
    (folder / "age").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    desk.unwrap(desk.call, request)
    last = json.loads(seen.read_bytes().splitlines()[-1])
    assert (last["verb"], last["outcome"], last["calls"]) == ("unwrap", "granted", [CALL_ID])


def test_who_when_from_where_whose_what(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    monkeypatch.setenv("SUDO_USER", "han")
    request = desk.approved(desk.call, desk.other)
    desk.unwrap(desk.call, request)
    entry = json.loads(desk.access("show", "--json", "--call", CALL_ID)[1].splitlines()[-1])
    assert entry["at"] == "2026-01-05T09:00:01.000Z"
    assert entry["user"].startswith("han as ")
    assert (entry["host"], entry["from"]) == (socket.gethostname(), "192.0.2.7")
    assert (entry["calls"], entry["lines"]) == ([CALL_ID], [3])
    assert (entry["request"], entry["purpose"], entry["case"]) == (ID, "dispute", "2026-117")
    assert (entry["requester"], entry["approvers"]) == ("Jung", sorted([KIM, PARK]))
    asked = json.loads(desk.access("show", "--json", "--call", desk.other.name)[1].splitlines()[0])
    assert (asked["verb"], asked["name"], asked["calls"]) == ("request", "Jung", [CALL_ID, desk.other.name])
    text = desk.access("show", "--request", ID)[1]
    assert f"from 192.0.2.7\tunwrap\tgranted\t{CALL_ID}\trequest={ID}" in text
    assert len(text.splitlines()) == 5


def test_two_at_once_get_it_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.clock.step_utc(SYSTEM.utc_ns() - desk.clock.utc_ns())
    request = desk.approved(desk.call)
    monkeypatch.setenv("LINETAP_DESK", str(desk.folder))
    words = [sys.executable, "-m", "linetap", "unwrap", str(desk.call), "--identity", str(desk.rig.epoch_file)]
    words += ["--request", str(request), "-o"]
    both = [
        subprocess.Popen([*words, str(desk.root / f"{n}.age")], stderr=subprocess.PIPE, text=True) for n in range(2)
    ]
    ends = [(each.communicate(timeout=TIMEOUT_S)[1], each.returncode) for each in both]
    assert sorted(status for _, status in ends) == [0, 1], ends
    assert any("[request_used]" in said for said, _ in ends)
    assert len(list(desk.root.glob("?.age"))) == 1


def test_nobody_stays_out_of_the_log_by_a_long_name(desk: Desk) -> None:
    names = ["\N{MUSICAL SYMBOL G CLEF}" * 4000, "\n" * 4000, "\udcff"]
    for name in names:
        with pytest.raises(BadInput, match="absent: No such file"):
            desk.release("approve", desk.root / "absent", "--key", "x", "--name", name)
    assert [entry.name for entry in desk.log()[1:]] == [*(name[:160] for name in names[:2]), "\\udcff"]
    assert len(desk.access("show")[1].splitlines()) == 4


def test_a_log_that_somebody_holds(desk: Desk) -> None:
    with (desk.folder / "access" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AccessFault, match="access_log_busy"):
            desk.one_time_key()


def test_a_disk_that_is_full_stops_the_deed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    request = desk.approved(desk.call)

    def full(_log: AccessLog, _entry: Entry) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AccessLog, "append", full)
    with pytest.raises(OSError, match="No space"):
        desk.unwrap(desk.call, request)
    assert not (desk.root / "inner.age").exists()


def test_what_cannot_be_shown(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a desk's folder"):
        desk.run(command, "show", "--desk", tmp_path)
    (desk.folder / "access" / "leaves.jsonl").write_bytes(b"[]\n")
    with pytest.raises(AccessFault, match="line 1"):
        desk.access("show")


def test_a_hold_takes_the_epochs_layer_off_and_is_logged_before_it_does(desk: Desk) -> None:
    to = keys.new_identity().recipient
    hold_words = ["--to", to, "--case", "2026-117", "--basis", "law", "--until", "2099-06-30", "--desk", desk.folder]
    stranger = desk.root / "stranger.txt"
    stranger.write_text(keys.identity_file(keys.new_identity(), "now"))
    for name, identity in (("failed", stranger), ("held", desk.rig.epoch_file)):
        words = ["wrap", desk.call, "--identity", identity, *hold_words, "-o", desk.root / name]
        with contextlib.suppress(Refusal):
            desk.run(hold, *words)
    assert [step[:2] for step in desk.steps()[-3:]] == [("hold", "granted"), ("hold", "failed"), ("hold", "granted")]
    entry = desk.log()[-1]
    assert (entry.case, entry.calls, entry.lines, entry.recipient) == ("2026-117", [CALL_ID], [3], to)
