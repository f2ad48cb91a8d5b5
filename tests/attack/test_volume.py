# SPDX-License-Identifier: Apache-2.0
"""State and data encrypted by the unit's TPM: who can obtain the key of a card, and which content of a card is trusted.

Stock cryptsetup on images of partitions, without device-mapper: it only tests instead of mapping. hil/test_card.py
tests the whole card in the image's own start, with the kernel's dm-crypt and dm-integrity.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from linetap.provision import cardkey
from linetap.provision.cardkey import BoardHolder, TpmHolder
from linetap.tpm import bootpolicy, device, freshness, volume
from linetap.tpm.device import TpmFault
from linetap_core.cli import main
from linetap_core.durable import copies as twin
from linetap_core.errors import DeviceFault, LinetapError, Refusal
from luks_rig import changed
from tpm_rig import NEXT_ROOT, ROOT, STRANGE_ROOT, Release, SoftTpm, short_folder

SIZE = 4 << 20


@dataclass(frozen=True)
class Sealed:
    """A partition of a card, made like the initramfs's; `line`: its boot's permission on the kernel's command line."""

    path: Path
    secret: bytes
    line: Path

    def test(self, tpm: SoftTpm) -> None:
        secret = volume.secret_of(self.path, tpm.path, bootpolicy.read(self.line))
        assert secret == self.secret
        volume.test(volume.data(self.path), secret)


