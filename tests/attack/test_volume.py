# SPDX-License-Identifier: Apache-2.0
"""State and data encrypted by the unit's TPM: what whoever pulls the card has, and what the unit takes back.

Stock cryptsetup on an image of a partition, without device-mapper: what it would map it is asked to test.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from linetap.cli import main
from linetap.errors import DeviceFault
from linetap.tpm import bootpolicy, counter, device, volume
from linetap.tpm.device import TpmFault
from tpm_rig import NEXT_ROOT, ROOT, STRANGE_ROOT, Release, SoftTpm, short_folder

SECRETS = {"unit.key": b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza", "wifi.psk": b"psk=the passphrase of floor 3"}
SIZE = "48M"


@pytest.fixture
def short() -> Iterator[Path]:
    folder = short_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def tpm(short: Path) -> Iterator[SoftTpm]:
    tpm = SoftTpm(short / "a")
    tpm.boot(stages=())
    yield tpm
    tpm.power_off()


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path)


def ext4(tmp_path: Path) -> Path:
    """As the state partition is in the image: full of an ext4."""
    root = tmp_path / "root"
    root.mkdir()
    for name, secret in SECRETS.items():
        (root / name).write_bytes(secret * 20)
    partition = tmp_path / "state.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, partition, SIZE], check=True, timeout=60)
    return partition


@pytest.fixture
def card(tpm: SoftTpm, release: Release, tmp_path: Path) -> Path:
    partition = ext4(tmp_path)
    assert all(secret in partition.read_bytes() for secret in SECRETS.values())
    sealed_for(tmp_path, tpm, release)
    assert step("encrypt", partition, tpm) == 0
    return partition


def sealed_for(tmp_path: Path, tpm: SoftTpm, release: Release) -> None:
    """What is on the boot partition of that card."""
    (tmp_path / "cmdline").write_text(release.command_line())
    options = ["--tpm", str(tpm.path), "--release", str(release.public), "-o", str(tmp_path / "volume.json")]
    assert main(["volume", "make", *options]) == 0


def step(name: str, card: Path, tpm: SoftTpm) -> int:
    sealed, line = card.with_name("volume.json"), card.with_name("cmdline")
    return main(["volume", name, str(card), "--tpm", str(tpm.path), "--sealed", str(sealed), "--boots", str(line)])


def opens(card: Path, tpm: SoftTpm) -> int:
    return step("test", card, tpm)


def key_of(card: Path, tpm: SoftTpm, release: Release) -> bytes:
    return volume.key_in(card.with_name("volume.json"), card, tpm.path, bootpolicy.parse(release.command_line()))


class TestPulled:
    def test_the_card_yields_nothing(self, card: Path) -> None:
        data = card.read_bytes()
        for secret in (*SECRETS.values(), b"unit.key", b"wifi.psk"):
            assert secret not in data
        dump = subprocess.run(["cryptsetup", "luksDump", card], capture_output=True, check=True, timeout=60).stdout
        assert b"cipher: aes-xts-plain64" in dump

    def test_in_its_unit_it_opens_and_holds_what_it_held(self, card: Path, tpm: SoftTpm, release: Release) -> None:
        assert opens(card, tpm) == 0
        key = key_of(card, tpm, release)
        options = [
            "--batch-mode",
            "--force-offline-reencrypt",
            "--header",
            str(card.with_name("header")),
            "--key-file",
            "-",
        ]
        command = ["cryptsetup", "reencrypt", "--decrypt", *options, str(card)]
        subprocess.run(command, input=key, check=True, capture_output=True, timeout=120)
        done = subprocess.run(["e2fsck", "-fn", card], capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout
        for name, secret in SECRETS.items():
            command = ["debugfs", "-R", f"cat {name}", str(card)]
            assert subprocess.run(command, capture_output=True, check=True, timeout=60).stdout == secret * 20

    def test_another_unit_does_not_open_it(self, card: Path, short: Path, capsys: pytest.CaptureFixture[str]) -> None:
        other = SoftTpm(short / "b")
        other.boot(stages=())
        try:
            assert opens(card, other) == 2
        finally:
            other.power_off()
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "made in another TPM" in line

    def test_stock_cryptsetup_without_the_tpm_does_not(self, card: Path) -> None:
        command = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", str(card)]
        for guess in (b"", bytes(32), card.read_bytes()[:32]):
            assert subprocess.run(command, input=guess, capture_output=True, check=False, timeout=60).returncode != 0


class TestBoot:
    @pytest.mark.parametrize(
        ("root", "stages"), [(ROOT, ("run",)), (STRANGE_ROOT, ()), (NEXT_ROOT, ())], ids=["running", "strange", "next"]
    )
    def test_no_other_boot_opens_it_nor_its_own_once_it_runs(
        self, card: Path, tpm: SoftTpm, root: str, stages: tuple[str, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        tpm.boot(root, stages)
        assert opens(card, tpm) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "this boot is none that the release key has signed for linetap-volume" in line

    def test_the_next_version_opens_it_and_so_does_the_one_before(
        self, card: Path, tpm: SoftTpm, release: Release
    ) -> None:
        for root in (ROOT, NEXT_ROOT, ROOT):
            card.with_name("cmdline").write_text(release.command_line(root))
            tpm.boot(root, ())
            assert opens(card, tpm) == 0

    def test_an_encrypting_that_a_power_cut_ended_goes_on(
        self, tpm: SoftTpm, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only the header was written: what is left is done by the next boot."""
        partition = ext4(tmp_path)
        sealed_for(tmp_path, tpm, release)
        cryptsetup = volume._cryptsetup

        def cut(*arguments: str, stdin: bytes = b"") -> bytes:
            if "--resume-only" in arguments:
                raise DeviceFault("volume", "the power went")
            return cryptsetup(*arguments, stdin=stdin)

        with monkeypatch.context() as patch:
            patch.setattr(volume, "_cryptsetup", cut)
            assert step("encrypt", partition, tpm) == 2
        assert SECRETS["wifi.psk"] in partition.read_bytes()
        assert opens(partition, tpm) == 0
        assert SECRETS["wifi.psk"] not in partition.read_bytes()
        assert step("encrypt", partition, tpm) == 0  # once more does no harm
        assert opens(partition, tpm) == 0

    def test_a_boot_partition_that_lost_the_sealed_key_costs_nothing(self, card: Path, tpm: SoftTpm) -> None:
        card.with_name("volume.json").unlink()
        assert opens(card, tpm) == 0

    def test_sealed_key_that_names_a_thiefs_release_key_is_none(
        self, card: Path, tpm: SoftTpm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "thief").mkdir()
        thief = Release(tmp_path / "thief")
        sealed = json.loads(card.with_name("volume.json").read_text())
        card.with_name("volume.json").write_text(json.dumps(sealed | {"release": thief.public.read_text()}))
        card.with_name("cmdline").write_text(thief.command_line(STRANGE_ROOT))
        tpm.boot(STRANGE_ROOT, ())
        assert opens(card, tpm) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "its policy is not that of the release key" in line


