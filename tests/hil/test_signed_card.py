# SPDX-License-Identifier: Apache-2.0
"""A signed card in the emulated machine, started by a boot loader that accepts only images signed by its key; the
kernel's own vfat changes its slot, and every write is recorded below the file system.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from cardwrites import first_partition, logged, states, writes
from signedmachine import Signed, SignedMachine

import pi_firmware
from pi_firmware import Fat

pytestmark = pytest.mark.hil


def test_a_signed_card_starts_and_its_slot_is_named_anew_by_writes_of_any_order(tmp_path: Path) -> None:
    """a signed card starts; autoboot.txt names one slot or the other after each write, in any order between flushes"""
    signed = Signed.new(tmp_path / "signed")
    card = signed.make("0.1.0", "card") / "linetap.img"
    (tmp_path / "unit").mkdir()
    with SignedMachine(tmp_path / "unit", card, signed.public) as machine:
        log, first = tmp_path / "writes", tmp_path / "first"
        machine.drive = logged(machine, log)
        machine.boot()
        assert machine.run("/usr/lib/linetap/slots", "get-current") == "a"
        assert machine.run("/usr/lib/linetap/slots", "get-primary") == "a"
        machine.run("sync", "/boot/firmware")
        seen = len(list(writes(log)))
        first_partition(machine, first)
        machine.run(
            "sh", "-euc", ". /usr/lib/linetap/bootfiles; . /usr/lib/linetap/autoboot; autoboot_write /boot/firmware b"
        )
        machine.cut()
        found = list(writes(log))[seen:]
    assert [write for write in found if write.is_flush], "the card is never told to flush"
    starts = []
    for _ in states(first, found):
        text = Fat(first).read("autoboot.txt")
        assert text is not None, "there is none: the unit stays dark"
        starts.append(pi_firmware.autoboot(text, tryboot=False))
        assert pi_firmware.autoboot(text, tryboot=True) == (5 - starts[-1][0], True)
    assert set(starts) == {(2, True), (3, True)}
    assert starts[-1] == (3, True)
