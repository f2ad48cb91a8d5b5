# SPDX-License-Identifier: Apache-2.0
"""The EEPROM's boot loader, from a version that contains one to the restart that uses it: once, between two calls, with
this board's configuration, and continued after any power cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from eeprom_rig import Pi, PowerCut

from eeprom_file import FACTORY, NEW_S, OLD_S, OURS, image
from linetap.idle import HOLDS_S, line_in_use
from linetap.update import eeprom, eepromfiles, state
from linetap_core.records import UpdateState


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_a_newer_one_is_written_with_this_boards_configuration(pi: Pi) -> None:
    pi.start()
    assert (pi.state.step, pi.restarts) == ("trying", 1)
    assert (pi.folder / eepromfiles.KEPT_CONFIG).read_bytes() == OURS
    pi.start()
    assert (pi.rom.running.built_s, pi.rom.running.config) == (NEW_S, OURS)
    assert (pi.state.step, pi.state.before_s, pi.state.wanted_s) == ("done", OLD_S, NEW_S)
    assert pi.told == f"done before={OLD_S} wanted={NEW_S}"
    assert pi.left() == set()
    pi.start()
    assert (pi.restarts, pi.rom.runs) == (1, 1), "it is written once"


def test_a_line_in_use_keeps_the_machine_up(pi: Pi) -> None:
    seen: list[tuple[float, str, set[str]]] = []
    pi.clock.doing = lambda s: "recording" if s < 500 else "idle"
    pi.clock.passes = lambda s: seen.append((s, pi.state.step, pi.left()))
    pi.start()
    assert {(step, not left) for s, step, left in seen if s < 500 + HOLDS_S} == {("waiting", True)}
    assert pi.restarts == 1


def test_a_line_that_is_never_idle_is_reported_and_not_cut(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eeprom, "WAIT_DAYS", 0.01)
    pi.clock.doing = lambda _: "recording"
    pi.start()
    assert (pi.state.code, pi.restarts, pi.left()) == ("eeprom_busy", 0, set())


class TestACallThatBeginsMeanwhile:
    """After the pause was found, two megabytes are written and read back, and the line rings."""

    @pytest.fixture
    def slow(self, pi: Pi, monkeypatch: pytest.MonkeyPatch) -> Pi:
        """A card on which reading back takes three seconds. The line is in use from then on for ten minutes."""
        read = eepromfiles._read_again

        def slowly(path: Path) -> bytes:
            end = pi.clock.seconds + 600
            pi.clock.doing = lambda s: "recording" if s < end else "idle"
            pi.clock.sleep(3)
            return read(path)

        monkeypatch.setattr(eepromfiles, "_read_again", slowly)
        return pi

    def test_is_not_cut(self, slow: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
        at_restart: list[str | None] = []
        restart = slow._restart

        def look_and_restart() -> None:
            at_restart.append(line_in_use(slow.unit, None, slow.clock))
            restart()

        monkeypatch.setattr(slow, "_restart", look_and_restart)
        slow.start()
        assert at_restart == [None]
        assert slow.clock.seconds > 600
        slow.start()
        assert (slow.state.step, slow.rom.running.built_s, slow.rom.running.config) == ("done", NEW_S, OURS)

    def test_that_never_ends_is_reported_and_leaves_nothing(self, slow: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(eeprom, "WAIT_DAYS", 0.005)
        slow.start()
        assert (slow.state.code, slow.restarts, slow.left()) == ("eeprom_busy", 0, set())

    def test_with_a_power_cut_in_it_is_begun_again_and_not_counted(self, slow: Pi) -> None:
        """Nothing was to be written yet, so the old boot loader starts. More such cuts than it has starts."""

        def cut(s: float) -> None:
            if s > began + 200:
                raise PowerCut

        for _ in range(eeprom.MOST_STARTS + 1):
            began, slow.clock.doing, slow.clock.passes = slow.clock.seconds, lambda _: "idle", cut
            with pytest.raises(PowerCut):
                slow.start()
            assert not eepromfiles.is_pending(slow.boot)
            assert slow.state.step == "waiting"
        slow.clock.doing, slow.clock.passes = lambda _: "idle", lambda _: None
        slow.start()
        assert (slow.rom.runs, slow.restarts) == (0, 1)
        slow.start()
        assert (slow.state.step, slow.rom.runs) == ("done", 1)

    def test_waits_for_an_update_that_has_begun_meanwhile(self, pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its trial is started by the firmware once: recovery.bin's own restart would end that."""
        read = eepromfiles._read_again

        def requested(path: Path) -> bytes:
            state.save(pi.folder, UpdateState(step="waiting", version="0.2.0", sha256="", by="command", at=""))
            return read(path)

        monkeypatch.setattr(eepromfiles, "_read_again", requested)
        armed: list[bool] = []

        def passes(s: float) -> None:
            armed.append(eepromfiles.is_pending(pi.boot))
            if s > 600:
                (pi.folder / state.STATE).unlink(missing_ok=True)

        pi.clock.passes = passes
        pi.start()
        assert (pi.restarts, set(armed)) == (1, {False})
        assert pi.clock.seconds > 600


