# SPDX-License-Identifier: Apache-2.0
"""State and data encrypted with the key in the board's fuses (OTP): who can obtain the secret of a card.

Stock openssl derives the same secret, and stock cryptsetup opens with it. hil/test_pi_fuses.py tests the whole card, in
an emulated Pi whose firmware gives its key to the image's own module.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from linetap.provision import cardkey
from linetap.provision.cardkey import BoardHolder, TpmHolder
from linetap.tpm import boardkey, freshness, volume
from linetap.tpm.device import open_device
from linetap_core.cli import main
from linetap_core.errors import BadInput, DeviceFault, LinetapError, Refusal
from luks_rig import changed
from tpm_rig import SoftTpm, short_folder

SIZE = 4 << 20
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
NO_TPM = TpmHolder(Path("/nowhere/tpmrm0"))


@dataclass(frozen=True)
class Made:
    """A partition of a card, made like the initramfs's in a board whose fuses contain the key of `board`."""

    path: Path
    secret: bytes
    board: BoardHolder

    def test(self, board: BoardHolder, tpm: TpmHolder = NO_TPM) -> None:
        secret = cardkey.of_card(self.path, tpm, board).secret_of(self.path)
        assert secret == self.secret
        volume.test(volume.data(self.path), secret)


def burnt(folder: Path, key: bytes) -> BoardHolder:
    """A board's key in the form of Raspberry Pi's rpi-otp-private-key, through the image's module."""
    path = folder / f"otp-{key.hex()[:8]}"
    path.write_text(f"{key.hex()}\n")
    return BoardHolder(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    path, board = folder / "data.img", burnt(folder, KEY)
    path.write_bytes(bytes(SIZE))
    secret, token = board.new()
    volume.format_partition(volume.data(path), secret)
    volume.finish(volume.data(path), token)
    return Made(path, secret, board)


@pytest.fixture
def card(made: Made, tmp_path: Path) -> Made:
    return Made(Path(shutil.copy(made.path, tmp_path)), made.secret, made.board)


@pytest.fixture
def tpm() -> Iterator[SoftTpm]:
    folder = short_folder()
    tpm = SoftTpm(folder / "a")
    tpm.boot(stages=())
    yield tpm
    tpm.power_off()
    shutil.rmtree(folder)


def stock(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, input=stdin, capture_output=True, check=False, timeout=120)


def derived(key: bytes, salt: str, purpose: str, length: int) -> bytes:
    """HKDF of SHA-256 (RFC 5869), by openssl."""
    options = ["digest:SHA256", f"hexkey:{key.hex()}", f"info:{purpose}", *([f"hexsalt:{salt}"] if salt else [])]
    words = [word for option in options for word in ("-kdfopt", option)]
    told = stock("openssl", "kdf", "-keylen", str(length), *words, "-binary", "HKDF")
    assert told.returncode == 0, told.stderr
    return told.stdout


def token_of(path: Path) -> boardkey.OtpToken:
    token = volume.token_of(path)
    assert isinstance(token, boardkey.OtpToken)
    return token


class TestKey:
    def test_in_its_board_it_opens(self, card: Made) -> None:
        card.test(card.board)

    def test_another_board_does_not_open_it(self, card: Made, tmp_path: Path) -> None:
        with pytest.raises(Refusal, match="encrypted with the key in another board's fuses"):
            card.test(burnt(tmp_path, OTHER))

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (None, "No such file or directory: this board has no key in its fuses"),
            ("00" * 32 + "\n", "zeros: no key is burnt"),
            ("", "not a key of 64 hex digits"),
            ("0x" + "1f" * 31 + "\n", "not a key of 64 hex digits"),
            ("1f" * 64 + "\n", "not a key of 64 hex digits"),
        ],
        ids=["none", "zeros", "empty", "words", "too long"],
    )
    def test_a_board_without_a_key_opens_and_makes_nothing(
        self, card: Made, tmp_path: Path, text: str | None, why: str
    ) -> None:
        board = BoardHolder(tmp_path / "private_key")
        if text is not None:
            board.path.write_text(text)
        with pytest.raises(BadInput, match=why):
            card.test(board)
        with pytest.raises(BadInput, match=why):
            board.new()

    def test_stock_tools_open_it_for_whoever_has_the_key(self, card: Made, tmp_path: Path) -> None:
        """With the copy of the key that was kept when it was burnt in: only openssl and cryptsetup."""
        secret = derived(KEY, token_of(card.path).salt, "linetap-card", 32)
        assert secret == card.secret
        (tmp_path / "volume.key").write_bytes(derived(secret, "", "linetap-data", 64))
        words = ("--test-passphrase", "--key-size", "512", "--volume-key-file", str(tmp_path / "volume.key"))
        assert stock("cryptsetup", "open", *words, str(card.path)).returncode == 0
        (tmp_path / "volume.key").write_bytes(derived(secret, "", "linetap-state", 64))
        assert stock("cryptsetup", "open", *words, str(card.path)).returncode != 0

    def test_the_commands_of_the_document_open_it(self, card: Made, tmp_path: Path) -> None:
        text = (Path(__file__).parents[2] / "docs/tpm.md").read_text()
        (commands,) = re.findall(r"```bash\n(data=.*?)```", text, re.DOTALL)
        commands = commands.replace("/dev/disk/by-partlabel/linetap-data", str(card.path))
        commands = commands.replace("$data linetap-data", "--test-passphrase $data")
        for key, status in ((KEY, 0), (OTHER, 1)):
            (tmp_path / "board.key").write_text(f"{key.hex()}\n")
            told = subprocess.run(["bash", "-c", commands], cwd=tmp_path, capture_output=True, check=False, timeout=120)
            assert min(told.returncode, 1) == status, told.stderr

    def test_stock_cryptsetup_without_it_does_not(self, card: Made) -> None:
        """The key or the secret itself as a passphrase does not help: there is no keyslot."""
        for guess in (b"", bytes(32), KEY, KEY.hex().encode(), card.secret):
            told = stock("cryptsetup", "open", "--test-passphrase", "--key-file", "-", str(card.path), stdin=guess)
            assert told.returncode != 0

    def test_no_byte_of_key_or_secret_is_in_the_partition(self, card: Made) -> None:
        content = card.path.read_bytes()
        for each in (KEY, card.secret):
            assert each[:8] not in content
            assert each.hex()[:16].encode() not in content

    def test_two_cards_of_a_board_have_two_secrets(self, card: Made) -> None:
        assert card.board.new()[0] != card.secret