@pytest.fixture(scope="module")
def short() -> Iterator[Path]:
    folder = short_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def chip(short: Path) -> Iterator[SoftTpm]:
    chip = SoftTpm(short / "a")
    chip.boot(stages=())
    yield chip
    chip.power_off()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def made(chip: SoftTpm, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    folder = tmp_path_factory.mktemp("made")
    path, line = folder / "data.img", folder / "cmdline"
    line.write_text(release.command_line())
    path.write_bytes(bytes(SIZE))
    secret, sealed = volume.seal(chip.path, release.key.public_key(), bootpolicy.read(line))
    volume.format_partition(volume.data(path), secret)
    volume.finish(volume.data(path), sealed)
    return Sealed(path, secret, line)


@pytest.fixture
def tpm(chip: SoftTpm) -> SoftTpm:
    """The unit's TPM, in its own boot, before the root is entered."""
    chip.boot(stages=())
    return chip


@pytest.fixture
def card(made: Sealed, tmp_path: Path) -> Sealed:
    copies = [Path(shutil.copy(path, tmp_path)) for path in (made.path, made.line)]
    return Sealed(copies[0], made.secret, copies[1])


class TestKey:
    def test_in_its_unit_and_its_boot_it_opens(self, card: Sealed, tpm: SoftTpm) -> None:
        card.test(tpm)
        dump = subprocess.run(
            ["cryptsetup", "luksDump", card.path], capture_output=True, check=True, timeout=120
        ).stdout
        assert b"cipher: aes-xts-plain64" in dump

    def test_another_unit_does_not_open_it(self, card: Sealed, short: Path) -> None:
        other = SoftTpm(short / "b")
        other.boot(stages=())
        try:
            with pytest.raises(TpmFault, match="made in another TPM"):
                card.test(other)
        finally:
            other.power_off()

    def test_stock_cryptsetup_without_the_tpm_does_not(self, card: Sealed) -> None:
        """The secret itself as a passphrase does not help: there is no keyslot."""
        command = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", str(card.path)]
        for guess in (b"", bytes(32), card.secret):
            assert subprocess.run(command, input=guess, capture_output=True, check=False, timeout=120).returncode != 0

    @pytest.mark.parametrize(
        ("root", "stages"), [(ROOT, ("run",)), (STRANGE_ROOT, ()), (NEXT_ROOT, ())], ids=["running", "strange", "next"]
    )
    def test_no_other_boot_opens_it_nor_its_own_once_it_runs(
        self, card: Sealed, tpm: SoftTpm, root: str, stages: tuple[str, ...]
    ) -> None:
        tpm.boot(root, stages)
        with pytest.raises(TpmFault, match="the release key has not signed this boot for linetap-volume"):
            card.test(tpm)

    def test_the_next_version_opens_it_and_so_does_the_one_before(
        self, card: Sealed, tpm: SoftTpm, release: Release
    ) -> None:
        for root in (ROOT, NEXT_ROOT, ROOT):
            card.line.write_text(release.command_line(root))
            tpm.boot(root, ())
            card.test(tpm)

    def test_nothing_is_sealed_in_a_boot_that_could_not_open_it(
        self, tpm: SoftTpm, release: Release, tmp_path: Path
    ) -> None:
        (tmp_path / "cmdline").write_text("panic=5 linetap.verity=100:" + ROOT + ":aa\n")
        with pytest.raises(TpmFault, match="release key has not signed this boot"):
            volume.seal(tpm.path, release.key.public_key(), bootpolicy.read(tmp_path / "cmdline"))

    def test_token_that_names_a_thiefs_release_key_is_none(self, card: Sealed, tpm: SoftTpm, tmp_path: Path) -> None:
        (tmp_path / "thief").mkdir()
        thief = Release(tmp_path / "thief")
        changed(card.path, lambda header: header["tokens"]["0"]["sealed"].update(release=thief.public.read_text()))
        card.line.write_text(thief.command_line(STRANGE_ROOT))
        tpm.boot(STRANGE_ROOT, ())
        with pytest.raises(LinetapError, match="its policy is not that of the release key"):
            card.test(tpm)

    def test_each_partition_has_a_key_of_its_own(self, card: Sealed) -> None:
        """One in place of the other is not opened."""
        with pytest.raises(LinetapError):
            volume.test(volume.Partition(card.path, "linetap-state", checked=False), card.secret)


def test_what_the_initramfs_asks_the_tpm_for(tpm: SoftTpm, release: Release, tmp_path: Path) -> None:
    """A new card and its next boots, by the calls of `volume start` (provision/cardkey.py)."""
    path, line = tmp_path / "data.img", tmp_path / "cmdline"
    path.write_bytes(bytes(SIZE))
    line.write_text(release.command_line())
    holder = TpmHolder(tpm.path, line, release.public)
    assert cardkey.of_order("tpm", holder, BoardHolder(tmp_path / "none")) is holder
    secret, token = holder.new()
    volume.format_partition(volume.data(path), secret)
    volume.finish(volume.data(path), token)
    first = holder.begin(tmp_path)
    assert holder.has_encrypted()
    for boot in (first + 1, first + 2):
        tpm.boot(stages=())
        assert cardkey.of_card(path, holder, BoardHolder(tmp_path / "none")) is holder
        volume.test(volume.data(path), holder.secret_of(path))
        assert holder.next_boot(tmp_path) == boot
    tpm.tool("tpm2_nvundefine", "-C", "o", "0x1804C54")


SEGMENTS: dict[str, dict[str, object]] = {
    "in the clear": {"encryption": "cipher_null-ecb"},
    "a weaker cipher": {"encryption": "aes-ecb"},
    "smaller sectors": {"sector_size": 512},
    "a part of it": {"size": "4194304"},
    "another tweak": {"iv_tweak": "8"},
    "a segment that is mapped as it is": {"type": "linear"},
    "checked where it is not": {
        "integrity": {"type": "none", "journal_encryption": "none", "journal_integrity": "none"}
    },
    "what a version to come knows": {"flags": ["unknown"]},
}


class TestHeader:
    """A LUKS2 header is unsigned; with `cipher_null` a unit would write its secrets in the clear."""

    def test_the_checksums_are_as_luks_wants_them(self, card: Sealed, tpm: SoftTpm) -> None:
        changed(card.path, dict.copy)
        card.test(tpm)

    @pytest.mark.parametrize("changes", SEGMENTS.values(), ids=SEGMENTS)
    def test_a_changed_header_is_refused(self, card: Sealed, changes: dict[str, object]) -> None:
        changed(card.path, lambda header: header["segments"]["0"].update(changes))
        with pytest.raises(LinetapError):
            volume.test(volume.data(card.path), card.secret)

    def test_our_own_check_refuses_a_header_that_cryptsetup_would_map(self, card: Sealed) -> None:
        changed(card.path, lambda header: header["segments"]["0"].update(encryption="cipher_null-ecb"))
        dump = subprocess.run(
            ["cryptsetup", "luksDump", card.path], capture_output=True, check=True, timeout=120
        ).stdout
        assert b"cipher: cipher_null-ecb" in dump
        with pytest.raises(Refusal, match="it was changed"):
            volume.test(volume.data(card.path), card.secret)

    def test_keyslot_that_somebody_added_is_refused(self, card: Sealed, tmp_path: Path) -> None:
        """In a keyslot with the null cipher any passphrase opens a volume whose key the thief has chosen."""
        theirs = tmp_path / "thiefs.img"
        theirs.write_bytes(bytes(SIZE))
        options = ["--type", "luks2", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
        command = ["cryptsetup", "luksFormat", *options, "--key-file", "-", str(theirs)]
        subprocess.run(command, input=card.secret, check=True, capture_output=True, timeout=120)
        with pytest.raises(Refusal, match="it was changed"):
            volume.test(volume.data(theirs), card.secret)

    def test_a_volume_key_of_the_thiefs_is_not_ours(self, card: Sealed, tpm: SoftTpm, tmp_path: Path) -> None:
        """The header is as linetap makes it, the token the unit's own, and its maker knows the volume key."""
        theirs = tmp_path / "thiefs.img"
        theirs.write_bytes(bytes(SIZE))
        volume.format_partition(volume.data(theirs), b"a secret that the thief has made")
        export = ["cryptsetup", "token", "export", "--token-id", "0"]
        token = subprocess.run([*export, card.path], capture_output=True, check=True, timeout=120).stdout
        command = ["cryptsetup", "token", "import", "--token-id", "0", str(theirs)]
        subprocess.run(command, input=token, check=True, timeout=120)
        with pytest.raises(LinetapError):
            Sealed(theirs, card.secret, card.line).test(tpm)


class TestWires:
    """An attacker with the unit can probe the TPM's wires."""

    def test_nobody_who_listens_hears_the_key(
        self, card: Sealed, tpm: SoftTpm, monkeypatch: pytest.MonkeyPatch
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
        card.test(tpm)
        assert len(heard) > 10
        assert not any(card.secret[:8] in each for each in heard)

    def test_an_answer_that_was_changed_on_the_way_is_none(
        self, card: Sealed, tpm: SoftTpm, monkeypatch: pytest.MonkeyPatch
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
            card.test(tpm)

    def test_a_storage_key_that_somebody_puts_between_is_another(self, card: Sealed, tpm: SoftTpm) -> None:
        changed(card.path, lambda header: header["tokens"]["0"]["sealed"].update(parent="000b" + "00" * 32))
        with pytest.raises(TpmFault, match="its storage key differs"):
            card.test(tpm)


class TestTakenBack:
    """`state` and `data` are the mounted partitions of an opened card."""

    @pytest.fixture
    def state(self, tmp_path: Path, tpm: SoftTpm) -> Path:
        folder = tmp_path / "state"
        folder.mkdir()
        tpm.tool("tpm2_nvundefine", "-C", "o", "0x1804C54")  # from the previous test
        with_tpm(tpm, lambda transport: freshness.begin(folder, transport))
        return folder

    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        folder = tmp_path / "data"
        folder.mkdir()
        return folder

    def test_boot_after_boot_the_card_is_the_units(self, tpm: SoftTpm, state: Path, data: Path) -> None:
        assert follows(state, data) == 0
        for _ in range(4):
            tpm.boot(stages=())
            checked(tpm, state)
            assert follows(state, data) == 0

    def test_an_older_copy_is_not_taken_back(self, tpm: SoftTpm, state: Path, tmp_path: Path) -> None:
        shutil.copytree(state, tmp_path / "copy")
        checked(tpm, state)
        checked(tpm, state)
        shutil.rmtree(state)
        shutil.copytree(tmp_path / "copy", state)
        for _ in range(2):  # retrying does not help
            with pytest.raises(freshness.Stale, match="an older copy, and not taken"):
                checked(tpm, state)

    def test_a_copy_made_between_card_and_tpm_is_not_taken_back(
        self, tpm: SoftTpm, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The power is cut at that moment, so card and TPM differ, as after any such cut."""
        with monkeypatch.context() as patch:
            patch.setattr(freshness, "raise_counter", without_power)
            with pytest.raises(TpmFault, match="the power went"):
                checked(tpm, state)
        shutil.copytree(state, tmp_path / "copy")
        checked(tpm, state)
        shutil.rmtree(state)
        shutil.copytree(tmp_path / "copy", state)
        with pytest.raises(freshness.Stale, match="an older copy, and not taken"):
            checked(tpm, state)

    def test_the_unit_s_earlier_card_is_not_taken_back(self, tpm: SoftTpm, state: Path, tmp_path: Path) -> None:
        new = tmp_path / "new"
        new.mkdir()
        with_tpm(tpm, lambda transport: freshness.begin(new, transport))
        with pytest.raises(freshness.Stale, match="an older copy, and not taken"):
            checked(tpm, state)
        checked(tpm, new)

    def test_an_older_copy_of_data_alone_is_not_taken_back(
        self, tpm: SoftTpm, state: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert follows(state, data) == 0
        shutil.copytree(data, tmp_path / "copy")
        checked(tpm, state)
        assert follows(state, data) == 0
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "copy", data)
        for _ in range(2):
            checked(tpm, state)
            assert follows(state, data) == 1
            (line,) = capsys.readouterr().err.strip().splitlines()
            assert "an older copy, and not taken" in line

    def test_a_new_data_partition_is_none(self, tpm: SoftTpm, state: Path, data: Path) -> None:
        assert follows(state, data) == 0
        (data / freshness.NAME).unlink()
        checked(tpm, state)
        assert follows(state, data) == 1

    def test_data_that_could_not_be_mounted_for_some_boots_is_taken_when_it_can(
        self, tpm: SoftTpm, state: Path, data: Path
    ) -> None:
        assert follows(state, data) == 0
        for _ in range(3):
            checked(tpm, state)
        assert follows(state, data) == 0

    @pytest.mark.parametrize("name", [freshness.NAME, freshness.DATA])
    def test_a_card_that_says_nothing_or_anything_is_none(
        self, tpm: SoftTpm, state: Path, data: Path, name: str
    ) -> None:
        assert follows(state, data) == 0
        for text in ("", "-1", "x", "99999999999999999999999999", "\0", "[8, 9]", "null"):
            for each in (state / name, twin.twin_of(state / name)):
                each.write_text(text)
            if name == freshness.NAME:
                with pytest.raises(freshness.Stale):
                    checked(tpm, state)
            else:
                assert follows(state, data) == 1

    @pytest.mark.parametrize("cut_after", range(1, 4))
    def test_power_cut_between_card_and_tpm_costs_nothing(
        self, tpm: SoftTpm, state: Path, data: Path, cut_after: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After each write of a boot."""
        assert follows(state, data) == 0
        left, write, raise_counter = [cut_after], twin.replace_both, freshness.raise_counter

        def cut(deed: Callable[..., Any]) -> Callable[..., Any]:
            def done(*what: Any) -> Any:
                if not left[0]:
                    raise TpmFault("tpm_silent", "the power went")
                left[0] -= 1
                return deed(*what)

            return done

        with monkeypatch.context() as patch:
            patch.setattr(twin, "replace_both", cut(write))
            patch.setattr(freshness, "raise_counter", cut(raise_counter))
            with pytest.raises(TpmFault, match="the power went"):
                one_start(tpm, state, data)
        for _ in range(2):
            checked(tpm, state)
            assert follows(state, data) == 0

    def test_counter_that_was_deleted_makes_the_card_none_and_begins_no_lower(self, tpm: SoftTpm, state: Path) -> None:
        last = [checked(tpm, state) for _ in range(3)][-1]
        assert tpm.tool("tpm2_nvundefine", "-C", "o", "0x1804C54").returncode == 0
        with pytest.raises(freshness.Stale):
            checked(tpm, state)
        assert with_tpm(tpm, lambda transport: freshness.begin(state, transport)) > last


def with_tpm[T](tpm: SoftTpm, deed: Callable[[device.Transport], T]) -> T:
    transport = device.open_device(tpm.path)
    try:
        return deed(transport)
    finally:
        transport.close()


def without_power(*_: object) -> int:
    raise TpmFault("tpm_silent", "the power went")


def checked(tpm: SoftTpm, state: Path) -> int:
    return with_tpm(tpm, lambda transport: freshness.check_state(state, transport))


def one_start(tpm: SoftTpm, state: Path, data: Path) -> None:
    checked(tpm, state)
    freshness.check_data(state, data)


def follows(state: Path, data: Path) -> int:
    return main(["volume", "follows", str(state), str(data)])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            r"mount: can't read superblock.\n       dmesg(1) may have more information.\n",
            "mount: can't read superblock.",
        ),
        ("WARNING: small\nNo key available.\n", "No key available."),
        ("", "no output"),
    ],
)
def test_what_a_stock_tool_says_comes_in_one_line(said: str, told: str) -> None:
    with pytest.raises(DeviceFault) as raised:
        volume.run("sh", "-c", 'printf "$1" >&2; exit 1', "sh", said)
    assert str(raised.value).endswith(f": sh: {told}")
