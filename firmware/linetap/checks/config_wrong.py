# SPDX-License-Identifier: Apache-2.0
"""config_wrong: a service ended because the configuration cannot be used, or the card's own could not at the start."""

from __future__ import annotations

from collections.abc import Iterator

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Services

CHECK_ID = "config_wrong"
FAULT = "bad_input"


def _refused_by(services: Services) -> Iterator[str]:
    for card, capture in services.capture.items():
        if capture.fault == FAULT:
            yield f"capture@{card}"
    for name in ("recorder", "reporter"):
        if getattr(services, name).fault == FAULT:
            yield name


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    names = [*_refused_by(snapshot.services), *(["provision"] if snapshot.card_wrong else [])]
    if not names:
        return None
    who = ", ".join(names)
    return Trouble(
        severity="critical",
        text_ko=f"설정이 잘못되어 녹음하지 못합니다 ({who}).",
        text_en=f"Calls are not recorded: the configuration cannot be used ({who}).",
        action_ko="linetap config check /etc/linetap/unit.toml 명령으로 잘못된 줄을 찾아 고치십시오.",
        action_en="Correct the line that this command names: linetap config check /etc/linetap/unit.toml",
    )


CHECK = Check(
    id=CHECK_ID,
    clears="when the service runs with a configuration it can use",
    look=look,
)
