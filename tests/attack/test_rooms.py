# SPDX-License-Identifier: Apache-2.0
"""Each service in turn is compromised, under a real systemd with the shipped users, folders and sandboxes. It plants
all it can under every name that the others open: they continue, sealed calls stay, and nothing is disclosed.

The names are not listed anywhere: strace records what each service opens from its start on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import cache

import pytest
from rooms_rig import (
    KINDS,
    SERVICES,
    Guest,
    TakenOver,
    guest,
    lay_cable,
    make_unit,
    opened_by,
    pid_of,
    skip_reason,
    state_of,
    until,
)

from linetap_core.clock import NS_PER_MS
from linetap_core.evidence.calls import sealed
from linetap_core.records import RecorderState, ServiceState

NUMBER = "01047116328"
# Calls for as long as a busy machine may need for all of this.
SCRIPT = "lines = 2\nduration_s = 2000.0\n" + "".join(
    f'[[call]]\nline = {1 + n % 2}\nstart_s = {2.0 + 7 * n}\ndirection = "in"\nrings = 2\ntalk_s = 4.0\n'
    f'caller_id = {{ kind = "bell202", number = "{NUMBER}" }}\n'
    for n in range(280)
)
# The test must detect a stalled service before the watchdog restarts it.
NO_WATCHDOG = "[Service]\nWatchdogSec=0\n"
LOOK_S = 5
LOOKED_MS = 1000
OWN = {
    "linetap-capture@1": {"/run/linetap/capture", "/run/linetap/audio"},
    "linetap-recorder": {
        "/run/linetap/recorder", "/run/linetap/calls", "/run/linetap/door",
        "/var/lib/linetap/vault", "/var/lib/linetap/config",
    },
    "linetap-reporter": {"/run/linetap/reporter", "/var/lib/linetap/reporter/cursor.json"},
    "linetap-panel": {"/run/linetap/panel"},
}  # fmt: skip
# Each service has its own /tmp; a terminal and similar devices are shared; JACK's cable exists on no unit.
NOT_SHARED = (
    "/tmp", "/var/tmp", "/dev/shm", "/dev/ptmx", "/dev/pts/ptmx", "/dev/tty",
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
)  # fmt: skip

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    with guest() as made:
        make_unit(made, SCRIPT)
        for service in SERVICES:
            name = service.replace("@1", "@")
            made.write(f"/etc/systemd/system/{name}.service.d/95-test.conf", NO_WATCHDOG)
        made.boot()
        lay_cable(made)
        made.run("systemctl", "start", "mosquitto.service", "linetap.target", *(f"{name}.service" for name in SERVICES))
        until(lambda: sealed_calls(made) != [], "a call is sealed")
        yield made


def sealed_calls(unit: Guest) -> list[str]:
    return unit.run("find", "/var/lib/linetap/vault", "-name", sealed.SIGNATURE).splitlines()


def hashes(unit: Guest, calls: list[str]) -> str:
    """The hashes of all files of these calls."""
    folders = [call.rpartition("/")[0] for call in calls]
    return unit.run("sh", "-c", 'find "$@" -type f -exec sha256sum {} + | sort', "sh", *folders)


@cache
def names_opened(unit: Guest) -> dict[str, set[str]]:
    """The opened files by service. A command arrives meanwhile, to include its path."""
    found: dict[str, set[str]] = {}
    for service in SERVICES:
        topic = ("-t", "linetap/v1/floor-03/cmd/ack", "-m", "{}")
        unit.run(
            "systemd-run", "--quiet", "sh", "-c", f"for i in 1 2 3; do sleep 2; mosquitto_pub {' '.join(topic)}; done"
        )
        for seconds in (LOOK_S, 3 * LOOK_S, 9 * LOOK_S):  # a busy machine may need as long to attach strace
            if found.setdefault(service, set()):
                break
            found[service] = opened_by(unit, service, seconds)
        assert found[service], f"{service} opens nothing: strace saw nothing"
    return found


def of_others(unit: Guest, service: str) -> set[str]:
    opened = names_opened(unit)
    return set().union(*(opened[other] for other in SERVICES if other != service))


def go_on(unit: Guest, services: list[str], audio: bool = True) -> None:
    """Asserts that each counter grows, and again LOOKED_MS later, when all inputs have been polled. Without audio the
    recorder has nothing to count: its polls are observed.
    """
    names = [service.removeprefix("linetap-") for service in services]
    first = {name: state_of(unit, name, ServiceState) for name in names}

    def works(name: str) -> bool:
        now, then = state_of(unit, name, ServiceState), first[name]
        counts = now.progress > then.progress or (name == "recorder" and not audio)
        return counts and now.mono_ns > then.mono_ns + LOOKED_MS * NS_PER_MS and now.fault is None

    until(lambda: all(works(name) for name in names), f"{names} work")
    if "recorder" in names:
        assert state_of(unit, "recorder", RecorderState).standing == [], "its threads work too"


@pytest.mark.parametrize("service", SERVICES)
def test_each_may_write_what_is_its_own_and_nothing_else(unit: Guest, service: str) -> None:
    with closing(TakenOver(unit, service)) as attacker:
        found = attacker.may_write()
    own = tuple(OWN[service])
    assert set(own) <= set(found), "it was looked for with the service's rights"
    inside = tuple(f"{place}/" for place in own + NOT_SHARED)
    assert [path for path in found if path not in own + NOT_SHARED and not path.startswith(inside)] == []


@pytest.mark.parametrize("service", SERVICES)
def test_whatever_lies_under_a_name_that_the_others_open_they_go_on(unit: Guest, service: str) -> None:
    names, others = of_others(unit, service), [other for other in SERVICES if other != service]
    go_on(unit, list(SERVICES))
    calls = sealed_calls(unit)
    victim = f"{calls[0].rpartition('/')[0]}/{sealed.KEY}"
    before, pids = hashes(unit, calls), {other: pid_of(unit, other) for other in others}
    with closing(TakenOver(unit, service)) as attacker:
        reach = attacker.reach(names)
        outside = [path for path in reach if not any(path == own or path.startswith(f"{own}/") for own in OWN[service])]
        assert outside == [], "others open what is not its own, and it may write there"
        assert reach, "nothing that it hands over was seen"
        commands = (path.rpartition("/")[0] for path in reach if path.endswith(".command"))
        fresh = [f"{folder}/attack.command" for folder in set(commands)]
        for kind in KINDS:
            attacker.stop_working()  # otherwise it would rewrite them
            with attacker.planted(kind, victim, [*reach, *fresh]) as done:
                assert done or kind in ("hardlink", "device", "lock"), f"{kind}: not even in its own folder"
                go_on(unit, others, audio=service != "linetap-capture@1")
            attacker.work_again()
            assert {other: pid_of(unit, other) for other in others} == pids, f"{kind}: somebody was ended"
    assert hashes(unit, calls) == before, "what was sealed is as it was"
    unit.run("systemctl", "restart", f"{service}.service")
    go_on(unit, list(SERVICES))


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "linetap-recorder"])
def test_nobody_but_the_recorder_reads_who_has_called(unit: Guest, service: str) -> None:
    """During a call: the checkpoint and the call's state have the number."""
    held = ("grep", "-rlas", NUMBER, "/run/linetap/calls")
    until(lambda: unit.run(*held, check=False) != "", "the recorder knows who calls")
    with closing(TakenOver(unit, service)) as attacker:
        assert attacker.run("grep", "-rlas", "-D", "skip", NUMBER, "/run/linetap", "/var/lib/linetap") == ""
        audio = attacker.run("sh", "-c", "cat /run/linetap/audio/ring-1 | head -c 6")
    assert audio == ("LTRING" if service == "linetap-capture@1" else "")


