# SPDX-License-Identifier: Apache-2.0
"""Checks of the machine's boot: the two slots on its card, and the boot loader in its EEPROM."""

from __future__ import annotations

from linetap.checks.bootstate import Loader, Slot, day_of
from linetap.checks.frame import Check, Snapshot, Trouble, Words


def slot_failed(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """A slot's root is damaged, or its starts failed and the unit runs from the other slot. The next start may fail."""
    found = snapshot.machine.slots
    damaged = [slot for slot in found if slot.bad]
    left = [slot for slot in found if slot.was_left and not slot.bad]
    mended = [slot for slot in found if slot.mended and not slot.bad and not slot.was_left]
    if not (damaged or left or mended):
        return None
    return Words(
        mere_warning=not damaged and not left,
        text_ko=" ".join([
            *(f"슬롯 {slot.name}의 시스템이 손상되었습니다." for slot in damaged),
            *(f"슬롯 {slot.name}이(가) 시작하지 못해 다른 슬롯으로 시작했습니다." for slot in left),
            *(f"슬롯 {slot.name}의 손상된 블록 {slot.mended}개를 복구했습니다." for slot in mended),
        ]),
        text_en=" ".join([
            *(f"The system in slot {slot.name} is damaged." for slot in damaged),
            *(f"Slot {slot.name} did not start; the unit runs from the other slot." for slot in left),
            *(f"Slot {slot.name}: {_blocks(slot)} had rotted and were repaired." for slot in mended),
        ]),
        action_ko="카드를 곧 교체하십시오. 쓰던 카드는 증거이니 지우지 말고 보관하십시오.",
        action_en="Replace the card soon. The old one is evidence: keep it unerased.",
    )  # fmt: skip


def _blocks(slot: Slot) -> str:
    return f"{slot.mended} blocks" if slot.mended != 1 else "1 block"


# The oldest boot loader with the functions that the image needs, by the day of its build; the release notes are in
# docs/boards.md, "Versions".
OLDEST_LOADER = {"bcm2711": "2021-03-18", "bcm2712": "2025-10-08"}
OLDEST_LOADER_SIGNED = {"bcm2711": "2025-02-11", "bcm2712": "2025-10-08"}  # for a card with a signed boot.img


def _way_to_write(loader: Loader) -> tuple[str, str]:
    """The way in which a person writes this board's boot loader; Korean, English."""
    if loader.starts_signed:
        return (
            "부팅 서명 키를 가진 담당자만 갱신할 수 있습니다 (docs/verified-boot.md).",
            "Only the holder of the boot key can write it (docs/verified-boot.md).",
        )
    if loader.is_module:
        return (
            "컴퓨트 모듈은 USB로 rpiboot를 실행하여 갱신하십시오 (docs/raspberry-pi.md).",
            "Write it by rpiboot over USB, as on every Compute Module (docs/raspberry-pi.md).",
        )
    return (
        "Raspberry Pi Imager의 부트로더 카드로 갱신하십시오 (docs/update.md).",
        "Write it by a bootloader card of Raspberry Pi Imager (docs/update.md).",
    )


def firmware_old(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """The EEPROM's boot loader is older than the image needs: an update may fail to start, or to fall back."""
    loader = snapshot.machine.loader
    if loader is None:
        return None
    built, oldest = loader.built_on, (OLDEST_LOADER_SIGNED if loader.starts_signed else OLDEST_LOADER)[loader.chip]
    if built >= oldest:
        return None
    way_ko, way_en = _way_to_write(loader)
    return Words(
        text_ko=f"부트로더(EEPROM)가 오래되었습니다 ({built}). {oldest} 이후 버전이 필요합니다.",
        text_en=f"The boot loader in the EEPROM is too old ({built}); {oldest} or later is needed.",
        action_ko=f"{way_ko} 그 전에는 새 버전을 설치하지 마십시오.",
        action_en=f"{way_en} Install no update before that.",
    )


EEPROM_FAULTS = {  # Korean, English
    "eeprom_not_taken": ("기록되지 않았습니다", "it was not written"),
    "eeprom_card": ("카드에 저장되지 않았습니다", "the card did not keep its files"),
    "eeprom_image": ("이 보드의 파일이 아닙니다", "the file is not for this board"),
    "eeprom_board": ("이 보드에서는 원격으로 기록할 수 없습니다", "this board does not take it from a card"),
    "eeprom_config": ("지금 설정을 읽을 수 없습니다", "its present configuration cannot be read"),
    "eeprom_signed": ("서명된 EEPROM입니다", "the EEPROM is signed"),
    "eeprom_frozen": ("FREEZE_VERSION으로 고정되어 있습니다", "it is frozen by FREEZE_VERSION"),
    "eeprom_busy": ("통화가 없는 때를 기다리지 못했습니다", "there was no moment without a call"),
}


def eeprom_failed(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """The update of the EEPROM's boot loader failed. The old loader starts the unit, and calls are recorded."""
    found, loader = snapshot.machine.eeprom, snapshot.machine.loader
    if found is None or loader is None or found.step != "failed":
        return None
    why_ko, why_en = EEPROM_FAULTS.get(found.code, ("원인을 알 수 없습니다", "for an unknown reason"))
    way_ko, way_en = _way_to_write(loader)
    before, wanted = day_of(found.before_s), day_of(found.wanted_s)
    return Words(
        text_ko=f"부트로더(EEPROM)를 {wanted} 버전으로 바꾸지 못했습니다 (지금 {before}): {why_ko} ({found.code}).",
        text_en=f"The boot loader of {wanted} is not in the EEPROM ({before} is): {why_en} ({found.code}).",
        action_ko=f"녹음은 계속됩니다. 꼭 필요한 경우: {way_ko}",
        action_en=f"Recording goes on. If it is needed: {way_en}",
    )


CHECKS = (
    Check(
        "slot_failed",
        clears="when the card was replaced, or an update has written that slot",
        find=slot_failed,
        is_here=lambda snapshot: bool(snapshot.machine.slots),
    ),
    Check(
        "firmware_old",
        clears="when the unit starts with a newer boot loader",
        find=firmware_old,
        is_here=lambda snapshot: snapshot.machine.loader is not None,
    ),
    Check(
        "eeprom_failed",
        clears="when that boot loader or another is written, or another version runs that brings none",
        find=eeprom_failed,
        is_here=lambda snapshot: snapshot.machine.loader is not None,
    ),
)
