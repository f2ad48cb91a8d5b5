# SPDX-License-Identifier: Apache-2.0
"""A card encrypted with the key in the fuses of an emulated Pi 4B: the shipped image, kernel and module.

QEMU models the rows of the fuses and the firmware's requests for them (hw/nvram/bcm2835_otp.c,
hw/misc/bcm2835_property.c), but not the firmware's lock. Each start runs until the initramfs has finished with the
card; then the power is cut. The later steps are those with a TPM (test_card.py).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hil_table import NOTES
from pi import Pi
from rig import Office
from test_card import content

from linetap.tpm import boardkey, volume

pytestmark = pytest.mark.hil
LATE_S = 900
KEY, OTHER = bytes.fromhex("f8dbc7b0a4fcfb1d706e298ac9d0485c2226ce8df7f7596ac77337bd09fbe160"), bytes(range(7, 39))
SAID = re.compile(r"linetap: (card (?:sealed|refused|plain).*)")
# Traces of the key once the card is open; then the module again, which no unit loads.
LATE = r"""
say_hil() { echo "<1>hil: $*" >/dev/kmsg; }
FILE=/sys/kernel/linetap_otp/private_key
say_hil "modules $(grep -c linetap_otp /proc/modules)"
say_hil "firmware$(dmesg | grep -o 'linetap_otp: th.*' | head -n 1 | cut -d: -f2)"
say_hil "closed $([ -e $FILE ] && echo no || echo yes)"
say_hil "in the root $(find /new/usr/lib/modules -name 'linetap_otp*' | wc -l)"
say_hil "state $(grep ' /new/state ' /proc/mounts | cut -d' ' -f1)"
if insmod /modules/linetap_otp.ko; then
  say_hil "mode $(stat -c %a $FILE)"
  say_hil "key $(cat $FILE)"
  say_hil "again $(cat $FILE 2>&1)"
  rmmod linetap_otp
else
  say_hil "no key"
fi
say_hil "late"
"""


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office.new(tmp_path / "office")


def begun(pi: Pi, key: bytes | None) -> str:
    """Starts it in a board with these fuses; returns the console's output until the card is opened, or refused."""
    pi.fuses = key
    pi.console.unlink(missing_ok=True)
    pi.start()
    said = pi.says("hil: late", LATE_S)
    assert "hil: late" in said, said[-3000:]
    NOTES.extend(SAID.findall(said))
    return said


def stock_opens(card: Path, key: bytes) -> bool:
    """Whether openssl and cryptsetup open the data partition with the copy of the key that was kept when it was burnt
    in.
    """
    token = volume.token_of(card)
    assert isinstance(token, boardkey.OtpToken)
    secret = derived(key, f"hexsalt:{token.salt}", "linetap-card", 32)
    volume_key = card.with_suffix(".key")
    volume_key.write_bytes(derived(secret, "hexsalt:00", "linetap-data", 64))
    words = ["cryptsetup", "open", "--test-passphrase", "--key-size", "512", "--volume-key-file", str(volume_key)]
    return subprocess.run([*words, str(card)], capture_output=True, check=False, timeout=120).returncode == 0


def derived(key: bytes, salt: str, purpose: str, length: int) -> bytes:
    words = ["openssl", "kdf", "-keylen", str(length), "-binary"]
    for option in ("digest:SHA256", f"hexkey:{key.hex()}", salt, f"info:{purpose}"):
        words += ["-kdfopt", option]
    return subprocess.run([*words, "HKDF"], capture_output=True, check=True, timeout=60).stdout


def test_a_card_that_the_boards_key_opens_yields_nothing_in_another_board(office: Office, tmp_path: Path) -> None:
    """an emulated Pi 4B with a key in its fuses: its card is encrypted, and no other board opens it, nor one without"""
    with Pi(tmp_path, LATE) as pi:
        pi.put("linetap.toml", office.card("--encrypt", "otp", lines=2))
        said = begun(pi, KEY)
        assert "card sealed by the key in the board's fuses (OTP), boot 1" in said
        assert "hil: firmware this firmware has no lock" in said
        for line in (
            "modules 0", "closed yes", "in the root 0", "state /dev/mapper/linetap-state", "mode 400",
            f"key {KEY.hex()}",
        ):  # fmt: skip
            assert f"hil: {line}\n" in said.replace("\r", ""), line
        assert re.search(r"hil: again .*: No data available", said)
        pi.cut()

        pulled = tmp_path / "data.img"
        pulled.write_bytes(content(pi, "linetap-data"))
        state = content(pi, "linetap-state")
        for words in (KEY, KEY.hex().encode()):
            assert words not in state + pulled.read_bytes()
        assert b"lost+found" not in state, "dm-integrity has written each block of it anew"
        assert stock_opens(pulled, KEY)
        assert not stock_opens(pulled, OTHER)

        assert "another board's fuses" in refusal(begun(pi, OTHER))
        pi.cut()
        assert "this board has no key in its fuses" in refusal(begun(pi, None))
        pi.cut()
        said = begun(pi, KEY)
        assert "card sealed by the key in the board's fuses (OTP), boot 2" in said
        assert "hil: state /dev/mapper/linetap-state" in said


def refusal(said: str) -> str:
    """The line of a refusal, after which RAM replaces the card."""
    assert "hil: state linetap-lost" in said
    return str(SAID.findall(said)[-1])
