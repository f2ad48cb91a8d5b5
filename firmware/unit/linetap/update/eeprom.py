# SPDX-License-Identifier: Apache-2.0
"""Updates the boot loader in the Pi's EEPROM from the running version, and judges the result after the next start.

The image is in the verified root, so it comes with a signed update; only a kept version writes it. It must be newer
than the running loader, unless the file `older` is beside it. A failed one is not tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from linetap.config import Config
from linetap.idle import line_in_use, wait_for_idle
from linetap.update import eepromfiles, startfile, state
from linetap.update.eepromboard import BOOT, Board, read_board, require_writable
from linetap.update.eepromfiles import EepromState
from linetap.update.eepromimage import BadImage, EepromImage
from linetap.update.install import Machine
from linetap.update.state import UpdateFault
from linetap_core.clock import NS_PER_DAY, NS_PER_S, Clock, rfc3339
from linetap_core.durable.files import replace_durably
from linetap_core.errors import Refusal

IMAGES = Path("usr/lib/linetap/eeprom")  # CHIP/pieeprom.bin, CHIP/recovery.bin, CHIP/older
WAIT_DAYS = 7
LOOK_AGAIN_S = 60
MOST_STARTS = 5
_UNDER_WAY = ("installing", "waiting", "trying")  # steps of an update, which restarts the machine itself

log = logging.getLogger("linetap.update")


class Eeprom:
    def __init__(
        self, config: Config, machine: Machine, restart: Callable[[], None], clock: Clock, root: Path = Path("/")
    ) -> None:
        self._config, self._machine, self._restart, self._clock, self._root = config, machine, restart, clock, root
        self._folder, self._boot = state.folder_of(config), root / BOOT
        self._published = root / eepromfiles.PUBLISHED.relative_to("/")

    def run(self) -> None:
        """Updates the loader: ends in a restart, or with nothing to do. UpdateFault if the slots are unknown."""
        board = read_board(self._root)
        if board is None or not any((self._boot / name).exists() for name in ("config.txt", "autoboot.txt")):
            return
        slots = self._machine.slots()
        if slots.current != slots.primary:
            return  # a version on trial writes no loader: the next start may be its fallback
        last = self._judge_last_update(board)
        found = self._brought(board)
        has_failed = last is not None and last.step == "failed"
        if found is None:
            if has_failed:
                eepromfiles.forget(self._folder, self._published)
            return
        image, recovery = found
        if has_failed and last is not None and last.wanted_s == image.built_s:
            return
        starts = last.starts if last is not None and last.step in ("waiting", "trying") else 0
        self._state = EepromState(
            step="waiting", before_s=board.loader.built_s, wanted_s=image.built_s, at="", starts=starts
        )
        try:
            if (dark := self._dark_slot(image)) is not None:
                self._step("waiting", text=dark)
                log.warning("eeprom: not written: %s", dark)
                return  # the next start looks again: an update may have replaced that slot
            require_writable(board, image)
            if starts >= MOST_STARTS:
                raise UpdateFault("eeprom_gave_up", f"begun {MOST_STARTS} times, and never brought to an end")
            self._step("waiting")
            end_ns = self._clock.monotonic_ns() + WAIT_DAYS * NS_PER_DAY
            self._wait_for_pause(end_ns)
            self._prepare(board, image, recovery)
            self._arm_in_a_pause(end_ns)
        except UpdateFault as fault:
            eepromfiles.clear_quietly(self._boot)
            self._fail(fault)
            return
        self._restart()

    def _judge_last_update(self, board: Board) -> EepromState | None:
        """Judges the last update of the loader; returns its state."""
        found = eepromfiles.load(self._folder)
        if found is None:
            eepromfiles.clear(self._boot)
            return None
        self._state = found
        if found.step == "trying" and board.loader.built_s == found.wanted_s:
            log.info("eeprom_done: built at %d, before it %d", found.wanted_s, found.before_s)
            self._step("done")
        elif found.step == "trying" and (eepromfiles.is_pending(self._boot) or eepromfiles.has_run(self._boot)):
            ran = "recovery.bin has run" if eepromfiles.has_run(self._boot) else "recovery.bin was not run"
            self._fail(UpdateFault("eeprom_not_taken", f"{ran}, and the boot loader is of {board.loader.built_s}"))
        eepromfiles.publish(self._state, self._published)
        eepromfiles.clear(self._boot)
        return self._state

    def _brought(self, board: Board) -> tuple[EepromImage, bytes] | None:
        """The image of this version for this board, if it must be written."""
        folder = self._root / IMAGES / board.loader.chip
        if not folder.is_dir():
            return None
        try:
            image = EepromImage((folder / "pieeprom.bin").read_bytes())
            recovery = (folder / "recovery.bin").read_bytes()
        except (OSError, BadImage) as error:
            log.error("eeprom_image: %s: %s", folder, error)
            return None
        is_wanted = image.built_s > board.loader.built_s or (
            (folder / "older").exists() and image.built_s != board.loader.built_s
        )
        return (image, recovery) if is_wanted else None

    def _dark_slot(self, image: EepromImage) -> str | None:
        """The slot that would not start with this boot loader, with the reason: the unit may have to change to it. It
        comes before every fault, since a person who hears of one writes a boot loader by hand.
        """
        is_concerned = image.chip == "bcm2711" and image.built_s >= startfile.NUMBERED_FROM_S
        return startfile.slot_fault(self._boot) if is_concerned else None

    def _wait_for_pause(self, end_ns: int) -> None:
        while True:
            busy = self._update_under_way()
            if busy is None:
                try:
                    return wait_for_idle(self._config, None, LOOK_AGAIN_S, self._clock)
                except Refusal as refusal:
                    busy = str(refusal)
            else:
                self._clock.sleep(LOOK_AGAIN_S)
            if self._clock.monotonic_ns() >= end_ns:
                raise UpdateFault("eeprom_busy", f"in {WAIT_DAYS} days: {busy}")

    def _update_under_way(self) -> str | None:
        update = state.load(self._folder)
        return "another version is being installed" if update is not None and update.step in _UNDER_WAY else None

    def _prepare(self, board: Board, image: EepromImage, recovery: bytes) -> None:
        at_s = self._clock.utc_ns() // NS_PER_S
        try:
            made = image.with_config(board.kept_config, at_s)
            replace_durably(self._folder / eepromfiles.KEPT_CONFIG, board.config or b"")
        except BadImage as error:
            raise UpdateFault("eeprom_image", str(error)) from None
        except OSError as error:
            raise UpdateFault("eeprom_card", f"{self._folder}: {error.strerror}") from None
        self._step("waiting", starts=self._state.starts + 1)
        eepromfiles.prepare(self._boot, made, recovery, image.chip, at_s)
        self._step("waiting", starts=0)

    def _arm_in_a_pause(self, end_ns: int) -> None:
        """Makes the restart write the EEPROM, in a pause without calls. Writing the files takes long enough for a call
        to begin: then recovery.bin loses its name again, so that a power cut in the wait does not write the EEPROM, nor
        does the restart for another version.
        """
        while True:
            self._step("trying")
            eepromfiles.arm(self._boot)
            if self._update_under_way() is None and line_in_use(self._config, None, self._clock) is None:
                return
            eepromfiles.disarm(self._boot)
            self._step("waiting")
            self._wait_for_pause(end_ns)

    def _step(self, step: eepromfiles.EepromStep, text: str = "", **more: Any) -> None:
        at = rfc3339(self._clock.utc_ns())
        self._state = msgspec.structs.replace(self._state, step=step, at=at, code="", text=text, **more)
        eepromfiles.save(self._folder, self._state, self._published)

    def _fail(self, fault: UpdateFault) -> None:
        log.error("%s: %s", fault.code, fault)
        at = rfc3339(self._clock.utc_ns())
        self._state = msgspec.structs.replace(self._state, step="failed", at=at, code=fault.code, text=str(fault))
        eepromfiles.save(self._folder, self._state, self._published)