def test_the_eeprom_waits_for_an_update_that_is_being_installed(pi: Pi) -> None:
    under_way = UpdateState(step="installing", version="0.2.0", sha256="", by="command", at="")
    state.save(pi.folder, under_way)
    pi.clock.passes = lambda s: (pi.folder / state.STATE).unlink(missing_ok=True) if s > 600 else None
    pi.start()
    assert pi.restarts == 1
    assert pi.clock.seconds > 600


def test_a_version_on_trial_brings_none(pi: Pi) -> None:
    pi.machine.current = "b"
    pi.start()
    assert (pi.restarts, pi.left()) == (0, set())


@pytest.mark.parametrize("built_s", [OLD_S - 1, OLD_S])
def test_an_older_one_only_where_the_image_says_so(pi: Pi, built_s: int) -> None:
    pi.bring(image(pi.chip, built_s))
    pi.start()
    assert pi.restarts == 0
    pi.put(f"{eeprom.IMAGES}/{pi.chip}/older", "")
    pi.start()
    assert pi.restarts == (1 if built_s < OLD_S else 0)
    pi.start()
    assert pi.rom.running.built_s == built_s


def test_no_image_no_pi_no_boot_partition(pi: Pi) -> None:
    for name in ("boot/firmware/config.txt", "proc/device-tree/compatible", f"{eeprom.IMAGES}/{pi.chip}/pieeprom.bin"):
        (pi.root / name).unlink()
        pi.start()
    assert pi.restarts == 0


def _no_config(pi: Pi) -> None:
    (pi.root / "sys/firmware/devicetree/base/aliases/blconfig").unlink()


def _config(text: bytes) -> Callable[[Pi], None]:
    def change(pi: Pi) -> None:
        pi.rom.written = pi.rom.running.with_config(OURS + text, 1)

    return change


