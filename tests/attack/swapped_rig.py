# SPDX-License-Identifier: Apache-2.0
"""A folder that names call A and contains call B's key, as several people may forge it, and `unwrap`'s answer to it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap.recorder.vault.log.log import UnitLog
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_core.errors import LinetapError
from linetap_core.evidence.authorization.release import NamedCall, Request
from linetap_core.evidence.calls import hold as holds
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import document, namespaces, sshsig
from release_rig import HAN, ID, KIM, PARK, Desk
from sealing_rig import CALL_ID, NOW, UNIT, run


def forged(desk: Desk, key: Ed25519PrivateKey, unit: str = UNIT) -> Path:
    """A folder that names call A of `unit`, signed by `key`, with call B's key.age."""
    folder = desk.root / "forged" / CALL_ID
    shutil.copytree(desk.call, folder)
    shutil.copy(desk.other / sealed.KEY, folder / sealed.KEY)
    record = sealed.decode_record((folder / sealed.RECORD).read_bytes())
    record.unit, record.inner_sha256 = unit, msgspec.UNSET
    record.files[sealed.KEY] = hashlib.sha256((folder / sealed.KEY).read_bytes()).hexdigest()
    data = sealed.public_json(record)
    (folder / sealed.RECORD).write_bytes(data)
    (folder / sealed.SIGNATURE).write_text(sshsig.sign(data, key, namespaces.RECORD))
    return folder


def approved(desk: Desk, call: Path, request_id: str = ID) -> Path:
    """A handmade request, approved by two people with ssh-keygen who have not looked at the call."""
    record = sealed.decode_record((call / sealed.RECORD).read_bytes())
    digest = hashlib.sha256((call / sealed.RECORD).read_bytes()).hexdigest()
    now_ns = desk.clock.utc_ns()
    request = Request(
        id=request_id, calls=[NamedCall(record.call_id, record.line, digest)], purpose="dispute", case="2026-117",
        requester="Jung", recipient=desk.requester.recipient, one_time=desk.one_time_key(request_id),
        created=rfc3339(now_ns), expires=rfc3339(now_ns + 3600 * NS_PER_S),
    )  # fmt: skip
    path = desk.root / f"{request_id}.json"
    path.write_bytes(document.encode(request))
    for who, role in ((KIM, "privacy"), (PARK, "legal")):
        desk.stock_sign(path, who, path.with_name(f"{path.name}.{role}.sig"))
    return path


def refused(desk: Desk, call: Path, request: Path, *more: object, identity: Path | None = None) -> str:
    """Asserts that `unwrap` writes nothing, states the reason in one line with a code, and logs the access; returns the
    line.
    """
    with pytest.raises(LinetapError) as caught:
        desk.unwrap(call, request, "inner.age", identity, *more)
    assert not (desk.root / "inner.age").exists(), opens(desk, desk.other)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(f"[{caught.value.code}]")
    assert (desk.log()[-1].outcome, desk.log()[-1].code) == ("refused", caught.value.code)
    return str(caught.value)


def opens(desk: Desk, call: Path) -> bool:
    """Whether stock age opens the call's audio from unwrap's output, with the one-time key and a custodian's."""
    inner, key = desk.root / "inner.age", desk.root / "k"
    recipe = f"age -d -i {desk.one_time_file()} {inner} | age -d -i {desk.rig.custodian_files[0]} > {key}"
    done = run(["sh", "-c", f"{recipe} && age -d -i {key} {call}/audio.001.age > {desk.root}/heard"])
    return done.returncode == 0 and (desk.root / "heard").stat().st_size > 3000


def trusted(desk: Desk, name: str, key: Ed25519PrivateKey, options: str = "") -> None:
    """Adds another signer to the published file."""
    with (desk.folder / "allowed_signers").open("a") as file:
        file.write(f"{name} {options}{keys.public_line(key.public_key())}\n")


def closed(desk: Desk, folder: Path, key: Ed25519PrivateKey, unit: str, clock: str = NOW) -> Path:
    """The closing of `folder` in a log signed with this key."""
    vault = desk.root / "their-vault"
    shutil.copytree(folder, vault / sealed.call_path(folder.name))
    log = UnitLog(vault, unit, key, ManualClock(parse_rfc3339(clock)))
    log.publish()
    found = log.closing(folder.name)
    log.close()
    assert found is not None
    path = desk.root / f"{folder.name}.json"
    path.write_bytes(closing.encode(found))
    return path


def wrapped(desk: Desk, call: Path, said_to_be: Path, to: str, rewrap: bool = False) -> Path:
    """The key of `call` in a document for `said_to_be`, made by the officer alone with stock age and ssh-keygen."""
    folder = desk.root / "holds" / said_to_be.name
    folder.mkdir(parents=True)
    inner = run(["age", "-d", "-i", str(desk.rig.epoch_file), str(call / sealed.KEY)]).stdout
    (folder / sealed.KEY).write_bytes(age.encrypt(inner, [to]))
    fields = {
        "call_id": said_to_be.name, "unit": UNIT, "from_epoch": "2027-11-24", "to": to, "made_at": NOW,
        "record_sha256": hashlib.sha256((said_to_be / sealed.RECORD).read_bytes()).hexdigest(),
        "key_sha256": hashlib.sha256((folder / sealed.KEY).read_bytes()).hexdigest(),
        "until": "2099-01-01T00:00:00.000Z",
    }  # fmt: skip
    document = holds.Rewrap(epoch="2099-01-01", **fields) if rewrap else holds.Hold(case="1", basis="law", **fields)
    path = folder / (holds.REWRAP if rewrap else holds.HOLD)
    path.write_bytes(holds.encode(document))
    desk.stock_sign(path, HAN, path.with_name(f"{path.name}.sig"), "linetap-hold")
    return folder


def hold_key(desk: Desk) -> tuple[Path, str]:
    identity = keys.new_identity()
    path = desk.root / "hold.txt"
    path.write_text(keys.identity_file(identity, NOW))
    return path, identity.recipient
