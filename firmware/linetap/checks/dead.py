# SPDX-License-Identifier: Apache-2.0
"""Checks of the services of which there is one: what all of them share."""

from __future__ import annotations

from collections.abc import Callable

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Seen, Services
from linetap.records import ServiceState
from linetap.wire.alerts import ALERTS


def is_gone(seen: Seen[ServiceState]) -> bool:
    """Dead, or alive and without doing its work. One that cannot write its state may be alive (state_unwritten)."""
    return (seen.status == "dead" and seen.unwritten is None) or seen.stuck


def of_service(
    name: str,
    *,
    text_ko: str,
    text_en: str,
    seen: Callable[[Services], Seen[ServiceState]],
    is_dead: Callable[[Services], bool] | None = None,
    code: Callable[[Services], str | None] | None = None,
) -> Check:
    """The check `<name>_dead`; `is_dead` where that is another question than `is_gone`. Where there is a code (`code`,
    or else that of the fault the service left), it is said: `text_en` (code)."""

    check_id = f"{name}_dead"

    def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
        dead = is_gone(seen(snapshot.services)) if is_dead is None else is_dead(snapshot.services)
        if not dead:
            return None
        found = seen(snapshot.services).fault if code is None else code(snapshot.services)
        said = f" ({found})" if found is not None else ""
        return Trouble(
            severity=ALERTS[check_id].severity,
            text_ko=text_ko + said,
            text_en=text_en + said,
            action_ko=f"저절로 다시 시작합니다. 그대로면 systemctl status linetap-{name} 명령으로 이유를 보십시오.",
            action_en=f"It is started again by itself. If it stays dead, see why: systemctl status linetap-{name}",
        )

    return Check(id=check_id, clears="when it works again", look=look)
