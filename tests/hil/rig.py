# SPDX-License-Identifier: Apache-2.0
"""A unit made from the image: its card written by an office on this machine, a broker beside it, calls on its lines."""

from __future__ import annotations

import base64
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
from machine import Machine

from linetap_bench.stage.stage import linetap
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, RecorderState, ServiceState
from pki_rig import Pki

UNIT = "floor-03"
HOST = "10.0.2.2"  # this machine's loopback, as seen by the emulated one
BOOT = "/boot/firmware"
VAULT = "/var/lib/linetap/vault"
CONFIG = "/etc/linetap/unit.toml"
SERVICES = ("linetap-capture@1", "linetap-recorder", "linetap-reporter", "linetap-panel")
PROVISION_S = 400  # with services that use both processors
FILL_MS = 120  # for a slow machine; a notice must return within 200 to count as heard
SETTLED_S = 120
TALK_S = 9.0  # the notice and some speech after it
# On a machine without counted time: an answer detected two seconds late, a recorder delayed by 15 s on two busy
# processors.
SLOW_TALK_S = 30.0
# Keeps calls although no exchange, or a stalling one, returns their notices.
KEEPS = {'on_notice_failure = "discard"': 'on_notice_failure = "record_and_flag"'}


@dataclass(frozen=True)
class Office:
    """The office that writes cards: the people's keys, the authority."""

    folder: Path
    pki: Pki

    @classmethod
    def new(cls, folder: Path) -> Office:
        folder.mkdir()
        return cls(folder, Pki(folder / "authority", "--network", "10.0.0.0/8", "--network", "127.0.0.0/8"))

    def card(
        self,
        *network: str,
        lines: int = 8,
        port: int = 8883,
        changes: dict[str, str] | None = None,
        authority: tuple[str, Path] | None = None,
    ) -> bytes:
        """linetap.toml of a unit that is the emulated machine. `authority`: its key's line, its key list."""
        custodian = linetap("keygen", "custodian", "-o", self.folder / "custodian.txt").strip()
        epoch = linetap("keygen", "epoch", "-o", self.folder / "epoch.txt").strip()
        path = self.folder / "unit.toml"
        linetap("config", "init", UNIT, "--image", "--lines", lines, "--custodian", custodian, "--epoch", epoch,
                "--broker", HOST, "--broker-port", port, "-o", path,
                *(("--authority", authority[0], "--key-list", authority[1]) if authority else ()))  # fmt: skip
        text = path.read_text()
        for old, new in (changes or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        path.write_text("\n".join(_own(line) for line in text.splitlines()) + "\n")
        named = (authority[1], f"{authority[1]}.sig") if authority else ()
        linetap("provision", "pack", path, self.pki.ca, *named, *network, "-o", self.folder / "linetap.toml")
        return (self.folder / "linetap.toml").read_bytes()

    def certificate(self, request: bytes) -> bytes:
        asked, answer = self.folder / f"{UNIT}.request", self.folder / f"{UNIT}.pem"
        asked.write_bytes(request)
        assert self.pki.run("unit", str(asked), "-o", str(answer)) == 0
        return answer.read_bytes()


def _own(line: str) -> str:
    """Settings for the emulated machine: 8 kHz, because it has a tenth of a Pi's speed; lines without a meter; and no
    night, in which LEDs are mostly dark.
    """
    own = {
        "capture_pcm": '"hw:linetap1,0,0"', "playback_pcm": '"hw:linetap1,0,0"', "rate_hz": "8000",
        "kind": '"hardware"\nlines = "simulated"', "night_from": '"06:00"', "night_to": '"06:00"',
    }  # fmt: skip
    key = line.split(" = ")[0]
    return f"{key} = {own[key]}" if key in own else line


def certify(machine: Machine, office: Office) -> None:
    """Certifies the running machine, as an engineer does with the card in a reader."""
    machine.until(lambda: f"{UNIT}.request" in machine.run("ls", BOOT), "the card is taken")
    pem = office.certificate(machine.read(f"{BOOT}/{UNIT}.request"))
    machine.write(f"{BOOT}/{UNIT}.pem", pem)
    machine.run("systemctl", "restart", "provision-linetap.service", limit_s=PROVISION_S)
    machine.run("systemctl", "--no-block", "restart", "linetap-reporter.service")


def state_of[S: ServiceState](machine: Machine, name: str, kind: type[S]) -> S:
    told = machine.read(f"/run/linetap/{name.partition('@')[0]}/{name}.json")
    return msgspec.json.decode(told.splitlines()[-1], type=kind)


def idle_lines(machine: Machine) -> None:
    """Puts voltage on the lines while no exchange runs: otherwise they count as cut."""
    words = ("--quiet", "--collect", "--unit=idle", "/usr/bin/python3", "/run/hil/idle.py", "/etc/linetap/unit.toml")
    machine.run("systemd-run", *words)


def start_lines(machine: Machine, script: str) -> None:
    """Starts the exchange in the machine; it begins when capture and recorder are up."""
    machine.write("/run/hil/calls.toml", script.encode())
    machine.run("sh", "/run/hil/lines.sh", str(FILL_MS))
    machine.until(lambda: b"ready" in machine.read("/run/hil/exchange.said"), "the exchange is ready")


def played(machine: Machine, limit_s: float) -> None:
    """Waits until the exchange has ended, every line is idle, and every call is sealed."""
    machine.until(lambda: not plays(machine), "all is played", limit_s)
    machine.until(lambda: idle(machine), "every line is idle", SETTLED_S)
    seals(machine)


def seals(machine: Machine) -> None:
    """Waits until every started call is sealed."""
    unsealed = f"cd {VAULT} && for d in 2*/*/*/*/; do [ -e ${{d}}{sealed.RECORD}.sig ] || echo $d; done"
    machine.until(lambda: machine.run("sh", "-c", unsealed) == "", "every call is sealed", SETTLED_S)


def plays(machine: Machine) -> bool:
    """Whether the exchange runs: whether its control group exists."""
    answer = machine.ask({"read": "/sys/fs/cgroup/system.slice/exchange.service/cgroup.events"})
    return bool(answer["rc"] == 0)


def idle(machine: Machine) -> bool:
    return all(line.state == "idle" for line in state_of(machine, "recorder", RecorderState).lines)


def call_ids(machine: Machine) -> set[str]:
    """The calls in the vault, which the recorder creates at its first start."""
    return set(
        machine.run(
            "sh", "-c", f"cd {VAULT} 2>/dev/null && ls -d 2*/*/*/*/ 2>/dev/null | xargs -rn1 basename", check=False
        ).split()
    )


def configure(machine: Machine, changes: dict[str, str]) -> None:
    """Changes the unit's configuration; all its services then reload it."""
    text = machine.read(CONFIG).decode()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    machine.write(CONFIG, text.encode())
    machine.run("systemctl", "restart", *SERVICES, limit_s=PROVISION_S)


def one_call(machine: Machine) -> str:
    """Makes a call on line 1; returns its id once it is in the vault."""
    before = call_ids(machine)
    start_lines(machine, short_calls(1, talk_s=TALK_S if machine.counted else SLOW_TALK_S))
    played(machine, 120)
    machine.until(lambda: call_ids(machine) - before, "the call is in the vault")
    (made,) = call_ids(machine) - before
    return made


def record_of(machine: Machine, call_id: str) -> CallRecord:
    """The record of a call, once it is sealed."""
    path = f"{VAULT}/{sealed.call_path(call_id)}/{sealed.RECORD}"
    machine.until(lambda: machine.read(path), f"{call_id} is sealed")
    return msgspec.json.decode(machine.read(path), type=CallRecord)


def checked(machine: Machine) -> str:
    """The output of `linetap check`."""
    return machine.run("linetap", "check", "--config", CONFIG, check=False)


def vault(machine: Machine, into: Path) -> Path:
    """A copy of the unit's vault, here."""
    machine.run("sync")
    data = machine.run("sh", "-c", f"tar -C {VAULT} -cf - --exclude=journal . | base64 -w0")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(data))) as tar:
        tar.extractall(into, filter="data")
    return into


def records(folder: Path) -> list[CallRecord]:
    found = sorted(folder.glob(f"[0-9]*/*/*/*/{sealed.RECORD}"))
    return [msgspec.json.decode(path.read_bytes(), type=CallRecord) for path in found]


def short_calls(count: int, lines: int = 8, talk_s: float = TALK_S, apart_s: float = 1.0) -> str:
    """A script of `count` calls, one after another around the lines. All are outgoing: without a meter ringing is not
    detected, and a handset lifted for a ringing line dials nothing, so that the unit waits 15 s.
    """
    text = f'lines = {lines}\nseed = 3\nlanguage = "ko"\n'
    for n in range(count):
        start_s = 1.0 + n * apart_s + (n // lines) * (8 + talk_s)
        text += f"\n[[call]]\nline = {n % lines + 1}\nstart_s = {start_s}\n"
        text += f'direction = "out"\ndigits = "021234567{n % 10}"\nrings = 1\n'
        text += f"talk_s = {talk_s}\ndense_dbm0 = -30.0\n"
    return text
