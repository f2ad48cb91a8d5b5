# SPDX-License-Identifier: Apache-2.0
"""Checks of recording itself: reasons why calls are not recorded, or not completely."""

from __future__ import annotations

from collections.abc import Iterator

from linetap.checks.cards import OF_THE_CODEC
from linetap.checks.frame import Check, Snapshot, Trouble, Words, of_recorder
from linetap.checks.watch import Seen, Services
from linetap_core.clock import NS_PER_S
from linetap_core.records import CaptureState, RecorderState
from linetap_core.rundir import capture_service

_CANNOT_BE_USED = "bad_input"


def _refused_by(services: Services) -> Iterator[str]:
    for card, capture in services.capture.items():
        if capture.fault == _CANNOT_BE_USED:
            yield capture_service(card)
    for name in ("recorder", "reporter"):
        if getattr(services, name).fault == _CANNOT_BE_USED:
            yield name


def config_wrong(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """A service ended because the configuration cannot be used, or the card's configuration could not be used at
    the start.
    """
    names = [*_refused_by(snapshot.services), *(["provision"] if snapshot.card_wrong else [])]
    if not names:
        return None
    who = ", ".join(names)
    return Words(
        text_ko=f"설정이 잘못되어 녹음하지 못합니다 ({who}).",
        text_en=f"Calls are not recorded: the configuration cannot be used ({who}).",
        action_ko="linetap config check /etc/linetap/unit.toml 명령으로 잘못된 줄을 찾아 고치십시오.",
        action_en="Correct the line that this command names: linetap config check /etc/linetap/unit.toml",
    )


def _refuses(recorder: Seen[RecorderState]) -> str | None:
    """Returns the code of the reason why no call is recorded; None: calls are recorded, or the state is unknown."""
    state = recorder.live
    return None if state is None else state.recording_refused or recorder.fault


def _has_fault(capture: Seen[CaptureState]) -> bool:
    return capture.status == "alive" and capture.fault is not None and capture.fault not in OF_THE_CODEC


def not_recording(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """A living service reports that it cannot record, for a reason other than a full disk or the codec."""
    services = snapshot.services
    code = _refuses(services.recorder)
    found = [] if code in (None, "disk_full") else [f"recorder: {code}"]
    found += [f"{capture_service(card)}: {seen.fault}" for card, seen in services.capture.items() if _has_fault(seen)]
    if not found:
        return standing if services.recorder.live is None else None
    codes = ", ".join(found)
    return Words(
        text_ko=f"장애로 통화를 녹음하지 못합니다 ({codes}).",
        text_en=f"Calls are not recorded because of a fault ({codes}).",
        action_ko=(
            "디스크와 카드의 연결을 확인하십시오. 원인은 로그에 있습니다: "
            "journalctl --namespace=+linetap -u 'linetap-*' -p err"
        ),
        action_en=(
            "Check that disk and cards are connected. The reason is in the log: "
            "journalctl --namespace=+linetap -u 'linetap-*' -p err"
        ),
    )


_OVERTAKEN_STANDS_S = 3600


@of_recorder
def ring_overtaken(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The recorder fell behind by more than the ring's length, and audio was overwritten before it was read."""
    last_ns = recorder.overtaken_ns
    if last_ns is None or recorder.mono_ns - last_ns >= _OVERTAKEN_STANDS_S * NS_PER_S:
        return None
    return Words(
        text_ko="녹음 처리가 늦어 읽기 전에 덮어쓴 소리가 있습니다. 그 자리는 녹음에 빈 구간으로 남습니다.",
        text_en="The recorder fell so far behind that audio was overwritten unread. The recordings have gaps there.",
        action_ko=(
            "디스크와 프로세서가 바쁜 원인을 확인하십시오: linetap check, "
            "journalctl --namespace=+linetap -u linetap-recorder"
        ),
        action_en=(
            "Find out what kept disk or processor busy: linetap check, "
            "journalctl --namespace=+linetap -u linetap-recorder"
        ),
    )


@of_recorder
def smdr_unmatched(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The PBX reported calls on our lines that have no recording, or recordings have no call of the PBX."""
    count = recorder.smdr_unmatched
    if not count:
        return None
    return Words(
        text_ko=f"오늘 교환기의 통화 기록과 녹음이 일치하지 않는 통화가 {count}건 있습니다.",
        text_en=f"Today {count} calls of the PBX and of the recordings do not match.",
        action_ko=(
            "일일 대조표를 확인하십시오. 한 회선에서만 나면 드라이버로 그 회선의 단자를 조이고 교환기의 시계를 "
            "맞추십시오."
        ),
        action_en=(
            "See the daily reconciliation. If it is always the same line, tighten its terminals with a "
            "screwdriver, and set the PBX's clock."
        ),
    )


CHECKS = (
    Check(
        "config_wrong",
        clears="when the service runs with a configuration it can use",
        find=config_wrong,
    ),
    Check("not_recording", clears="when the service reports that it records again", find=not_recording),
    Check(
        "ring_overtaken",
        clears="at the end of an hour without such a loss",
        find=ring_overtaken,
    ),
    Check(
        "smdr_unmatched",
        clears="at the end of the day, or when the missing half has arrived",
        find=smdr_unmatched,
    ),
)
