# SPDX-License-Identifier: Apache-2.0
"""state_unwritten: a service cannot write its state into its folder in RAM. It may still record."""

from __future__ import annotations

from collections.abc import Iterator

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Services

CHECK_ID = "state_unwritten"


def _silenced(services: Services) -> Iterator[tuple[str, str]]:
    for card, capture in services.capture.items():
        if capture.unwritten is not None:
            yield f"capture@{card}", capture.unwritten
    for name in ("recorder", "reporter", "panel"):
        why = getattr(services, name).unwritten
        if why is not None:
            yield name, why


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    found = list(_silenced(snapshot.services))
    if not found:
        return _not_kept(snapshot.services)
    names = ", ".join(f"{name}: {why}" for name, why in found)
    room = " ".join(sorted({f"/run/linetap/{name.partition('@')[0]}" for name, _ in found}))
    records = all(name in ("reporter", "panel") for name, _ in found)
    ko = "녹음은 계속됩니다." if records else "녹음 여부를 알 수 없습니다."
    en = "Recording goes on." if records else "Whether calls are recorded is not known."
    return Trouble(
        severity="warning" if records else "critical",
        text_ko=f"서비스가 상태 파일을 기록하지 못합니다 ({names}). {ko}",
        text_en=f"A service cannot write its state ({names}). {en}",
        action_ko=f"df {room} 명령으로 사용량을 확인하고, 통화가 없을 때 기기를 다시 시작하십시오.",
        action_en=f"See what fills it (df {room}), and restart the unit while no line is in use.",
    )


def _not_kept(services: Services) -> Trouble | None:
    recorder = services.recorder.word
    if recorder is None or recorder.not_kept is None:
        return None
    why = recorder.not_kept
    return Trouble(
        severity="warning",
        text_ko=f"진행 중인 통화의 상태를 보관하지 못합니다 ({why}). recorder가 다시 시작하면 녹음이 끊깁니다.",
        text_en=f"The state of calls in progress cannot be kept ({why}). Recording goes on; a restart would cut it.",
        action_ko="df /run/linetap/calls 명령으로 사용량을 확인하고, 통화가 없을 때 기기를 다시 시작하십시오.",
        action_en="See what fills it (df /run/linetap/calls), and restart the unit while no line is in use.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears="when the service's state file is new again",
    look=look,
)