class TestToken:
    """A LUKS2 header is unsigned: anybody with the card can write any token."""

    def test_another_salt_is_another_card(self, card: Made) -> None:
        changed(card.path, lambda header: header["tokens"]["0"].update(salt="5a" * 32))
        with pytest.raises(Refusal):
            card.test(card.board)

    @pytest.mark.parametrize("salt", ["", "5a", "no digits", "5a" * 33])
    def test_one_that_is_none_is_refused_in_one_line(self, card: Made, salt: str) -> None:
        changed(card.path, lambda header: header["tokens"]["0"].update(salt=salt))
        with pytest.raises(Refusal, match="none of linetap's") as refused:
            card.test(card.board)
        assert "\n" not in str(refused.value)

    def test_a_thiefs_token_names_the_thiefs_board(self, card: Made) -> None:
        _, theirs = boardkey.new(OTHER)
        changed(card.path, lambda header: header["tokens"]["0"].update(salt=theirs.salt, check=theirs.check))
        with pytest.raises(Refusal, match="another board's fuses"):
            card.test(card.board)

    def test_a_volume_key_of_the_thiefs_is_not_ours(self, card: Made, tmp_path: Path) -> None:
        theirs = tmp_path / "thiefs.img"
        theirs.write_bytes(bytes(SIZE))
        volume.format_partition(volume.data(theirs), b"a secret that the thief has made")
        volume.finish(volume.data(theirs), token_of(card.path))
        with pytest.raises(DeviceFault):
            Made(theirs, card.secret, card.board).test(card.board)

    @pytest.mark.parametrize("kind", ["linetap-else", "systemd-tpm2"])
    def test_one_of_another_kind_is_none(self, card: Made, kind: str) -> None:
        changed(card.path, lambda header: header["tokens"]["0"].update(type=kind))
        with pytest.raises(LinetapError, match="none of linetap's"):
            card.test(card.board)


