# SPDX-License-Identifier: Apache-2.0
"""The unit's key in a TPM (Debian's swtpm): a stolen card, another boot, another TPM, and calls when the TPM dies."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from card_rig import Card
from linetap import unitkeys
from linetap.config.schema import Config
from linetap.recorder.calls.ports import CallSnapshot
from linetap.recorder.vault.journal.journal import Journal
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.signing import AGAIN_NS, UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import Stretch
from linetap.tpm import bootpolicy, keyfile
from linetap.tpm.device import TpmFault
from linetap.tpm.unitkey import TpmKey
from linetap_core.cli import main
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.enrolment import request
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.records import CallEvent, CallRecord
from linetap_desk.proofs.verdict import Problem
from linetap_desk.vaultproofs.verifyvault import verify_vault
from sealing_rig import run
from tpm_rig import NEXT_ROOT, ROOT, STRANGE_ROOT, Release, SoftTpm, in_tpm, short_folder, stock_verifies
from unit_rig import make_unit

DATA = b"a record"
NAMESPACE = namespaces.RECORD
NOW_NS = parse_rfc3339("2026-11-28T09:57:01.000Z")
FIRST = 1000
STORAGE = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"


class Source:
    """A line with endlessly repeated speech."""

    def stretch(self, _line: int, first: int, end: int) -> Stretch:
        return Stretch(np.full(end - first, 1000, np.int16), [])


@pytest.fixture
def short() -> Iterator[Path]:
    folder = short_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def tpm(short: Path) -> Iterator[SoftTpm]:
    tpm = SoftTpm(short / "a")
    tpm.boot()
    yield tpm
    tpm.power_off()


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path)


@pytest.fixture
def config(tpm: SoftTpm, release: Release, tmp_path: Path, run_dir: Path) -> Config:
    (tmp_path / "unit").mkdir()
    unit = make_unit(tmp_path / "unit", run_dir)
    config = in_tpm(unit.config, tpm, release, tmp_path)
    Path(config.key).write_bytes(unitkeys.make(config.keys))
    return config


def sign(config: Config, data: bytes = DATA) -> bytes:
    key = unitkeys.open_key(Path(config.key), config.keys)
    return sshsig.sign(data, key, NAMESPACE).encode()


def public_line(config: Config) -> str:
    """The key's line, read without the TPM, which a recorder may be using."""
    key = TpmKey(Path(config.key).read_bytes(), Path(config.keys.tpm), [])
    return keys.public_line(key.public_key())


class TestSigning:
    def test_stock_ssh_keygen_verifies_what_the_tpm_has_signed(self, config: Config, tmp_path: Path) -> None:
        line = public_line(config)
        assert line.startswith("ecdsa-sha2-nistp256 ")
        key = unitkeys.open_key(Path(config.key), config.keys)
        for number in range(8):
            data = b"record %d" % number
            armored = sshsig.sign(data, key, NAMESPACE).encode()
            assert stock_verifies(data, armored, NAMESPACE, config.unit, line, tmp_path)
            assert not stock_verifies(data + b"x", armored, NAMESPACE, config.unit, line, tmp_path)

    def test_stock_tools_load_the_same_key_and_it_says_that_it_cannot_leave(
        self, config: Config, tpm: SoftTpm, short: Path
    ) -> None:
        file = json.loads(Path(config.key).read_text())
        for part in ("public", "private"):
            (short / "a" / part).write_bytes(msgspec.json.decode(msgspec.json.encode(file[part]), type=bytes))
        tpm.boot()
        assert tpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-a", STORAGE, "-c", "parent").returncode == 0
        tpm.tool("tpm2_flushcontext", "-t")
        loaded = tpm.tool("tpm2_load", "-C", "parent", "-u", "public", "-r", "private", "-c", "key")
        assert loaded.returncode == 0, loaded.stderr
        shown = tpm.tool("tpm2_readpublic", "-c", "key").stdout.decode()
        assert "fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|noda|sign" in shown
        tpm.tool("tpm2_flushcontext", "-t")
        (short / "a" / "data").write_bytes(DATA)
        refused = tpm.tool("tpm2_sign", "-c", "key", "-g", "sha256", "-o", "sig", "data")
        assert refused.returncode != 0
        assert b"authorization" in refused.stderr.lower() or b"auth" in refused.stderr.lower()


