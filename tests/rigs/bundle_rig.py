# SPDX-License-Identifier: Apache-2.0
"""All possible content of a bundle, made by the real commands, and bundles of it."""

from __future__ import annotations

import io
import subprocess
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import Audio, ClockRecord, Gap, Mark, NoticeRecord
from linetap_desk.bundle import container, layout
from linetap_desk.ceremony.certificate import Certificate
from sealing_rig import CALL_ID, NOW, Rig, noise, record, run

CHECKER = Path(__file__).parents[2] / "docs/check-bundle.sh"
SECOND = "20261124T225700.000Z-L04"
SAMPLES = 900
TSA = """
[tsa]
default_tsa = one
[one]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = tsa-ca.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
"""


@dataclass(frozen=True)
class BundleRig:
    """Two calls in one vault; the second has no recording."""

    rig: Rig
    root: Path

    @classmethod
    def make(cls, root: Path) -> BundleRig:
        made = cls(Rig.make(root), root)
        made._seal_calls()
        made.rig.publish()
        made._add_people()
        made._stamp()
        made._sigsum()
        made._hold()
        made._certificate()
        return made

    @classmethod
    def at(cls, root: Path) -> BundleRig:
        return cls(Rig.at(root), root)

    def call(self, call_id: str = CALL_ID) -> Path:
        return self.rig.vault / sealed.call_path(call_id)

    @property
    def everything(self) -> list[str]:
        """The options for all content except the opened call."""
        found = [f"--{name}={self.root / name}" for name in ("stamps", "sigsum", "holds", "certificates")]
        return [*found, f"--tsa-ca={self.ca}", f"--witness={self.root / 'heads' / 'closet-3f.json'}"]

    @property
    def ca(self) -> Path:
        return self.root / "tsa-ca.pem"

    def bundle(self, *more: str, name: str = "case.zip", calls: tuple[str, ...] = (CALL_ID, SECOND)) -> int:
        words = ["--signers", str(self.rig.signers_file), "--case", "2026-117", "-o", str(self.root / name)]
        return main(["bundle", *(str(self.call(call_id)) for call_id in calls), *words, *more])

    def opened(self) -> str:
        """The option for the opened first call."""
        keys_of = ["--identity", str(self.rig.epoch_file), "--identity", str(self.rig.custodian_files[0])]
        words = ["--signers", str(self.rig.signers_file), "-o", str(self.root / "call.wav")]
        assert main(["open", str(self.call()), *keys_of, *words]) == 0
        return f"--wav={self.root / 'call.wav'}"

    def verify(self, path: Path, *more: str) -> int:
        return main(["verify", str(path), "--signers", str(self.rig.signers_file), *more])

    # --- content made by others -------------------------------------------------------------------------------------

    def _seal_calls(self) -> None:
        folder = self.rig.create()
        folder.write(noise(SAMPLES))
        whole = record(SAMPLES)
        whole.notice = NoticeRecord(
            id="hall", started_at="2026-11-24T22:56:01.000Z", ended_at="2026-11-24T22:56:06.000Z", proof="full", score=1
        )
        whole.notices = [whole.notice]
        whole.answered_at, whole.ended_at, whole.ended_by = "2026-11-24T22:56:07.000Z", NOW, "on_hook"
        whole.clock, whole.marks = ClockRecord(synced=True, offset_ms=0.4), [Mark(0.05, "abuse")]
        whole.audio = Audio(samples=SAMPLES, gaps=[Gap(0.05, 20.0, "overrun")])
        folder.seal(whole, self.rig.sign)
        self.rig.sealed_call(100, SECOND)

    def _add_people(self) -> None:
        """Adds a witness that cosigns, an officer who signs holds and certificates, a desk's key for Sigsum."""
        for name in ("witness", "officer", "desk"):
            (self.root / f"{name}.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
            (self.root / f"{name}.key").chmod(0o600)
        with self.rig.signers_file.open("a") as file:
            for name in ("witness", "officer"):
                file.write(f"{name} {keys.public_line(self.key(name).public_key())} of the {name}\n")
        (self.root / "heads").mkdir()
        words = ["--log", str(self.rig.vault / "log"), "--state", str(self.root / "seen.json")]
        words += ["--key", str(self.root / "witness.key"), "--signers", str(self.rig.signers_file)]
        assert main(["witness", *words, "-o", str(self.root / "heads")]) == 0

    def key(self, name: str) -> Ed25519PrivateKey:
        return keys.load_unit_key((self.root / f"{name}.key").read_bytes())

    def _stamp(self) -> None:
        """Writes the files of `linetap timestamp ask`, from an authority made here."""
        (self.root / "stamps").mkdir()
        head = self.root / "stamps" / "closet-3f-000000002.json"
        for suffix in ("", ".sig"):
            Path(f"{head}{suffix}").write_bytes((self.rig.vault / "log" / f"head.json{suffix}").read_bytes())
        Path(f"{head}.tsr").write_bytes(stamped(head, self.root)[0])

    def _sigsum(self) -> None:
        (self.root / "sigsum").mkdir()
        words = ["--log", str(self.rig.vault / "log"), "--key", str(self.root / "desk.key")]
        words += ["--signers", str(self.rig.signers_file), "-o", str(self.root / "sigsum")]
        assert main(["sigsum", CALL_ID, SECOND, *words]) == 0

    def _hold(self) -> None:
        words = ["--identity", str(self.rig.epoch_file), "--to", self.rig.epoch, "--case", "2026-117"]
        words += ["--basis", "Act 39", "--until", "2099-01-01", "--key", str(self.root / "officer.key")]
        assert main(["hold", "wrap", str(self.call()), *words, "-o", str(self.root / "holds" / CALL_ID)]) == 0

    def _certificate(self) -> None:
        document = Certificate(
            epoch="2027-11-24", recipient=self.rig.epoch, index=None, ended_at=None, destroyed_at=NOW, rule="retention",
            key_list_version=1, files=[], sheets=0, copies=0, canaries={},
        )  # fmt: skip
        data = msgspec.json.encode(document)
        (self.root / "certificates").mkdir()
        path = self.root / "certificates" / "2027-11-24.destroyed.json"
        path.write_bytes(data)
        path.with_name(path.name + ".sig").write_text(sshsig.sign(data, self.key("officer"), namespaces.CERTIFICATE))


def stamped(
    head: Path, folder: Path | None = None, *, ended: bool = False, digest: str = "sha256"
) -> tuple[bytes, bytes]:
    """A token for the file, and its authority's CA, made in `folder`. `ended`: its certificate ended yesterday."""
    root = folder or head.parent
    (root / "tsa.cnf").write_text(TSA.replace("digests = sha256", f"digests = {digest}"))
    (root / "ext.cnf").write_text("basicConstraints=critical,CA:false\nextendedKeyUsage=critical,timeStamping\n")
    (root / "serial").write_text("01\n")
    new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    began, over = (f"{datetime.now(UTC) - timedelta(days=days):%Y%m%d%H%M%SZ}" for days in (2, 1))
    valid = f"-not_before {began} -not_after {over}" if ended else "-days 2"
    for line in (
        f"req -x509 {new} -keyout ca.key -out tsa-ca.pem -subj /CN=CA -days 2",
        f"req {new} -keyout tsa.key -out tsa.csr -subj /CN=TSA",
        f"x509 -req -in tsa.csr -CA tsa-ca.pem -CAkey ca.key -CAcreateserial {valid} -extfile ext.cnf -out tsa.pem",
        f"ts -query -data {head} -{digest} -cert -out query",
        "ts -reply -config tsa.cnf -section one -queryfile query -out token",
    ):
        subprocess.run(["openssl", *line.split()], cwd=root, check=True, capture_output=True, timeout=120)
    return (root / "token").read_bytes(), (root / "tsa-ca.pem").read_bytes()


def members(path: Path) -> dict[str, bytes]:
    """The members, read by the stock library instead of ours."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def pack(path: Path, found: dict[str, bytes], *, sums: bool = True) -> Path:
    """Packs a bundle of these members with matching sums: possible for anybody with our software but no key."""
    sources: dict[str, container.Source] = {name: data for name, data in found.items() if name != layout.SUMS}
    measured = [container.measure(name, sources[name]) for name in sorted(sources)]
    sources[layout.SUMS] = layout.sums(measured) if sums else found[layout.SUMS]
    measured.append(container.measure(layout.SUMS, sources[layout.SUMS]))
    buffer = io.BytesIO()
    container.write(buffer, sources, sorted(measured, key=lambda member: member.name))
    path.write_bytes(buffer.getvalue())
    return path


def unpacked(path: Path, folder: Path) -> Path:
    """The bundle, unpacked by stock unzip."""
    done = run(["unzip", "-q", str(path), "-d", str(folder)])
    assert done.returncode == 0, done.stderr
    return folder