class TestWhich:
    """A TPM and a key in the fuses: the TPM has priority, and neither replaces the other."""

    def test_the_order_names_it(self, card: Made, tpm: SoftTpm, tmp_path: Path) -> None:
        holder, none = TpmHolder(tpm.path), BoardHolder(tmp_path / "none")
        assert cardkey.of_order("otp", NO_TPM, card.board).name == "otp"
        assert cardkey.of_order("tpm", holder, card.board).name == "tpm"
        with pytest.raises(
            Refusal, match='this unit has a TPM, which is stronger than the key in the fuses: "tpm" expected'
        ):
            cardkey.of_order("otp", holder, card.board)
        with pytest.raises(Refusal, match="this unit has no TPM"):
            cardkey.of_order("tpm", NO_TPM, card.board)
        with pytest.raises(Refusal, match="no key is burnt into the fuses"):
            cardkey.of_order("otp", NO_TPM, none)

    def test_a_unit_whose_card_its_tpm_held_takes_none_of_a_boards_key(
        self, card: Made, tpm: SoftTpm, tmp_path: Path
    ) -> None:
        """Burning one's own key into the board does not make a valid card for it."""
        holder = TpmHolder(tpm.path)
        card.test(card.board, holder)
        transport = open_device(tpm.path)
        freshness.begin(tmp_path, transport)
        transport.close()
        with pytest.raises(Refusal, match="this unit's card with its TPM: not taken"):
            card.test(card.board, holder)

    def test_the_tpms_own_reading_takes_no_boards_token(self, card: Made, tpm: SoftTpm) -> None:
        with pytest.raises(BadInput, match="its token is of no TPM"):
            TpmHolder(tpm.path).secret_of(card.path)


class TestBoots:
    """No TPM: data is compared with the number on state, and state with nothing."""

    @pytest.fixture
    def card_folders(self, tmp_path: Path, made: Made) -> tuple[Path, Path]:
        state, data = tmp_path / "state", tmp_path / "data"
        state.mkdir()
        data.mkdir()
        assert made.board.begin(state) == 1
        assert main(["volume", "follows", str(state), str(data)]) == 0
        return state, data

    def test_boot_after_boot_the_card_is_the_units(self, made: Made, card_folders: tuple[Path, Path]) -> None:
        state, data = card_folders
        for boot in range(2, 5):
            assert made.board.next_boot(state) == boot
            assert main(["volume", "follows", str(state), str(data)]) == 0

    def test_an_older_copy_of_data_alone_is_not_taken_back(
        self, made: Made, card_folders: tuple[Path, Path], tmp_path: Path
    ) -> None:
        state, data = card_folders
        shutil.copytree(data, tmp_path / "copy")
        made.board.next_boot(state)
        assert main(["volume", "follows", str(state), str(data)]) == 0
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "copy", data)
        made.board.next_boot(state)
        assert main(["volume", "follows", str(state), str(data)]) == 1

    def test_a_card_without_a_number_is_none(self, made: Made, tmp_path: Path) -> None:
        with pytest.raises(freshness.Stale, match="not as this unit left it"):
            made.board.next_boot(tmp_path)


def test_the_command_tests_a_card_by_a_key_from_paper(
    card: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`volume test` needs a state partition, which dm-integrity checks: here it only gets as far as the board's key."""
    words = ["volume", "test", "--tpm", "/nowhere/tpmrm0", str(card.path), "--board-key"]
    assert main([*words, str(burnt(tmp_path, OTHER).path)]) != 0
    assert "another board's fuses" in capsys.readouterr().err