class TestThief:
    @pytest.mark.parametrize("told", [True, False], ids=["as it is", "without what says which TPM"])
    def test_nothing_on_the_card_signs_without_its_tpm(self, config: Config, short: Path, told: bool) -> None:
        """The whole card is given to another TPM."""
        if not told:
            file = json.loads(Path(config.key).read_text())
            Path(config.key).write_text(json.dumps(file | {"parent": ""}))
        other = SoftTpm(short / "b")
        other.boot()
        try:
            stolen = msgspec.structs.replace(config.keys, tpm=str(other.path))
            with pytest.raises(BadInput, match=r"made in another TPM.*expected") as refused:
                unitkeys.open_key(Path(config.key), stolen)
            assert "\n" not in str(refused.value)
        finally:
            other.power_off()

    def test_the_private_half_is_in_no_file(self, config: Config) -> None:
        """The files contain only the TPM's own encryption: no number in them gives the public half."""
        public = unitkeys.open_key(Path(config.key), config.keys).public_key()
        with pytest.raises(BadInput):
            keys.load_signing_key(Path(config.key).read_bytes())
        data = Path(config.key).read_bytes()
        found = keyfile.parse(data, "linetap-unit-key")
        for blob in (data, found.private_area(), found.public_area()):
            for at in range(len(blob) - 31):
                number = int.from_bytes(blob[at : at + 32], "big")
                if 0 < number < 2**255:
                    assert ec.derive_private_key(number, ec.SECP256R1()).public_key() != public

    def test_public_half_of_another_key_does_not_go_with_it(self, config: Config) -> None:
        """Two halves of two keys of one TPM: the TPM refuses."""
        one = json.loads(Path(config.key).read_text())
        two = json.loads(unitkeys.make(config.keys))
        Path(config.key).write_text(json.dumps(one | {"private": two["private"]}))
        with pytest.raises(BadInput, match="another TPM"):
            unitkeys.open_key(Path(config.key), config.keys)