@pytest.mark.parametrize("service", ["linetap-reporter", "linetap-panel"])
def test_who_fills_what_it_may_write_fills_its_own_room(unit: Guest, service: str) -> None:
    room = f"/run/linetap/{service.removeprefix('linetap-')}"
    calls, used = len(sealed_calls(unit)), disk_mb(unit)
    fill = f"i=0; while [ $i -lt 5000 ] && head -c 1000000 /dev/zero >{room}/filler.$i; do i=$((i + 1)); done"
    with closing(TakenOver(unit, service)) as attacker:
        assert int(attacker.run("sh", "-c", f"{fill}; du -sm {room}").split()[0]) <= 17, "its folder in RAM is bounded"
        for place in ("/var/lib/linetap/reporter/more", "/var/lib/linetap/reporter/cursor.json"):
            attacker.run("sh", "-c", f"head -c 100000000 /dev/zero >{place}")
    assert disk_mb(unit) <= used + 5, "and so is what it has of the disk"
    go_on(unit, [name for name in SERVICES if name != service])
    until(lambda: len(sealed_calls(unit)) > calls, "calls are sealed as before")
    unit.run("sh", "-c", f"rm -f {room}/filler.*")  # it has ended because of it, and so would its successors
    unit.run("systemctl", "restart", f"{service}.service")
    go_on(unit, [service])


def disk_mb(unit: Guest) -> int:
    return int(unit.run("du", "-sm", "/var/lib/linetap").split()[0])


@pytest.mark.parametrize("kind", ["fifo", "folder", "lock"])
def test_what_lies_there_keeps_nobody_from_starting(unit: Guest, kind: str) -> None:
    """As the reporter, which is reachable from the network: under every name in its reach, while the others restart."""
    names, others = of_others(unit, "linetap-reporter"), [name for name in SERVICES if name != "linetap-reporter"]
    go_on(unit, ["linetap-reporter"])
    with closing(TakenOver(unit, "linetap-reporter")) as attacker:
        attacker.stop_working()
        with attacker.planted(kind, "/var/lib/linetap/vault", attacker.reach(names)):
            unit.run("systemctl", "restart", *(f"{other}.service" for other in others))
            go_on(unit, others)
        attacker.work_again()
    go_on(unit, ["linetap-reporter"])


def test_the_ring_cannot_be_made_shorter_by_who_reads_it(unit: Guest) -> None:
    size = unit.run("stat", "-c", "%s", "/run/linetap/audio/ring-1")
    with closing(TakenOver(unit, "linetap-recorder")) as recorder:
        recorder.run("sh", "-c", ": >/run/linetap/audio/ring-1; rm -f /run/linetap/audio/ring-1")
        recorder.run("truncate", "-s", "0", "/run/linetap/audio/ring-1")
    assert unit.run("stat", "-c", "%s", "/run/linetap/audio/ring-1") == size
