# SPDX-License-Identifier: Apache-2.0
"""vault_read_only: the vault's file system takes nothing any more. It closes itself when it finds itself damaged."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble

CHECK_ID = "vault_read_only"


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    if snapshot.mount is None or not snapshot.mount.read_only:
        return None
    return Trouble(
        severity="critical",
        text_ko=f"저장소 {snapshot.vault}에 쓸 수 없습니다 (읽기 전용). 통화를 녹음하지 못합니다.",
        text_en=f"The file system of {snapshot.vault} is read-only: calls are not recorded.",
        action_ko="디스크를 교체하십시오. 쓰던 디스크는 증거이니 지우지 말고 보관하십시오. 이유: journalctl -k -g EXT4",
        action_en="Replace the disk. The old one is evidence: keep it, and do not wipe it. Why: journalctl -k -g EXT4",
    )


CHECK = Check(
    id=CHECK_ID,
    clears="when the file system is mounted for writing again",
    look=look,
    is_here=lambda snapshot: snapshot.mount is not None,
)
