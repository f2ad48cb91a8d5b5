# SPDX-License-Identifier: Apache-2.0
"""The holder of the release key makes a version for one unit alone, and signs it like every other.

A unit that requires the log of versions refuses it on both ways, and writes nothing to a slot. Proofs are made by the
desk's command.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from https_server import HOST, Answer, Server
from linetap.config.schema import Update
from linetap.update import command, judge, state, stick
from linetap.update.install import Install
from linetap.update.rauc import Info, Rauc
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core.evidence.keys import keys
from linetap_core.evidence.witness import checkpoint, note, tlogproof
from linetap_core.evidence.witness.note import Note
from linetap_core.evidence.witness.tlogproof import Proof
from linetap_core.versions import entry, payload
from linetap_core.wire.mqtt import Broker
from pki_rig import Pki
from slots_rig import Signer, skip_reason
from update_rig import FakeMachine, Rig
from versions_rig import VersionLog, bundle, rauc, version_log

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


@dataclass
class City:
    """`old`, `good` and `new` are published; `secret` is also signed as version 0.2.0 with the same key."""

    log: VersionLog
    strangers: VersionLog
    pki: Pki
    rauc: Rauc
    signer: Signer
    bundles: dict[str, Path]
    proofs: dict[str, bytes]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    root = tmp_path_factory.mktemp("city")
    pki = Pki(root / "pki")
    pki.unit("floor-03")
    pki.host(HOST, name="updates")
    signer = Signer.new(root, "release")
    made = {
        name: bundle(root / name, version, signer)
        for name, version in (("old", "0.1.9"), ("good", "0.2.0"), ("new", "0.3.0"), ("secret", "0.2.0"))
    }
    with version_log(root / "log") as log, version_log(root / "strangers") as strangers:
        proofs = {name: log.proof(made[name]) for name in ("old", "good", "new")}
        proofs["strangers"] = strangers.proof(made["secret"])
        yield City(log, strangers, pki, rauc(root, signer), signer, made, proofs)


class RaucMachine(FakeMachine):
    """Stock RAUC reports a bundle's content."""

    def __init__(self, looks: Rauc) -> None:
        super().__init__()
        self.looks = looks

    def info(self, bundle: Path) -> Info:
        self._called("info")
        return self.looks.info(bundle)


class Unit(Rig):
    """A unit with the whole of `linetap update`, except the slots and the reboot."""

    def __init__(self, run_dir: Path, city: City, server: Server) -> None:
        super().__init__(run_dir)
        pair = city.pki.root / "floor-03-0.pem", city.pki.root / "floor-03-0.key"
        self.config = msgspec.structs.replace(
            self.config,
            update=Update(log_policy=city.log.policy),
            broker=Broker(ca=str(city.pki.ca), certificate=str(pair[0]), key=str(pair[1])),
        )
        self.machine = RaucMachine(city.rauc)
        self.server, self.top = server, run_dir / "stick"
        self.top.mkdir()

    def update(self, way: str, made: Path, proof: bytes | None, version: str = "0.2.0") -> None:
        """Updates by the operator's command, or by a stick; `proof` None: without a proof."""
        data = made.read_bytes()
        if way == "stick":
            on_stick = self.top / f"linetap-{version}.raucb"
            on_stick.write_bytes(data)
            if proof is not None:
                entry.proof_path(on_stick).write_bytes(proof)
            stick.accept(self.top, self.config, self.machine)
        else:
            self.server.bundle = data
            self.server.answers = [Answer(status=404)] if proof is None else []
            self.server.beside = {} if proof is None else {tlogproof.SUFFIX: proof}
            url = f"https://{HOST}:{self.server.port}/linetap/linetap-{version}.raucb?floor=3"
            sha256 = hashlib.sha256(data).hexdigest()
            self.want(UpdateRequest(version=version, sha256=sha256, size=len(data), url=url))
        Install(
            self.config,
            self.machine,
            command.fetcher(self.config),
            lambda: self.critical_findings(self.clock.seconds),
            self.clock,
        ).run()


@pytest.fixture
def unit(run_dir: Path, city: City, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unit]:
    (run_dir / "release").write_text("VERSION=0.1.0\n")
    monkeypatch.setattr(judge, "RELEASE", run_dir / "release")
    with Server(city.pki, city.pki.pair("updates"), b"") as server:
        yield Unit(run_dir, city, server)