class TestWires:
    """Whoever has the unit can lay a probe to the TPM's wires."""

    def test_nobody_who_listens_hears_the_key(
        self, card: Path, tpm: SoftTpm, release: Release, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard = []
        opened = device.open_device

        def listened(path: Path) -> device.Transport:
            transport = opened(path)
            exchange = transport.exchange

            def tell(command: bytes) -> bytes:
                answer = exchange(command)
                heard.extend([command, answer])
                return answer

            monkeypatch.setattr(transport, "exchange", tell)
            return transport

        monkeypatch.setattr(device, "open_device", listened)
        key = key_of(card, tpm, release)
        assert len(key) == 32
        assert len(heard) > 10
        assert all(key not in each for each in heard)
        assert not any(key[:8] in each for each in heard)

    def test_an_answer_that_was_changed_on_the_way_is_none(
        self, card: Path, tpm: SoftTpm, release: Release, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = device.open_device

        def tampered(path: Path) -> device.Transport:
            transport = opened(path)
            exchange = transport.exchange

            def change(command: bytes) -> bytes:
                answer = bytearray(exchange(command))
                if command[6:10] == bytes.fromhex("0000015e"):
                    answer[20] ^= 1
                return bytes(answer)

            monkeypatch.setattr(transport, "exchange", change)
            return transport

        monkeypatch.setattr(device, "open_device", tampered)
        with pytest.raises(TpmFault, match="changed on the way"):
            key_of(card, tpm, release)

    def test_a_storage_key_that_somebody_puts_between_is_another(
        self, card: Path, tpm: SoftTpm, release: Release
    ) -> None:
        sealed = json.loads(card.with_name("volume.json").read_text())
        card.with_name("volume.json").write_text(json.dumps(sealed | {"parent": "000b" + "00" * 32}))
        with pytest.raises(TpmFault, match="its storage key is another"):
            key_of(card, tpm, release)


class TestTakenBack:
    """`state` and `data` stand for what is mounted of an opened card."""

    @pytest.fixture
    def mounted(self, tmp_path: Path) -> list[Path]:
        folders = [tmp_path / "mounted-state", tmp_path / "mounted-data"]
        for folder in folders:
            folder.mkdir()
        return folders

    def fresh(self, tpm: SoftTpm, mounted: list[Path]) -> int:
        return main(["volume", "fresh", "--tpm", str(tpm.path), *map(str, mounted)])

    def test_boot_after_boot_the_card_is_the_units(self, tpm: SoftTpm, mounted: list[Path]) -> None:
        for _ in range(4):
            tpm.boot(stages=())
            assert self.fresh(tpm, mounted) == 0

    @pytest.mark.parametrize("which", [[0], [1], [0, 1]], ids=["state", "data", "both"])
    def test_an_older_copy_is_not_taken_back(
        self, tpm: SoftTpm, mounted: list[Path], which: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.fresh(tpm, mounted) == 0
        for place in which:
            shutil.copytree(mounted[place], tmp_path / f"copy-{place}")
        assert self.fresh(tpm, mounted) == 0
        capsys.readouterr()
        for place in which:
            shutil.rmtree(mounted[place])
            shutil.copytree(tmp_path / f"copy-{place}", mounted[place])
        for _ in range(2):  # and trying again does not help
            assert self.fresh(tpm, mounted) == 1
            (line,) = capsys.readouterr().err.strip().splitlines()
            assert "an older copy, and not taken" in line

    def test_a_card_that_says_nothing_is_none(self, tpm: SoftTpm, mounted: list[Path]) -> None:
        assert self.fresh(tpm, mounted) == 0
        (mounted[0] / ".boots").unlink()
        assert self.fresh(tpm, mounted) == 1

    def test_power_cut_between_card_and_tpm_costs_nothing(
        self, tpm: SoftTpm, mounted: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.fresh(tpm, mounted) == 0

        def cut(_: object) -> int:
            raise TpmFault("tpm_silent", "the power went")

        with monkeypatch.context() as patch:
            patch.setattr(counter, "raise_it", cut)
            assert self.fresh(tpm, mounted) == 2
        for _ in range(2):
            assert self.fresh(tpm, mounted) == 0

    def test_counter_that_was_deleted_does_not_begin_below_where_it_was(
        self, tpm: SoftTpm, mounted: list[Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        for _ in range(3):
            assert self.fresh(tpm, mounted) == 0
        assert tpm.tool("tpm2_nvundefine", "-C", "o", "0x1804C54").returncode == 0
        capsys.readouterr()
        assert self.fresh(tpm, mounted) == 0
        assert capsys.readouterr().out == "boot 4\n"

    def test_a_unit_whose_card_was_sealed_needs_a_sealed_one(self, tpm: SoftTpm, mounted: list[Path]) -> None:
        """A plain card in its place is none: the TPM knows."""
        assert main(["volume", "needed", "--tpm", str(tpm.path)]) == 1
        self.fresh(tpm, mounted)
        assert main(["volume", "needed", "--tpm", str(tpm.path)]) == 0
