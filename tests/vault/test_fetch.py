# SPDX-License-Identifier: Apache-2.0
"""`fetch`: the files of a vault that a desk may request, and the note that it has all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeping_rig import Keeper
from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core.clock import compact
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.fetch import MOST_BYTES
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys.keys import new_unit_key
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Keeper:
    unit = Keeper(tmp_path, run_dir)
    unit.upkeep.time.tick()
    unit.take_roles()
    return unit


@pytest.fixture
def call(unit: Keeper) -> CallRecord:
    return unit.call(samples=200_000)


def window(unit: Keeper, call_id: str, **more: Any) -> bytes:
    body = {"call_id": call_id, "file": "audio.001.age", "from": "0", "most": "1000"}
    by = {name: more.pop(name) for name in ("by", "role") if name in more}
    role = by.pop("role", "desk")
    return unit.envelope("fetch", role, {name: text for name, text in (body | more).items() if text is not None}, **by)


def copied(unit: Keeper, record: CallRecord, sha256: str | None = None) -> bytes:
    digest = sha256 or hashlib.sha256(sealed.public_json(record)).hexdigest()
    return unit.envelope("fetch", "desk", {"call_id": record.call_id, "copied": digest})


@pytest.mark.parametrize("name", ["record.json", "record.json.sig", "key.age", "meta.age", "audio.001.age"])
def test_every_file_of_a_sealed_call_may_be_asked_for(unit: Keeper, call: CallRecord, name: str) -> None:
    size = unit.log.size
    answer = unit.command(window(unit, call.call_id, file=name, **{"from": "100"}))
    assert answer.done
    assert answer.granted == {"call_id": call.call_id, "file": name, "from": "100", "most": "1000"}
    assert unit.log.size == size, "a window leaves no leaf"


def test_only_a_desk_of_this_unit_may(unit: Keeper, call: CallRecord) -> None:
    for by in ("vault", "operator", "stranger"):
        assert unit.command(window(unit, call.call_id, by=by)).code == "command_signer"
    assert unit.command(window(unit, call.call_id, role="vault")).code == "command_role"
    data = {"call_id": call.call_id, "file": "key.age", "from": "0", "most": "1"}
    answer = unit.command(unit.envelope("fetch", "desk", data, unit="floor-04"))
    assert (answer.code, answer.granted) == ("command_other_unit", None)


@pytest.mark.parametrize(
    "more",
    [{"file": name} for name in ("../record.json", "/etc/passwd", "unit.key", ".", "", "audio.1.age", "record.json\n",
                                 "key.age.new", "audio.001.age/", "audio.٠٠١.age")]
    + [{"call_id": name} for name in ("..", "", "20261124T225600.123Z-L03/..", "20269924T225600.123Z-L03")]
    + [{"from": text} for text in ("-1", "1e3", "", "01", "9" * 13, " 1")]
    + [{"most": text} for text in ("0", "-1", str(MOST_BYTES + 1), "")]
    + [{"most": None}, {"further": "x"}, {"copied": "ab" * 32}],
)  # fmt: skip
def test_what_is_no_window_is_refused(unit: Keeper, call: CallRecord, more: dict[str, str]) -> None:
    answer = unit.command(window(unit, **{"call_id": call.call_id, **more}))
    assert answer.code in ("command_malformed", "bad_input"), answer
    assert answer.granted is None


def test_what_is_not_there_is_refused(unit: Keeper, call: CallRecord) -> None:
    size = (unit.folder(call.call_id) / "audio.001.age").stat().st_size
    assert unit.command(window(unit, call.call_id, **{"from": str(size - 1)})).done
    assert unit.command(window(unit, call.call_id, **{"from": str(size)})).code == "fetch_no_file"
    assert unit.command(window(unit, call.call_id, file="audio.002.age")).code == "fetch_no_file"
    assert unit.command(window(unit, f"{compact(unit.clock.utc_ns())}-L02")).code == "fetch_no_call"


def test_a_call_that_is_still_written_is_not_given(unit: Keeper) -> None:
    keys = unit.config.keys
    call_id = f"{compact(unit.clock.utc_ns())}-L01"
    folder = CallFolder.create(unit.vault, OfCall(unit.config.unit, call_id), keys.overflow_epoch, keys.custodians)
    folder.write(bytes(100_000))
    assert unit.command(window(unit, call_id)).code == "fetch_no_call"


def test_a_call_whose_record_is_not_signed_yet_is_not_given(unit: Keeper, call: CallRecord) -> None:
    (unit.folder(call.call_id) / "record.json.sig").unlink()
    assert unit.command(window(unit, call.call_id)).code == "fetch_no_call"
    assert unit.command(copied(unit, call)).code == "fetch_no_call"


def test_a_link_in_the_vault_leads_nowhere(unit: Keeper, call: CallRecord) -> None:
    place = unit.folder(call.call_id) / "audio.001.age"
    place.unlink()
    place.symlink_to(Path(unit.config.key))
    assert unit.command(window(unit, call.call_id)).code == "fetch_no_file"


class TestCopied:
    def test_a_copy_stands_in_the_log_and_is_reported(self, unit: Keeper, call: CallRecord) -> None:
        assert unit.command(copied(unit, call)).done
        assert unit.command(copied(unit, call)).done, "the desk may not have heard the answer"
        digest = hashlib.sha256(sealed.public_json(call)).hexdigest()
        leaves = [(leaf["call_id"], leaf["record_sha256"]) for leaf in unit.leaves("copy")]
        assert leaves == [(call.call_id, digest)]
        told = [json.loads(data) for _, data, _ in OutboxReader(unit.vault / "outbox").from_seq(1, 100)]
        assert {(event["event"], event["record_sha256"], event["line"]) for event in told} == {("copied", digest, 1)}

    def test_a_copy_of_something_else_is_none(self, unit: Keeper, call: CallRecord) -> None:
        assert unit.command(copied(unit, call, "ab" * 32)).code == "fetch_record"
        assert unit.command(copied(unit, call, "AB" * 32)).code == "command_malformed"
        assert not unit.leaves("copy")
        assert not unit.events("copied")

    def test_nothing_is_given_of_a_call_that_is_destroyed(self, unit: Keeper, call: CallRecord) -> None:
        unit.passes(61)
        assert unit.destroyed() == [call.call_id]
        assert unit.command(window(unit, call.call_id)).code == "fetch_no_call"
        assert unit.command(copied(unit, call)).code == "fetch_no_call"


class TestClose:
    def ask(self, unit: Keeper, call_id: str, sha256: str = "ab" * 32) -> Answer:
        return unit.command(unit.envelope("fetch", "desk", {"call_id": call_id, "close": sha256}))

    def test_it_is_in_the_answer_and_proves_the_call(self, unit: Keeper, call: CallRecord) -> None:
        size, digest = unit.log.size, hashlib.sha256(sealed.public_json(call)).hexdigest()
        answer = self.ask(unit, call.call_id, digest)
        assert answer.done
        assert answer.closing is not None
        head = closing.check(answer.closing, unit.config.unit, call.call_id, digest, None)
        assert head.size == unit.log.size == size, "asking leaves no leaf"

    def test_another_record_than_its_own(self, unit: Keeper, call: CallRecord) -> None:
        answer = self.ask(unit, call.call_id)
        assert (answer.code, answer.closing) == ("fetch_record", None)
        assert self.ask(unit, call.call_id, "AB" * 32).code == "command_malformed"

    def test_a_call_that_the_log_does_not_have(self, unit: Keeper, call: CallRecord) -> None:
        unit.log.publish()
        keys = unit.config.keys
        call_id = f"{compact(unit.clock.utc_ns())}-L02"
        record = msgspec.structs.replace(call, call_id=call_id, files={}, audio=None)
        folder = CallFolder.create(unit.vault, OfCall(unit.config.unit, call_id), keys.overflow_epoch, keys.custodians)
        record = folder.seal(record, lambda data: sshsig.sign(data, new_unit_key(), namespaces.RECORD))
        digest = hashlib.sha256(sealed.public_json(record)).hexdigest()
        assert self.ask(unit, call_id, digest).code == "fetch_not_logged"

    def test_a_log_whose_hashes_are_gone(self, unit: Keeper, call: CallRecord) -> None:
        digest = hashlib.sha256(sealed.public_json(call)).hexdigest()
        (unit.vault / "log" / "tree.bin").write_bytes(b"")
        assert self.ask(unit, call.call_id, digest).code == "fetch_not_logged"

    def test_nothing_of_a_call_that_is_destroyed(self, unit: Keeper, call: CallRecord) -> None:
        unit.passes(61)
        digest = hashlib.sha256(sealed.public_json(call)).hexdigest()
        assert self.ask(unit, call.call_id, digest).code == "fetch_no_call"