def refusal(unit: Unit, way: str, made: Path, proof: bytes | None, version: str = "0.2.0") -> str:
    """The text of update_not_logged. Asserts that nothing was installed or left behind."""
    if way == "stick":
        with pytest.raises(UpdateFault) as raised:
            unit.update(way, made, proof, version)
        code, text = raised.value.code, str(raised.value)
    else:
        unit.update(way, made, proof, version)
        code, text = unit.state.code, unit.state.text
    assert code == "update_not_logged", text
    assert not {"install", "try_other", "reboot"} & set(unit.machine.calls)
    assert unit.bundles() == []
    assert not (unit.folder / state.STICK).exists()
    assert "\n" not in text
    return text


WAYS = pytest.mark.parametrize("way", ["command", "stick"])


@WAYS
def test_what_is_published_is_taken(unit: Unit, city: City, way: str) -> None:
    unit.update(way, city.bundles["good"], city.proofs["good"])
    assert unit.state.step == "trying", unit.state.text
    assert unit.machine.calls[-3:] == ["install", "try_other", "reboot"]
    assert unit.bundles() == []
    if way == "command":
        assert unit.server.paths == [
            "/linetap/linetap-0.2.0.raucb.tlog-proof?floor=3", "/linetap/linetap-0.2.0.raucb?floor=3",
        ]  # fmt: skip


@WAYS
def test_a_version_that_nobody_else_sees_is_refused(unit: Unit, city: City, way: str) -> None:
    assert "floor-03" not in refusal(unit, way, city.bundles["secret"], None)
    text = refusal(unit, way, city.bundles["secret"], city.proofs["good"])
    assert payload.sha256(city.bundles["secret"]) in text


@WAYS
def test_a_proof_of_another_log_is_none(unit: Unit, city: City, way: str) -> None:
    """The thief's own log, cosigned by the thief's own witnesses."""
    assert "not signed by the log" in refusal(unit, way, city.bundles["secret"], city.proofs["strangers"])


@WAYS
@pytest.mark.parametrize("other", ["old", "new"])
def test_a_proof_of_another_version_is_none(unit: Unit, city: City, way: str, other: str) -> None:
    text = refusal(unit, way, city.bundles["secret"], city.proofs[other])
    assert f"the proof is of linetap {'0.1.9' if other == 'old' else '0.3.0'}" in text


def changed(city: City, change: Callable[[Proof], Proof], of: str = "good") -> bytes:
    return change(tlogproof.decode(city.proofs[of], extra=True)).encode()


@WAYS
def test_the_entry_of_the_secret_version_in_a_published_proof_is_not_in_the_log(
    unit: Unit, city: City, way: str
) -> None:
    made = city.bundles["secret"]
    good = entry.decode(tlogproof.decode(city.proofs["good"], extra=True).extra)
    lie = msgspec.structs.replace(good, payload=payload.sha256(made)).encode()
    text = refusal(unit, way, made, changed(city, lambda p: Proof(p.index, p.path, p.note, lie)))
    assert "does not stand under" in text
    found = tlogproof.decode(city.proofs["good"], extra=True)
    for index in (0, 2, 10**17):
        refusal(unit, way, city.bundles["good"], Proof(index, found.path, found.note, found.extra).encode())
    refusal(unit, way, city.bundles["good"], changed(city, lambda p: Proof(p.index, p.path[1:], p.note, p.extra)))
    refusal(unit, way, city.bundles["good"], changed(city, lambda p: Proof(p.index, p.path, p.note)))


@WAYS
def test_fewer_witnesses_than_the_quorum_are_none(unit: Unit, city: City, way: str) -> None:
    def lines(*numbers: int) -> bytes:
        return changed(
            city, lambda p: Proof(p.index, p.path, Note(p.note.text, tuple(p.note.lines[n] for n in numbers)), p.extra)
        )

    made = city.bundles["good"]
    assert "cosigned by no one" in refusal(unit, way, made, lines(0))
    for one in (1, 2, 3):
        assert "no quorum of the 3 witnesses" in refusal(unit, way, made, lines(0, one))
        assert "no quorum" in refusal(unit, way, made, lines(0, one, one)), "one witness twice is one"
    assert "not signed by the log" in refusal(unit, way, made, lines(1, 2, 3))
    unit.update(way, made, lines(0, 1, 3))
    assert unit.state.step == "trying"


@WAYS
def test_an_older_heads_cosignatures_are_not_of_a_newer_head(unit: Unit, city: City, way: str) -> None:
    """Possible for a keeper who has added a secret version and shown it to no witness."""
    older = tlogproof.decode(city.proofs["old"], extra=True).note
    moved = changed(
        city, lambda p: Proof(p.index, p.path, Note(p.note.text, (p.note.lines[0], *older.lines[1:])), p.extra), "new"
    )
    text = refusal(unit, way, city.bundles["new"], moved, "0.3.0")
    assert "does not fit" in text