class TestBoot:
    @pytest.mark.parametrize(
        ("root", "stages"), [(STRANGE_ROOT, ("run",)), (ROOT, ()), (ROOT, ("run", "run")), (NEXT_ROOT, ("run",))]
    )
    def test_another_boot_signs_nothing_and_says_so_in_one_line(
        self, config: Config, tpm: SoftTpm, root: str, stages: tuple[str, ...]
    ) -> None:
        tpm.boot(root, stages)
        with pytest.raises(TpmFault, match="the release key has not signed this boot") as refused:
            sign(config)
        assert "\n" not in str(refused.value)

    def test_what_is_measured_later_ends_it_at_once(self, config: Config, tpm: SoftTpm) -> None:
        key = unitkeys.open_key(Path(config.key), config.keys)
        key.sign(DATA)
        key.close()  # type: ignore[attr-defined]  # a software TPM has one connection at a time
        tpm.extend("something else")
        with pytest.raises(TpmFault, match="has not signed this boot"):
            key.sign(DATA)

    def test_boots_that_somebody_else_has_signed_do_not_count(
        self, config: Config, tpm: SoftTpm, tmp_path: Path
    ) -> None:
        """With access to the boot partition one can change the command line."""
        (tmp_path / "thief").mkdir()
        Path(config.keys.boots).write_text(Release(tmp_path / "thief").command_line(STRANGE_ROOT))
        tpm.boot(STRANGE_ROOT)
        with pytest.raises(TpmFault, match="has not signed this boot"):
            sign(config)

    def test_a_permission_for_the_volume_is_none_to_sign(self, config: Config, tpm: SoftTpm, release: Release) -> None:
        line = release.command_line().replace("linetap-unit-key", "x").replace("linetap-volume", "linetap-unit-key")
        Path(config.keys.boots).write_text(line)
        tpm.boot(ROOT, ())
        with pytest.raises(TpmFault, match="has not signed this boot"):
            sign(config)

    def test_the_tpm_itself_says_no_when_our_own_check_is_gone(
        self, config: Config, tpm: SoftTpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A modified linetap that trusts every boot gets no signature either."""
        (tmp_path / "thief").mkdir()
        Path(config.keys.boots).write_text(Release(tmp_path / "thief").command_line(STRANGE_ROOT))
        tpm.boot(STRANGE_ROOT)
        monkeypatch.setattr(bootpolicy, "_is_signed", lambda *_: True)
        with pytest.raises(TpmFault, match="the TPM: it refuses"):
            sign(config)

    def test_update_trial_and_the_way_back_sign_with_the_same_key(
        self, config: Config, tpm: SoftTpm, release: Release, tmp_path: Path
    ) -> None:
        """Each slot's command line permits its own root, so nothing is sealed again or left over."""
        line = public_line(config)
        for root in (ROOT, NEXT_ROOT, ROOT):
            Path(config.keys.boots).write_text(release.command_line(root))
            tpm.boot(root)
            assert stock_verifies(DATA, sign(config), NAMESPACE, config.unit, line, tmp_path)

    def test_power_cuts_do_not_lock_the_tpm_out(self, config: Config, tpm: SoftTpm) -> None:
        """A TPM that loses power counts an authorisation in progress as a failed guess, unless none is needed."""
        for _ in range(6):
            sign(config)
            tpm.boot()
        shown = tpm.tool("tpm2_getcap", "properties-variable").stdout.decode()
        assert "TPM2_PT_LOCKOUT_COUNTER: 0x0\n" in shown
        assert "inLockout:                 0\n" in shown


class TestConfiguration:
    def test_no_back_end_stands_in_for_another(self, config: Config, tmp_path: Path) -> None:
        in_file = msgspec.structs.replace(config.keys, unit_key="file")
        with pytest.raises(BadInput, match='unit_key = "file"; "tpm" expected'):
            unitkeys.open_key(Path(config.key), in_file)
        other = tmp_path / "file.key"
        other.write_bytes(unitkeys.make(in_file))
        with pytest.raises(BadInput, match="not a key in a TPM"):
            unitkeys.open_key(other, config.keys)

    @pytest.mark.parametrize(
        "changed", [{"tpm": 2}, {"ref": "linetap-volume"}, {"public": "AAAA"}, {"private": "?"}, {"release": "none"}]
    )
    def test_file_that_is_none_is_refused_in_one_line(self, config: Config, changed: dict[str, object]) -> None:
        text = json.dumps(json.loads(Path(config.key).read_text()) | changed)
        Path(config.key).write_text(text)
        with pytest.raises(BadInput, match="expected") as refused:
            unitkeys.open_key(Path(config.key), config.keys)
        assert str(refused.value).startswith(config.key)
        assert "\n" not in str(refused.value)

    def test_release_key_beside_the_key_cannot_be_another(self, config: Config, tmp_path: Path) -> None:
        (tmp_path / "thief").mkdir()
        pem = Release(tmp_path / "thief").public.read_text()
        Path(config.key).write_text(json.dumps(json.loads(Path(config.key).read_text()) | {"release": pem}))
        with pytest.raises(BadInput, match="its policy is not that of the release key"):
            unitkeys.open_key(Path(config.key), config.keys)

    def test_keygen_prints_the_public_line_of_a_key_that_signs(
        self, config: Config, tpm: SoftTpm, release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = tmp_path / "made.key"
        options = ["--tpm", str(tpm.path), "--release", str(release.public), "-o", str(made)]
        assert main(["keygen", "unit", *options]) == 0
        line = capsys.readouterr().out.strip()
        assert made.stat().st_mode & 0o777 == 0o600
        armored = sign(msgspec.structs.replace(config, key=str(made)))
        assert stock_verifies(DATA, armored, NAMESPACE, config.unit, line, tmp_path)

    def test_boot_is_signed_as_openssl_verifies_it(
        self, release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:

        from linetap.tpm import bootpolicy

        assert main(["tpm", "boot", ROOT, "--key", str(release.private)]) == 0
        words = capsys.readouterr().out
        assert words.strip() in release.command_line()  # the same each time
        for boot in bootpolicy.parse(f"linetap.verity=1:{ROOT}:aa {words}"):
            (tmp_path / "sig").write_bytes(boot.signature)
            command = [
                "openssl",
                "dgst",
                "-sha256",
                "-verify",
                str(release.public),
                "-signature",
                str(tmp_path / "sig"),
            ]
            assert run(command, stdin=boot.signed_bytes).returncode == 0
            assert base64.b64encode(boot.signature).decode() in words


def writer(config: Config, clock: ManualClock) -> VaultWriter:
    key = UnitKey(Path(config.key), config.keys)
    config.vault_path.mkdir(exist_ok=True)
    unit_log = key.open_log(config, clock)
    outbox = key.open_outbox(config, lambda: unit_log.size)
    return VaultWriter(Vault(config, Source(), outbox, key.signer(NAMESPACE), clock, unit_log))


def call(vault: VaultWriter, number: int) -> str:
    call_id = f"20261128T0956{number:02d}.123Z-L01"
    at = f"2026-11-28T09:56:{number:02d}.123Z"
    vault.report(CallEvent(seq=0, event="started", at=at, unit="floor-03", call_id=call_id, line=1))
    vault.open(call_id, 1, FIRST)
    record = CallRecord(call_id=call_id, unit="floor-03", line=1, ended_at="2026-11-28T09:57:00.000Z")
    vault.close(call_id, FIRST + 9000, record)
    return call_id


def problems(config: Config, others: str = "") -> list[Problem]:
    verdicts = verify_vault(config.vault_path, signers.parse(f"{others}{config.unit} {public_line(config)}\n"), None)
    return [problem for verdict in verdicts for problem in verdict.problems]


def public_record(config: Config, call_id: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((config.vault_path / sealed.call_path(call_id) / sealed.RECORD).read_text())
    return found


class TestRecorder:
    def test_every_record_says_where_the_key_is(self, config: Config) -> None:
        clock = ManualClock(NOW_NS)
        vault = writer(config, clock)
        first = call(vault, 1)
        assert vault.step()
        assert public_record(config, first)["unit_key"] == {"in": "tpm"}
        assert problems(config) == []

    def test_the_old_keys_last_leaf_names_the_new_one_and_both_vouch_for_their_own(
        self, config: Config, tmp_path: Path
    ) -> None:
        clock = ManualClock(NOW_NS)
        in_file = msgspec.structs.replace(
            config, key=str(tmp_path / "old.key"), keys=msgspec.structs.replace(config.keys, unit_key="file")
        )
        old = Path(in_file.key)
        old.write_bytes(unitkeys.make(in_file.keys))
        old_line = keys.public_line(keys.load_unit_key(old.read_bytes()).public_key())
        assert unitkeys.next_of(old) is None
        old.with_name("old.key.next.pub").write_text(public_line(config) + "\n")
        new = keys.fingerprint(TpmKey(Path(config.key).read_bytes(), Path(config.keys.tpm), []).public_key())
        assert unitkeys.next_of(old) == new
        before = writer(in_file, clock)
        call(before, 1)
        before.log_leaf("unit_key", NOW_NS, key=new)
        assert before.step()
        head = json.loads((config.vault_path / "log" / "head.json").read_text())
        last = (config.vault_path / "log" / "leaves.jsonl").read_text().splitlines()[-1]
        assert json.loads(last)["key"] == new != head["origin"]
        after = writer(config, clock)
        call(after, 2)
        assert after.step()
        assert json.loads((config.vault_path / "log" / "head.json").read_text())["origin"] == new
        assert problems(config, f"{config.unit} {old_line}\n") == []
        assert "signer_not_trusted" in {problem.code for problem in problems(config)}

    def test_recording_goes_on_while_the_tpm_is_away_and_is_signed_in_order_when_it_is_back(
        self, config: Config, tpm: SoftTpm
    ) -> None:
        clock = ManualClock(NOW_NS)
        vault = writer(config, clock)
        before = call(vault, 1)
        assert vault.step()
        tpm.power_off()
        during = [call(vault, 2)]
        assert vault.step()
        assert vault.refused() is None
        tpm.boot()
        during.append(call(vault, 3))  # it works again, and earlier calls have not been retried yet
        assert vault.step()
        assert vault.unsigned() == ("tpm_absent", 4)
        assert vault.closing() == set(during)
        for call_id in during:
            folder = config.vault_path / sealed.call_path(call_id)
            assert (folder / sealed.KEY).exists()
            assert vault.vault.recordings[call_id].position == FIRST + 9000
            assert not (folder / sealed.RECORD).exists()
        clock.sleep(AGAIN_NS / NS_PER_S)
        assert vault.step()
        assert vault.unsigned() == (None, 0)
        assert vault.step()
        told = list(OutboxReader(config.vault_path / "outbox").from_seq(1, 100))
        for _, payload, sig in told:
            sshsig.check(payload, sig.encode(), namespaces.EVENT)
        ids = [json.loads(payload).get("call_id") for _, payload, _ in told]
        assert list(dict.fromkeys(ids)) == [before, *during]
        assert problems(config) == []

    def test_a_recorder_that_starts_without_its_tpm_records(self, config: Config, tpm: SoftTpm) -> None:
        tpm.power_off()
        clock = ManualClock(NOW_NS)
        vault = writer(config, clock)
        call_id = call(vault, 1)
        assert vault.step()
        assert vault.refused() is None
        assert vault.unsigned()[1] == 2
        jobs = vault.unfinished()  # from the checkpoint: the next recorder continues them
        tpm.boot()
        after = writer(config, clock)
        after.resume_jobs(jobs)
        assert after.step()
        assert public_record(config, call_id)["unit_key"] == {"in": "tpm"}

    def test_a_boot_that_is_not_the_units_gets_no_signature_and_loses_no_call(
        self, config: Config, tpm: SoftTpm
    ) -> None:
        tpm.boot(STRANGE_ROOT)
        vault = writer(config, ManualClock(NOW_NS))
        call_id = call(vault, 1)
        assert vault.step()
        assert vault.unsigned() == ("tpm_policy", 2)
        folder = config.vault_path / sealed.call_path(call_id)
        assert not (folder / sealed.SIGNATURE).exists()
        assert not (folder / sealed.RECORD).exists()

    def test_a_power_cut_while_it_is_away_costs_nothing_that_was_in_the_journal(
        self, config: Config, tpm: SoftTpm
    ) -> None:
        """Waiting data were in RAM. Until the TPM is back nothing new is recorded: the rest cannot be sealed."""
        clock = ManualClock(NOW_NS)
        vault, journal = with_journal(config, clock)
        call_id = "20261128T095601.123Z-L01"
        record = CallRecord(
            call_id=call_id, unit="floor-03", line=1, disposition="recorded", answered_at="2026-11-28T09:56:01.123Z"
        )
        vault.snapshot(call_id, CallSnapshot(record, FIRST, sealed.call_ns(call_id)))
        vault.open(call_id, 1, FIRST)
        assert vault.step()
        tpm.power_off()
        vault.permit(call_id, FIRST + 16000)
        journal.step()
        vault.close(call_id, FIRST + 16000, msgspec.structs.replace(record, ended_at="2026-11-28T09:56:03.123Z"))
        journal.step()
        assert vault.step()
        assert vault.unsigned()[1] == 1
        leaves = config.vault_path / "log" / "leaves.jsonl"
        written = leaves.read_bytes()
        for _ in range(3):
            clock.sleep(AGAIN_NS / NS_PER_S)
            assert vault.step()
        assert leaves.read_bytes() == written, "trying leaves no traces"
        for path in config.run_path.rglob("*"):
            if path.is_file():
                path.unlink()
        vault, _ = with_journal(config, clock)
        for _ in range(3):
            clock.sleep(AGAIN_NS / NS_PER_S)
            assert not vault.step()
        assert vault.refused() == "unit_key"
        assert leaves.read_bytes() == written
        assert not (config.vault_path / sealed.call_path(call_id) / sealed.RECORD).exists()
        tpm.boot()
        clock.sleep(AGAIN_NS / NS_PER_S)
        assert vault.step()
        assert vault.refused() is None
        found = public_record(config, call_id)
        assert found["unit_key"] == {"in": "tpm"}
        assert found["audio"]["samples"] == 16000  # type: ignore[index]
        assert problems(config) == []


def with_journal(config: Config, clock: ManualClock) -> tuple[VaultWriter, Journal]:
    key = UnitKey(Path(config.key), config.keys)
    config.vault_path.mkdir(exist_ok=True)
    unit_log = key.open_log(config, clock)
    journal = Journal(config.vault_path, 2, Source(), clock)
    outbox = key.open_outbox(config, lambda: unit_log.size)
    return VaultWriter(Vault(config, Source(), outbox, key.signer(NAMESPACE), clock, unit_log, journal)), journal


class TestProvisioning:
    def test_a_unit_makes_its_key_in_the_tpm_when_it_takes_its_order(
        self, tpm: SoftTpm, release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It also requests its certificate with it: no key is ever in a file."""
        (tmp_path / "cmdline").write_text(release.command_line())
        (tmp_path / "card").mkdir()
        card = Card.new(tmp_path / "card")
        where = f'tpm = "{tpm.path}"\nboots = "{tmp_path}/cmdline"\nrelease = "{release.public}"'
        card.configure(old='unit_key = "file"', new=f'unit_key = "tpm"\n{where}')
        assert card.pack() == 0
        capsys.readouterr()
        assert card.start() == 0, capsys.readouterr().err
        made = (card.home / "unit.key").read_bytes()
        keyfile.parse(made, bootpolicy.UNIT_KEY)
        line = (card.home / "unit.key.pub").read_text()
        assert line.startswith("ecdsa-sha2-nistp256 ")
        asked = request.check((card.boot / "floor-03.request").read_bytes())
        assert keys.public_line(asked.signer) == line.rsplit(" ", 1)[0]
        assert card.start() == 0
        assert (card.home / "unit.key").read_bytes() == made

    def test_without_its_tpm_the_order_is_refused_in_one_line(
        self, tpm: SoftTpm, release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "cmdline").write_text(release.command_line())
        (tmp_path / "card").mkdir()
        card = Card.new(tmp_path / "card")
        where = f'tpm = "{tpm.path}"\nboots = "{tmp_path}/cmdline"\nrelease = "{release.public}"'
        card.configure(old='unit_key = "file"', new=f'unit_key = "tpm"\n{where}')
        assert card.pack() == 0
        tpm.power_off()
        capsys.readouterr()
        assert card.start() != 0
        (told,) = capsys.readouterr().err.strip().splitlines()
        assert "expected" in told
        assert not (card.home / "unit.key").exists()
