# SPDX-License-Identifier: Apache-2.0
"""A whole unit in a guest: configuration, keys and a JACK cable; the services run from the unit files."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from guest import LIMIT_S, Guest, until

from linetap.board.wires import ARMED_AT, ARMED_MS, RELAYS_AT
from linetap_bench.stage.cable import VARIABLE, WATCHED, Late, report_late
from linetap_bench.stage.jack import JackCable, alsa_configuration, report_log, scheduling
from linetap_bench.stage.stage import linetap
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, compact, rfc3339
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import Command
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord, Gap, RecorderState, ServiceState
from unit_rig import save_notice, spoken

LINES = 2
SERVICES = ("linetap-capture@1", "linetap-recorder", "linetap-reporter", "linetap-panel")
SERVER = "guest"
JACK_PRIORITY = 50  # its clients' threads get less, and linetap-capture@.service permits this much
PATIENT_MS = "15000"  # a stopped capture stops the exchange too
SEEN = "/run/seen.jsonl"
LATENESS = "/tmp/lateness"  # the services have a private /tmp
LOG = ("journalctl", "--namespace=linetap")  # the services' log
CONFIG = "/var/lib/linetap/config/unit.toml"
_CAPTURE = Path(__file__).resolve().parents[2] / "systemd/linetap-capture@.service.d/20-opened.conf"
# The cable is JACK's, in /dev/shm: all other restrictions of capture stay.
_CLOSED = "\n".join(line for line in _CAPTURE.read_text().splitlines() if line.startswith("InaccessiblePaths="))
_CABLE = f"""[Service]
Environment=ALSA_CONFIG_PATH=/etc/linetap/asound.conf JACK_DEFAULT_SERVER={SERVER} JACK_NO_START_SERVER=1
Environment=JACK_NO_AUDIO_RESERVATION=1
"""
_OPEN_TO_JACK = f"{_CABLE}InaccessiblePaths=\nInaccessiblePaths=-/dev/mqueue -/run/lock\n{_CLOSED}\n"
COMMAND = """#!/bin/sh
export PYTHONPATH=$(echo /opt/linetap/firmware/* | tr " " :) OPENBLAS_NUM_THREADS=1
exec /opt/linetap/.venv/bin/python -m linetap "$@"
"""


def make_unit(guest: Guest, script: str, notice_s: float = 1.0) -> dict[str, Ed25519PrivateKey]:
    """Writes, before `boot`, /etc/linetap with all files of a unit, /usr/bin/linetap, and the cable's script.

    Returns the keys of its authority and of an operator. No notice waits for the end of a greeting, so that calls of a
    few seconds are recorded too.
    """
    folder = guest.folder / "keys"
    folder.mkdir()
    custodian = linetap("keygen", "custodian", "-o", folder / "custodian.txt").strip()
    epoch = linetap("keygen", "epoch", "-o", folder / "epoch.txt").strip()
    etc = guest.root / "etc/linetap"
    etc.mkdir(parents=True)
    save_notice(etc / "notices" / "ko.wav", spoken(notice_s))
    linetap(
        "config", "init", "floor-03", "--lines", LINES, "--custodian", custodian, "--epoch", epoch,
        "--board", "simulated", "--notices", etc / "notices", "-o", etc / "unit.toml",
    )  # fmt: skip
    unit = (etc / "unit.toml").read_text()
    people = {role: keys.new_unit_key() for role in ("authority", "operator")}
    named = f"authority = {json.dumps(keys.public_line(people['authority'].public_key()))}"
    for old, new in (
        ("port = 8883", "port = 1883"), (str(etc), "/etc/linetap"),
        ('# authority = "ssh-ed25519 AAAA..."', named), ("# key_list", "key_list"),
        ("greeting_max_ms = 6000", "greeting_max_ms = 0"),
        # On a busy machine a notice may be interrupted; these tests only need calls that are recorded.
        ('on_notice_failure = "discard"', 'on_notice_failure = "record_and_flag"'),
    ):  # fmt: skip
        assert old in unit
        unit = unit.replace(old, new)
    (etc / "unit.toml").unlink()
    (etc / "unit.toml").symlink_to(CONFIG)
    guest.write(CONFIG, unit)
    guest.write("/etc/tmpfiles.d/given.conf", f"z {CONFIG} 0640 linetap-recorder linetap -\n")
    guest.write("/etc/linetap/tls.key", "", 0o600)
    guest.write("/etc/linetap/calls.toml", script)
    guest.write("/etc/linetap/asound.conf", alsa_configuration(LINES, SERVER))
    guest.write("/usr/bin/linetap", COMMAND, 0o755)
    guest.write("/etc/systemd/system/linetap-capture@.service.d/90-cable.conf", _OPEN_TO_JACK)
    return people


def obeyed(
    guest: Guest, verb: str, role: str, key: Ed25519PrivateKey, body: dict[str, str], *more: Ed25519PrivateKey
) -> dict[str, Any]:
    """The unit's answer to a command brought to it. `more`: its cosigners."""
    now_ns = SYSTEM.utc_ns()
    command = Command(
        unit="floor-03", verb=verb, role=role, counter=now_ns // NS_PER_MS, body=body,
        expires=rfc3339(now_ns + 600 * NS_PER_S),
    )  # fmt: skip
    sealed = envelopes.seal(command, lambda text: sshsig.sign(text, key, namespaces.COMMAND))
    for each in more:
        sealed = envelopes.cosign(sealed, lambda text, by=each: sshsig.sign(text, by, namespaces.COMMAND))
    guest.write("/etc/linetap/one.command", sealed)
    said = guest.run("linetap", "command", "apply", "/etc/linetap/one.command", "--config", "/etc/linetap/unit.toml")
    found: dict[str, Any] = json.loads(said)
    return found


def lay_cable(guest: Guest) -> None:
    """Starts jackd and the exchange, as capture's user, so that they can share memory."""
    guest.run("systemctl", "start", "run-linetap-capture.mount")
    # As at a boot, it exists before the exchange writes to it.
    guest.run("install", "-m", "666", "/dev/null", LATENESS)
    backend = ("-d", "dummy", "-r", "8000", "-p", "80", "-C", "1", "-P", "1")
    start(guest, "jackd", "jackd", "-n", SERVER, *scheduling(JACK_PRIORITY), "-p", "64", *backend)
    until(lambda: any(guest.place("/dev/shm").glob(f"*jack_{SERVER}_*")), "jackd is up")
    start(
        guest, "exchange", "/usr/bin/linetap", "bench", "--config", "/etc/linetap/unit.toml", "--script",
        "/etc/linetap/calls.toml", "--wait-services", str(LIMIT_S), "--stalled-ms", PATIENT_MS,
        "--voices", "/tmp/voices",
        "--playback-pcm", JackCable.exchange_playback, "--capture-pcm", JackCable.exchange_capture,
    )  # fmt: skip
    until(lambda: "ready:" in guest.run("journalctl", "-u", "exchange", "-o", "cat"), "the exchange is ready")

    def report_held_up() -> None:
        _report_held_up(guest)

    WATCHED.append(report_held_up)
    guest.stood.callback(WATCHED.remove, report_held_up)


def _report_held_up(guest: Guest) -> None:
    """Reports the log of the guest's cable and its exchange's reports."""
    late = [msgspec.json.decode(line, type=Late) for line in guest.run("cat", LATENESS, check=False).splitlines()]
    for each in late:
        report_late(each.who, each.late_ms)
    report_log(guest.run("journalctl", "-u", "jackd", "-o", "cat", check=False))


def start(guest: Guest, name: str, *command: str, user: str = "linetap-capture") -> None:
    """Starts a command in the background."""
    environment = [word for line in _CABLE.splitlines()[1:] for word in line.removeprefix("Environment=").split()]
    guest.run(
        "systemd-run", "--quiet", f"--unit={name}", f"--uid={user}", "--gid=linetap", "-p", "LimitRTPRIO=70",
        "-p", "LimitMEMLOCK=infinity", *(f"--setenv={word}" for word in environment),
        f"--setenv={VARIABLE}={LATENESS}", *command,
    )  # fmt: skip


def start_unit(guest: Guest) -> None:
    """Starts the broker, a subscriber, and the four services. The exchange waits for the recorder, which starts last:
    at the first call all other services run.
    """
    guest.run("systemctl", "start", "mosquitto.service")
    listen = "mosquitto_sub -c -i listener -q 1 -t linetap/v1/+/call"
    guest.run(*listen.split(), "-E")  # ends once it has subscribed; the broker queues later messages for it
    start(guest, "listener", "sh", "-c", f"{listen} >{SEEN}", user="root")
    others = [f"{name}.service" for name in SERVICES if name != "linetap-recorder"]
    guest.run("systemctl", "start", *others)
    guest.run("systemctl", "start", "linetap.target", "linetap-recorder.service")


def events(guest: Guest) -> list[str]:
    """The events at the broker so far, in the order of arrival."""
    return guest.place(SEEN).read_text().splitlines()


def all_reported(guest: Guest) -> list[str]:
    """The events, once the newest is at the broker. Asserts that none is missing, and that repeated ones are equal to
    the byte.
    """
    newest = state_of(guest, "recorder", RecorderState).outbox_seq
    until(lambda: newest in {json.loads(text)["seq"] for text in events(guest)}, "every event has reached the broker")
    seen = events(guest)
    told = {json.loads(text)["seq"]: text for text in seen}
    assert sorted(told) == list(range(1, max(told) + 1)), "a report is missing"
    assert set(seen) == set(told.values()), "a report came in two spellings"
    return seen


def pid_of(guest: Guest, service: str) -> str:
    return guest.property(service, "MainPID")


def recorded(guest: Guest, numbers: Collection[int] = (1, 2)) -> str | None:
    """A call being recorded on one of these lines; None if there is none."""
    lines = state_of(guest, "recorder", RecorderState).lines
    return next((line.call_id for line in lines if line.state == "recording" and line.line in numbers), None)


def next_recorded(guest: Guest, numbers: Collection[int] = (1, 2), limit_s: float = LIMIT_S) -> str:
    """A call that begins from now on, while it is being recorded. A call in progress may have a gap of an earlier
    test, which stopped its capture.
    """
    now, found = compact(SYSTEM.utc_ns()), ""

    def is_there() -> bool:
        nonlocal found
        found = recorded(guest, numbers) or ""
        return found > now

    until(is_there, "a call is recorded", limit_s)
    return found


def record_of(guest: Guest, call_id: str) -> CallRecord:
    """The record of a call, once it is sealed."""
    path = f"/var/lib/linetap/vault/{sealed.call_path(call_id)}/{sealed.RECORD}"
    until(guest.place(path).exists, "the call is sealed")
    return msgspec.json.decode(guest.place(path).read_bytes(), type=CallRecord)


def relays(guest: Guest) -> list[int]:
    """The relays of both lines, 1 = closed; only a card with ARM's edges can drive them."""
    wires = "/run/linetap/capture/wires-1"
    driven = guest.run("od", "-An", "-tu1", f"-j{RELAYS_AT}", "-N2", wires).split()
    armed_ms = int(guest.run("od", "-An", "-td8", f"-j{ARMED_AT}", "-N8", wires))
    is_armed = SYSTEM.monotonic_ns() // NS_PER_MS - armed_ms < ARMED_MS
    return [int(word) if is_armed else 0 for word in driven]


def lost(record: CallRecord) -> list[Gap]:
    """All gaps except those of overruns: capture gets no real time here, and a stalled machine overruns it."""
    assert record.audio is not None
    return [gap for gap in record.audio.gaps if gap.cause != "overrun"]


def state_of[S: ServiceState](guest: Guest, name: str, kind: type[S]) -> S:
    told = guest.place(f"/run/linetap/{name.partition('@')[0]}/{name}.json").read_bytes()
    return msgspec.json.decode(told.splitlines()[-1], type=kind)