@WAYS
def test_a_head_that_the_keeper_alone_has_signed_is_none(unit: Unit, city: City, way: str) -> None:
    """The keeper of the log and the release key together: they still lack the witnesses."""
    made = city.bundles["secret"]
    secret = entry.Entry(
        product="linetap", version="0.2.0", payload=payload.sha256(made), root="66" * 32, commit="77" * 20
    ).encode()
    origin, root = checkpoint.sigsum_origin(city.log.key.public_key()), hashlib.sha256(b"\0" + secret).digest()
    own = checkpoint.signed(checkpoint.Checkpoint(origin, 1, root), city.log.key)
    forger = keys.new_unit_key()
    forged = tuple(checkpoint.cosign(own.text, f"{n}.example", forger, 1_800_000_000) for n in range(3))
    proof = Proof(0, (), Note(own.text, own.lines + forged), secret)
    assert "cosigned by no one" in refusal(unit, way, made, proof.encode())


@WAYS
def test_what_is_no_proof_is_refused_whatever_its_size(unit: Unit, city: City, way: str) -> None:
    good, made = city.proofs["good"], city.bundles["good"]
    for size in (0, 1, 22, 23, 100, len(good) // 2, len(good) - 1):
        refusal(unit, way, made, good[:size])
    for bad in (
        good + b"x", good + good, b"\0" * 500, good.replace(b"@v1", b"@v2"), good + b"\n" * note.LIMIT_BYTES,
        bytes(64 << 20), base64.b64encode(good), good.replace(b"extra ", b"extra  "), good.replace(b"\n", b"\r\n"),
    ):  # fmt: skip
        refusal(unit, way, made, bad)


@WAYS
def test_a_format_of_which_the_payload_is_not_all_is_refused(unit: Unit, city: City, way: str, tmp_path: Path) -> None:
    """In RAUC's verity format the signature contains a manifest; another manifest makes another update of the same
    payload. Therefore an entry of the payload proves nothing about it.
    """
    made = bundle(tmp_path, "0.2.0", city.signer, "verity")
    assert "format 'verity'" in refusal(unit, way, made, city.proofs["good"])


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_proof_on_a_stick_that_is_no_file(unit: Unit, city: City, kind: str) -> None:
    place = entry.proof_path(unit.top / "linetap-0.2.0.raucb")
    match kind:
        case "link":
            (unit.top / "elsewhere").write_bytes(city.proofs["good"])
            place.symlink_to(unit.top / "elsewhere")
        case "folder":
            place.mkdir()
        case _:
            os.mkfifo(place)
    refusal(unit, "stick", city.bundles["good"], None)


def test_without_the_setting_nothing_is_asked_for(unit: Unit, city: City) -> None:
    unit.config = msgspec.structs.replace(unit.config, update=Update())
    unit.update("command", city.bundles["secret"], b"unasked")
    assert unit.state.step == "trying"
    assert unit.server.paths == ["/linetap/linetap-0.2.0.raucb?floor=3"]


def test_a_proof_is_as_good_after_years(city: City) -> None:
    """Its time does not count: a quorum's confirmation stays in the log, and a unit's clock may be off by years."""
    policy = entry.demanded(city.log.policy)
    head = tlogproof.decode(city.proofs["old"], extra=True)
    assert all(policy.cosigners(head.note).values())
    assert entry.require_logged(policy, city.proofs["old"], "0.1.9", payload.sha256(city.bundles["old"]))


def test_the_server_may_be_away_for_a_while(unit: Unit, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SYSTEM", unit.clock)
    made = city.bundles["good"]
    unit.server.bundle, unit.server.beside = made.read_bytes(), {tlogproof.SUFFIX: city.proofs["good"]}
    unit.server.answers = [Answer(status=503), Answer(cut_at=100), Answer(status=429)]
    url = f"https://{HOST}:{unit.server.port}/linetap-0.2.0.raucb"
    data = made.read_bytes()
    unit.want(UpdateRequest(version="0.2.0", sha256=hashlib.sha256(data).hexdigest(), size=len(data), url=url))
    Install(unit.config, unit.machine, command.fetcher(unit.config), list, unit.clock).run()
    assert unit.state.step == "trying", unit.state.text
    assert unit.server.paths.count("/linetap-0.2.0.raucb.tlog-proof") == 4
