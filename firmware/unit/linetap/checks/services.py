# SPDX-License-Identifier: Apache-2.0
"""Checks of the unit's services: dead services, services that cannot report their state, and different versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from linetap.checks.cards import gives_no_audio
from linetap.checks.frame import Check, Snapshot, Trouble, Words
from linetap.checks.watch import DEAD_NS, Seen, Services
from linetap_core.records import ServiceState
from linetap_core.rundir import capture_service


def _is_gone(seen: Seen[ServiceState]) -> bool:
    """Whether a service is dead or stuck. A service that cannot write its state may be alive (state_unwritten)."""
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
    """Returns the check `<name>_dead`. `is_dead` replaces `_is_gone`. The texts get a code if there is one: from
    `code`, or else the code of the service's last fault.
    """

    def find(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
        dead = _is_gone(seen(snapshot.services)) if is_dead is None else is_dead(snapshot.services)
        if not dead:
            return None
        found = seen(snapshot.services).fault if code is None else code(snapshot.services)
        reason = f" ({found})" if found is not None else ""
        return Words(
            text_ko=text_ko + reason,
            text_en=text_en + reason,
            action_ko=f"저절로 다시 시작합니다. 그대로면 systemctl status linetap-{name} 명령으로 원인을 확인하십시오.",
            action_en=f"It restarts automatically. If it stays dead, see the reason: systemctl status linetap-{name}",
        )

    return Check(f"{name}_dead", clears="when it works again", find=find)


def _is_recorder_dead(services: Services) -> bool:
    """Whether the recorder is dead or stuck. Without audio a recorder makes no progress, so it counts as stuck only
    while a capture has made progress for as long. When a codec is unplugged and plugged in, either may stop or continue
    first."""
    if services.recorder.live is not None and services.recorder.live.standing:
        return True
    if not services.recorder.stuck:
        return _is_gone(services.recorder)
    still_ns = services.recorder.still_ns
    working = [seen for seen in services.capture.values() if not gives_no_audio(seen)]
    return any(min(seen.moving_ns, still_ns) - seen.still_ns >= DEAD_NS for seen in working)


def _code_of_recorder(services: Services) -> str | None:
    """The code of the recorder's last fault, or of its hanging thread."""
    recorder = services.recorder
    if recorder.live is not None and recorder.live.standing:
        return ", ".join(f"{name}_stands" for name in recorder.live.standing)
    return recorder.fault


def nothing_runs(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """Capture, recorder and reporter are all dead. Panel and `linetap check` show it; the desk shows the unit as
    offline.
    """
    services = snapshot.services
    everyone: list[Seen[ServiceState]] = [*services.capture.values(), services.recorder, services.reporter]
    if any(seen.status != "dead" or seen.unwritten is not None for seen in everyone):
        return None
    return Words(
        text_ko="세 서비스가 모두 멈췄습니다. 통화는 녹음되지 않습니다.",
        text_en="None of the three services runs. Calls are not recorded.",
        action_ko=(
            "sudo systemctl start linetap.target 명령으로 시작하고, 원인은 systemctl status 'linetap-*' 명령으로 "
            "확인하십시오."
        ),
        action_en="Start them: sudo systemctl start linetap.target. For the reason: systemctl status 'linetap-*'",
    )


def _silenced(services: Services) -> Iterator[tuple[str, str]]:
    for card, capture in services.capture.items():
        if capture.unwritten is not None:
            yield capture_service(card), capture.unwritten
    for name in ("recorder", "reporter", "panel"):
        why = getattr(services, name).unwritten
        if why is not None:
            yield name, why


def state_unwritten(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """A service cannot write its state into its folder in RAM. It may still record."""
    found = list(_silenced(snapshot.services))
    if not found:
        return _not_kept(snapshot.services)
    names = ", ".join(f"{name}: {why}" for name, why in found)
    room = " ".join(sorted({f"/run/linetap/{name.partition('@')[0]}" for name, _ in found}))
    records = all(name in ("reporter", "panel") for name, _ in found)
    ko = "녹음은 계속됩니다." if records else "녹음 여부를 알 수 없습니다."
    en = "Recording goes on." if records else "It is not known whether calls are recorded."
    return Words(
        mere_warning=records,
        text_ko=f"서비스가 상태 파일을 기록하지 못합니다 ({names}). {ko}",
        text_en=f"A service cannot write its state ({names}). {en}",
        action_ko=f"df {room} 명령으로 사용량을 확인하고, 통화가 없을 때 기기를 다시 시작하십시오.",
        action_en=f"See what fills it (df {room}), and restart the unit while no line is in use.",
    )


def _not_kept(services: Services) -> Words | None:
    recorder = services.recorder.live
    if recorder is None or recorder.not_kept is None:
        return None
    why = recorder.not_kept
    return Words(
        mere_warning=True,
        text_ko=f"진행 중인 통화의 상태를 보관하지 못합니다 ({why}). recorder가 다시 시작하면 녹음이 끊깁니다.",
        text_en=f"The state of calls in progress cannot be kept ({why}). Recording goes on; a restart would cut it.",
        action_ko="df /run/linetap/calls 명령으로 사용량을 확인하고, 통화가 없을 때 기기를 다시 시작하십시오.",
        action_en="See what fills it (df /run/linetap/calls), and restart the unit while no line is in use.",
    )


def version_mismatch(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """Services of different versions run, for instance after an update that did not restart all of them.

    That is allowed, since no call is ended for an update, but must not be overlooked.
    """
    services = snapshot.services
    everyone = (*services.capture.values(), services.recorder, services.reporter, services.panel)
    running = {state.service: state.version for seen in everyone if (state := seen.live) is not None}
    if len(set(running.values())) <= 1:
        return None
    versions = ", ".join(f"{service} {version}" for service, version in running.items())
    return Words(
        text_ko=f"서비스들의 버전이 서로 다릅니다: {versions}.",
        text_en=f"The services have different versions: {versions}.",
        action_ko="통화가 없을 때 systemctl restart linetap.target 명령으로 모두 다시 시작하십시오.",
        action_en="Restart all of them while no line is in use: systemctl restart linetap.target",
    )


CHECKS = (
    Check("nothing_runs", clears="when one of them works again", find=nothing_runs),
    # The recorder does not run, makes no progress although there is audio, or one of its threads hangs.
    of_service(
        "recorder",
        text_ko="recorder 서비스가 멈췄습니다. 링 버퍼보다 오래 멈추면 통화가 녹음되지 않습니다.",
        text_en="The recorder has stopped. Speech is lost if it is away longer than the ring is long.",
        seen=lambda services: services.recorder,
        is_dead=_is_recorder_dead,
        code=_code_of_recorder,
    ),
    Check(
        "state_unwritten",
        clears="when the service's state file is current again",
        find=state_unwritten,
    ),
    # The reporter does not run. `linetap check` and the panel show it; the desk shows the unit as offline.
    of_service(
        "reporter",
        text_ko="reporter 서비스가 멈췄습니다. 녹음은 계속되고 보고는 기기에 쌓입니다.",
        text_en="The reporter has stopped. Recording goes on, and reports wait in the unit.",
        seen=lambda services: services.reporter,
    ),
    # The panel does not run: the LEDs are dark and show nothing.
    of_service(
        "panel",
        text_ko="panel 서비스가 멈췄습니다. LED가 꺼져 있어도 녹음은 계속됩니다.",
        text_en="The panel has stopped. The LEDs are dark, and recording goes on.",
        seen=lambda services: services.panel,
    ),
    Check("version_mismatch", clears="when all run in one version", find=version_mismatch),
)