REFUSED: dict[str, tuple[str, Callable[[Pi], None]]] = {
    "another board's": ("eeprom_image", lambda pi: pi.bring(image("bcm2712", NEW_S))),
    "a module": ("eeprom_board", lambda pi: pi.model("raspberrypi,4-compute-module")),
    "a module of the form of a CM3": ("eeprom_board", lambda pi: pi.model("raspberrypi,4s-compute-module")),
    "a USB disk": ("eeprom_board", lambda pi: pi.put("proc/mounts", "/dev/sda1 /boot/firmware vfat rw 0 0\n")),
    "a newer board": ("eeprom_board", lambda pi: pi.put("proc/device-tree/chosen/rpi-min-boot-ver", b"\0\0\0\2")),
    "no configuration": ("eeprom_config", _no_config),
    "frozen": ("eeprom_frozen", _config(b"FREEZE_VERSION=1\n")),
    "signed": ("eeprom_signed", _config(b"SIGNED_BOOT=1\n")),
    "a signed card": ("eeprom_signed", lambda pi: pi.put("boot/firmware/boot.img", "signed")),
    "a signed card of two": (
        "eeprom_signed",
        lambda pi: pi.put("boot/firmware/autoboot.txt", "tryboot_a_b=1\n"),
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_not_written_is_reported_once_and_nothing_restarts(pi: Pi, why: str) -> None:
    code, change = REFUSED[why]
    change(pi)
    for _ in range(2):
        pi.start()
        assert (pi.state.step, pi.state.code, pi.restarts) == ("failed", code, 0)
        assert pi.told == f"failed before={OLD_S} wanted={NEW_S} {code}"
        assert pi.left() <= {"boot.img", "autoboot.txt"}


def test_a_module_of_a_pi_5_is_written_by_rpiboot_only(tmp_path: Path) -> None:
    """Its files were written to its eMMC, and it restarted for nothing: "On Compute Modules with an EEPROM bootloader,
    ROM never runs recovery.bin from SD/eMMC" (Raspberry Pi, compute-module/cm-bootloader.adoc).
    """
    pi = Pi(tmp_path, chip="bcm2712")
    pi.model("raspberrypi,5-compute-module")
    pi.start()
    assert (pi.state.code, pi.restarts, pi.left()) == ("eeprom_board", 0, set())


@pytest.mark.parametrize("why", ["no configuration", "frozen", "a newer board"])
def test_nobody_is_sent_for_a_boot_loader_that_stops_in_the_other_slot(pi: Pi, why: str) -> None:
    """The cure of `eeprom_failed` is a card of Raspberry Pi Imager, with today's boot loader."""
    pi.rom.written = image(pi.chip, 1_713_186_734)  # 2024-04-15
    pi.put("boot/firmware/start4b.elf", "VC_BUILD_ID_TIME: Apr 17 2024\0")
    code, change = REFUSED[why]
    change(pi)
    pi.start()
    assert (pi.state.step, pi.restarts) == ("waiting", 0)
    pi.put("boot/firmware/start4b.elf", "VC_BUILD_ID_TIME: Feb 11 2026\0")
    pi.start()
    assert (pi.state.step, pi.state.code) == ("failed", code)


def test_it_waits_until_the_firmware_of_both_slots_starts_with_it(pi: Pi) -> None:
    """The other slot has an earlier image's firmware: the new boot loader would stop in it (rpi-eeprom#668)."""
    pi.rom.written = image(pi.chip, 1_713_186_734)  # 2024-04-15, which starts it
    pi.put("boot/firmware/start4a.elf", "VC_BUILD_ID_TIME: Feb 11 2026\0")
    pi.put("boot/firmware/start4b.elf", "VC_BUILD_ID_TIME: Apr 17 2024\0")
    for _ in range(2):
        pi.start()
        assert (pi.state.step, pi.restarts) == ("waiting", 0)
        assert pi.state.text.startswith("start4b.elf is of 2024-04-17; boot loaders from 2025-02-11 on start none")
    os.truncate(pi.root / "boot/firmware/start4b.elf", 1 << 40)  # by somebody with the card: it would fill the memory
    pi.start()
    assert (pi.state.step, pi.restarts) == ("waiting", 0)
    assert pi.state.text.startswith("start4b.elf cannot be read: ")
    pi.put("boot/firmware/start4b.elf", "VC_BUILD_ID_TIME: Feb 11 2026\0")
    pi.start()
    pi.start()
    assert (pi.state.step, pi.state.text, pi.rom.running.built_s) == ("done", "", NEW_S)


@pytest.mark.parametrize(("chip", "built_s"), [("bcm2712", NEW_S), ("bcm2711", 1_733_575_168)])
def test_neither_a_pi_5_nor_an_earlier_boot_loader_has_that_rule(tmp_path: Path, chip: str, built_s: int) -> None:
    pi = Pi(tmp_path, chip=chip)
    pi.rom.written = pi.rom.running.with_config(OURS, 1) if chip == "bcm2712" else image(chip, 1_713_186_734)
    pi.bring(image(chip, built_s))
    pi.put("boot/firmware/start4b.elf", "VC_BUILD_ID_TIME: Apr 17 2024\0")
    pi.start()
    pi.start()
    assert (pi.state.step, pi.rom.running.built_s) == ("done", built_s)


@pytest.mark.parametrize("built_s", [1_736_000_000, OLD_S])
def test_a_pi_5_whose_loader_is_too_old_for_its_tree_says_what_to_do(tmp_path: Path, built_s: int) -> None:
    """Its firmware wrote one cell of size, and the kernel ignored the node: tests/image/test_blconfig.py. OLD_S is of
    the first release that writes two.
    """
    pi = Pi(tmp_path, chip="bcm2712")
    pi.rom.written = image("bcm2712", built_s)
    _no_config(pi)
    pi.start()
    assert (pi.state.code, pi.restarts, pi.left()) == ("eeprom_config", 0, set())
    assert ("from 2025-02-11 on" in pi.state.text) == (built_s < OLD_S)


def test_a_configuration_that_is_none_is_not_carried_over(pi: Pi) -> None:
    """rpi-eeprom-update: fewer than three lines, as in the first loaders, are nobody's choice."""
    pi.rom.written = pi.rom.running.with_config(b"[all]\nWAKE_ON_GPIO=0\n", 1)
    pi.start()
    pi.start()
    assert pi.rom.running.config == FACTORY


def test_a_rom_that_does_not_run_it_is_reported_once(pi: Pi) -> None:
    """Whether it reads recovery.bin from this card can only be found on the board."""
    pi.rom.takes = False
    for _ in range(3):
        pi.start()
    assert (pi.state.code, pi.restarts, pi.left()) == ("eeprom_not_taken", 1, set())
    assert "recovery.bin was not run" in pi.state.text


def test_a_boot_loader_that_changes_nothing_is_reported_once_until_another_comes(pi: Pi) -> None:
    pi.rom.works = False
    for _ in range(3):
        pi.start()
    assert (pi.state.code, pi.restarts) == ("eeprom_not_taken", 1)
    assert "recovery.bin has run" in pi.state.text
    pi.rom.works = True
    pi.bring(image(pi.chip, NEW_S + 1))
    pi.start()
    pi.start()
    assert (pi.state.step, pi.rom.running.built_s) == ("done", NEW_S + 1)


def test_a_card_that_does_not_keep_what_is_written(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linetap.update.eepromfiles._read_again", lambda path: path.read_bytes()[:-1] + b"?")
    pi.start()
    assert (pi.state.code, pi.restarts, pi.left()) == ("eeprom_card", 0, set())


def test_a_failed_one_is_forgotten_where_no_version_brings_it(pi: Pi) -> None:
    pi.rom.takes = False
    pi.start()
    pi.start()
    assert pi.told.startswith("failed")
    (pi.root / eeprom.IMAGES / pi.chip / "pieeprom.bin").unlink()
    pi.start()
    assert not (pi.root / "run/linetap-eeprom").exists()
    assert eepromfiles.load(pi.folder) is None


class Disk:
    """Cuts the power at the nth call that changes the disk; a write is cut in its middle."""

    NAMES = ("open", "write", "fsync", "rename", "unlink")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cut_at, self.calls = 0, 0
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **more: object) -> object:
            self.calls += 1
            if self.cut_at and self.calls >= self.cut_at:
                if name == "write" and self.calls == self.cut_at:
                    data = bytes(args[1])  # type: ignore[call-overload]
                    real(args[0], data[: len(data) // 2])
                raise PowerCut
            return real(*args, **more)

        return call


def test_a_power_cut_at_any_call_leaves_the_old_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    for cut_at in range(1, 500):
        pi = Pi(tmp_path / str(cut_at))
        disk.calls, disk.cut_at = 0, cut_at
        try:
            pi.start()
        except PowerCut:
            disk.cut_at = 0
        else:
            assert pi.restarts == 1
            assert cut_at > 30, "nothing was cut"
            return
        for _ in range(4):  # each start either continues or has finished
            pi.start()
        assert (pi.state.step, pi.rom.running.built_s, pi.rom.running.config) == ("done", NEW_S, OURS), cut_at
        assert pi.left() == set()
    raise AssertionError("it has no end")


@pytest.mark.parametrize("after", [0, 4096, 300_000])
def test_a_power_cut_while_the_eeprom_is_written_is_written_again(pi: Pi, after: int) -> None:
    """The ROM looks for recovery.bin before it reads the EEPROM, so a half-written EEPROM is repaired."""
    pi.start()
    pi.rom.cut_after = after
    with pytest.raises(PowerCut):
        pi.start()
    pi.start()
    assert (pi.state.step, pi.rom.running.built_s, pi.rom.runs) == ("done", NEW_S, 2)
