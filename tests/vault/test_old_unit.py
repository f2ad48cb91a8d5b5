# SPDX-License-Identifier: Apache-2.0
"""A unit of version 0.1 under the present code: its calls stay valid, also in its bundle, and its recorder continues.
The bundle itself, of a format that no release has written, is refused in one line (decision 0243).

`vectors/unit-0.1.tar.xz` was written by 0.1 itself (commit 0105769): three calls through its four services, the bundle
of one of them, and the private keys of that demo, used for nothing else.
"""

from __future__ import annotations

import tarfile
import wave
from pathlib import Path

import pytest

from linetap.config import load_config
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import Stretch
from linetap_bench.stage.stage import linetap
from linetap_core.cli import main
from linetap_core.clock import SYSTEM, rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallEvent, CallRecord
from unit_rig import save_notice, spoken

VECTOR = Path(__file__).parents[1] / "vectors" / "unit-0.1.tar.xz"
CALL, NEW_CALL = "20261128T091148.858Z-L01", "20261129T080000.000Z-L02"


@pytest.fixture
def old(tmp_path: Path, run_dir: Path) -> Path:
    with tarfile.open(VECTOR) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "unit-0.1"
    config = folder / "unit.toml"
    config.write_text(config.read_text().replace("@FOLDER@", str(folder)).replace("@RUN@", str(run_dir)))
    save_notice(folder / "notices" / "ko.wav", spoken(1.0))
    return folder


def test_its_vault_is_good(old: Path) -> None:
    linetap("verify", old / "vault", "--signers", old / "allowed_signers")


def test_its_bundle_is_refused_and_its_format_named(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(old / "case.zip"), "--signers", str(old / "allowed_signers")]) == 1
    said = capsys.readouterr().out
    assert f"ok   {CALL}" in said
    assert "a bundle of format 1; 4 expected [bundle_format]" in said


def test_its_configuration_is_good(old: Path) -> None:
    linetap("config", "check", old / "unit.toml")


def test_its_call_opens(old: Path) -> None:
    identities = ("--identity", old / "epoch.txt", "--identity", old / "custodian.txt")
    call = old / "vault" / sealed.call_path(CALL)
    linetap("open", call, *identities, "--signers", old / "allowed_signers", "-o", old / "call.wav")
    with wave.open(str(old / "call.wav")) as file:
        assert 8.5 < file.getnframes() / file.getframerate() < 9.5


class Source:
    def stretch(self, line: int, first: int, end: int) -> Stretch:
        assert line == 2
        return Stretch(spoken(10.0)[first:end], [])


def test_its_recorder_goes_on(old: Path) -> None:
    """One more call in the same vault, outbox and log; then everything is valid, and earlier reports are unchanged."""
    config = load_config(old / "unit.toml")
    before, now = events(config.vault_path), rfc3339(SYSTEM.utc_ns())
    key = UnitKey(Path(config.key))
    which = key.incarnation(config, SYSTEM)
    assert (which.name, (config.vault_path / "vault.json").exists()) == ("", False), "it goes on without a name"
    unit_log = key.open_log(config, SYSTEM, which.name)
    outbox = key.open_outbox(config, lambda: unit_log.size, which.name, unit_log.newest_event)
    vault = VaultWriter(Vault(config, Source(), outbox, key.signer(namespaces.RECORD), SYSTEM, unit_log))
    vault.start_upkeep(incarnation=which)
    vault.log_leaf("start", SYSTEM.utc_ns())
    vault.report(CallEvent(seq=0, event="started", at=now, unit=config.unit, call_id=NEW_CALL, line=2))
    vault.open(NEW_CALL, 2, 0)
    vault.close(NEW_CALL, 16_000, CallRecord(call_id=NEW_CALL, unit=config.unit, line=2, ended_at=now, duration_s=2.0))
    assert vault.step()
    said = linetap("verify", old / "vault", "--signers", old / "allowed_signers")
    assert NEW_CALL in said
    after = events(config.vault_path)
    assert after[: len(before)] == before
    assert len(after) > len(before) > 0


def events(vault: Path) -> list[bytes]:
    return [payload for _, payload, _ in OutboxReader(vault / "outbox").from_seq(1, 1000)]
