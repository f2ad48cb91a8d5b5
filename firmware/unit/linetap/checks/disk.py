# SPDX-License-Identifier: Apache-2.0
"""Checks of the disk: whether calls can be written, and for how long."""

from __future__ import annotations

from linetap.checks.frame import MB, Check, Snapshot, Trouble, Words, of_recorder
from linetap.checks.integrity import days_en
from linetap.checks.machine import Machine, Wear
from linetap_core.records import RecorderState


def data_lost(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """The data partition could not be mounted, and the unit keeps its calls in RAM until a person intervenes."""
    if snapshot.mount is None or not snapshot.mount.lost:
        return None
    return Words(
        text_ko="데이터 파티션을 쓸 수 없어 통화를 메모리에 보관하고 있습니다. 전원을 끄면 사라집니다.",
        text_en="The data partition cannot be mounted. Calls are kept in RAM and lost without power.",
        action_ko="전원을 끄지 마십시오. 데스크가 사본을 받은 뒤 카드를 교체하고, 쓰던 카드는 지우지 마십시오.",
        action_en="Leave the power on until the desk has its copies; then replace the card. Keep the old one unerased.",
    )


def vault_read_only(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """The vault's file system cannot be written. A file system becomes read-only when it detects damage."""
    if snapshot.mount is None or not snapshot.mount.read_only:
        return None
    return Words(
        text_ko=f"저장소 {snapshot.vault}에 쓸 수 없습니다 (읽기 전용). 통화를 녹음하지 못합니다.",
        text_en=f"The file system of {snapshot.vault} is read-only: calls are not recorded.",
        action_ko="디스크를 교체하십시오. 쓰던 디스크는 증거이니 지우지 말고 보관하십시오. 이유: journalctl -k -g EXT4",
        action_en="Replace the disk. The old one is evidence: keep it unerased. Reason: journalctl -k -g EXT4",
    )


def _damaged(machine: Machine) -> list[str]:
    """Returns the devices with errors in their file systems."""
    return [device for device, count in machine.disk_errors.items() if count]


def disk_errors(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """A file system has detected damage; the error count is kept in the file system until it is checked. Or the state
    partition could not be written at the start: the unit keeps its identity, but stores no new settings."""
    found = _damaged(snapshot.machine)
    if not found:
        return _read_only() if snapshot.machine.state_read_only else None
    devices = ", ".join(f"{device}: {snapshot.machine.disk_errors[device]}" for device in found)
    return Words(
        text_ko=f"파일 시스템에 오류가 있습니다 ({devices}).",
        text_en=f"A file system has errors ({devices}).",
        action_ko="디스크를 곧 교체하십시오. 쓰던 디스크는 증거이니 지우지 말고 보관하십시오.",
        action_en="Replace the disk soon. The old one is evidence: keep it unerased.",
    )


def _read_only() -> Words:
    return Words(
        text_ko="카드의 설정 파티션에 쓸 수 없습니다 (읽기 전용). 녹음은 계속되지만 새 설정은 보존되지 않습니다.",
        text_en="The card's state partition is read-only. Recording goes on; new settings are not kept.",
        action_ko="카드를 곧 교체하십시오. 쓰던 카드는 증거이니 지우지 말고 보관하십시오.",
        action_en="Replace the card soon. The old one is evidence: keep it unerased.",
    )


def card_changed(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """Foreign files are on the state partition: from a person who had the card, or from an older version's
    administrator. Their names are not shown: they are foreign text."""
    count = snapshot.machine.foreign_files
    if not count:
        return None
    return Words(
        text_ko=f"이 기기가 쓰지 않은 파일이 카드에 있습니다 ({count}개). 사용하지 않으며 녹음은 계속됩니다.",
        text_en=f"Files that this unit did not write are on its card ({count}). They are not used; recording goes on.",
        action_ko="누가 카드를 꺼냈는지 확인하십시오. 파일 목록: cat /run/linetap-left",
        action_en="Find out who had the card. The files: cat /run/linetap-left",
    )


FULL_WARN_AT = 2.0  # x storage.reserve_mb: warns while there is still time to act
# x the reserve above a threshold before the alert clears, so that sealing a call does not make it flap
FULL_CLEAR_BY = 0.25


def disk_full(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """The disk is below twice the reserve. Critical once calls are no longer recorded for lack of room."""
    recorder = snapshot.services.recorder
    refused = recorder.live is not None and (recorder.live.recording_refused or recorder.fault) == "disk_full"
    if snapshot.free_bytes is None:
        return _unreadable(snapshot) if not refused else _full(snapshot)
    # A living recorder reports when it records again; without a recorder the threshold clears late.
    late = standing is not None and standing.severity == "critical" and recorder.status != "alive"
    if refused or _below(snapshot, 1.0, late):
        return _full(snapshot)
    return _nearly_full(snapshot) if _below(snapshot, FULL_WARN_AT, standing is not None) else None


def _below(snapshot: Snapshot, times: float, stands: bool) -> bool:
    assert snapshot.free_bytes is not None
    return snapshot.free_bytes < snapshot.reserve_bytes * (times + FULL_CLEAR_BY * stands)


def _full(snapshot: Snapshot) -> Words:
    reserve = snapshot.reserve_bytes // MB
    if snapshot.free_bytes is not None and not _below(snapshot, FULL_WARN_AT, stands=True):
        return _no_more_files(snapshot)
    return Words(
        text_ko=f"저장 공간이 없어 통화를 녹음하지 않습니다 (남은 공간 {_mb(snapshot)} MB, 예비 {reserve} MB).",
        text_en=f"Calls are not recorded: the disk is full ({_mb(snapshot)} MB free, {reserve} MB reserved).",
        action_ko=f"{snapshot.vault}의 디스크를 늘리거나 다른 파일을 지우십시오. 봉인된 통화는 지우지 마십시오.",
        action_en=f"Enlarge the disk of {snapshot.vault} or remove other files. Do not remove sealed calls.",
    )


def _no_more_files(snapshot: Snapshot) -> Words:
    """The recorder refuses calls although there is room: no more files can be made, or a quota is used up."""
    return Words(
        text_ko=f"저장소에 새 파일을 만들 수 없어 통화를 녹음하지 않습니다 (남은 공간 {_mb(snapshot)} MB).",
        text_en=f"Calls are not recorded: the disk takes no more files, with {_mb(snapshot)} MB free.",
        action_ko=f"df -i {snapshot.vault} 명령으로 확인하고 다른 파일을 지우십시오. 봉인된 통화는 지우지 마십시오.",
        action_en=f"See df -i {snapshot.vault}, and remove other files. Do not remove sealed calls.",
    )


def _nearly_full(snapshot: Snapshot) -> Words:
    reserve = snapshot.reserve_bytes // MB
    return Words(
        mere_warning=True,
        text_ko=f"저장 공간이 얼마 남지 않았습니다 (남은 공간 {_mb(snapshot)} MB, {reserve} MB 아래에서 녹음 중지).",
        text_en=f"The disk is nearly full ({_mb(snapshot)} MB free; below {reserve} MB recording stops).",
        action_ko=f"{snapshot.vault}의 저장 공간을 곧 늘리십시오.",
        action_en=f"Make more room for {snapshot.vault} soon.",
    )


def _unreadable(snapshot: Snapshot) -> Words:
    return Words(
        text_ko=f"저장소 {snapshot.vault}를 읽을 수 없습니다.",
        text_en=f"The file system of {snapshot.vault} does not answer.",
        action_ko="디스크 연결과 마운트를 확인하십시오.",
        action_en="Check that the disk is connected and mounted.",
    )


def _mb(snapshot: Snapshot) -> str:
    return "?" if snapshot.free_bytes is None else str(snapshot.free_bytes // MB)


@of_recorder
def disk_forecast(snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """At the present rate the disk is full before its calls expire. Reported early enough to act.

    The recorder computes this from the bytes recorded a day and the bytes that expire on each coming day
    (recorder/vault/retention/expiry.py).
    """
    full, kept = recorder.full_in_days, recorder.retention_days
    if full is None:
        return None
    days = days_en(full)
    return Words(
        text_ko=f"지금처럼 녹음하면 {full}일 뒤에 저장 공간이 찹니다 (보존 기간 {kept}일).",
        text_en=f"At the present rate the disk is full in {days}; the retention is {kept}.",
        action_ko=f"{full}일 안에 {snapshot.vault}의 디스크를 더 큰 것으로 바꾸십시오. 봉인된 통화는 지우지 마십시오.",
        action_en=f"Put in a larger disk for {snapshot.vault} within {days}. Do not remove sealed calls.",
    )


WORN_WARN_PERCENT = 90
_SPARE_80_PERCENT_USED, _SPARE_90_PERCENT_USED = 2, 3  # see Wear


def _is_worn_out(wear: Wear) -> bool:
    return wear.used_percent > 100 or wear.spare == _SPARE_90_PERCENT_USED


def _is_nearly_worn_out(wear: Wear) -> bool:
    return wear.used_percent >= WORN_WARN_PERCENT or wear.spare == _SPARE_80_PERCENT_USED


def disk_worn(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """An eMMC reports that it is near the end of its life. SD cards report no wear."""
    disks = snapshot.machine.disks
    found = {device: wear for device, wear in disks.items() if _is_worn_out(wear) or _is_nearly_worn_out(wear)}
    if not found:
        return None
    devices = ", ".join(f"{device}: {wear.used_percent} %" for device, wear in found.items())
    return Words(
        mere_warning=not any(map(_is_worn_out, found.values())),
        text_ko=f"저장 장치가 수명을 거의 다 썼습니다 ({devices}).",
        text_en=f"A disk is nearly worn out ({devices} of its life).",
        action_ko="기기의 저장 장치를 교체하십시오. 쓰던 장치는 증거이니 지우지 말고 보관하십시오.",
        action_en="Replace the unit's disk. The old one is evidence: keep it unerased.",
    )


CHECKS = (
    Check(
        "data_lost",
        clears="when the unit starts with a data partition that can be mounted",
        find=data_lost,
        is_here=lambda snapshot: snapshot.mount is not None,
    ),
    Check(
        "vault_read_only",
        clears="when the file system is mounted for writing again",
        find=vault_read_only,
        is_here=lambda snapshot: snapshot.mount is not None,
    ),
    Check(
        "disk_errors",
        clears="when the file system was checked (e2fsck) and counts no error",
        find=disk_errors,
        is_here=lambda snapshot: bool(snapshot.machine.disk_errors) or snapshot.machine.state_read_only,
    ),
    Check(
        "card_changed",
        clears="when the unit starts without them",
        find=card_changed,
        is_here=lambda snapshot: snapshot.machine.foreign_files is not None,
    ),
    Check(
        "disk_full",
        clears="when calls are recorded again and free space is a quarter of the reserve above the warning's threshold",
        find=disk_full,
    ),
    Check(
        "disk_forecast",
        clears="when expiring calls make room in time again",
        find=disk_forecast,
    ),
    Check(
        "disk_worn",
        clears="when the disk was replaced",
        find=disk_worn,
        is_here=lambda snapshot: bool(snapshot.machine.disks),
    ),
)
