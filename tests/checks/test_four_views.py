# SPDX-License-Identifier: Apache-2.0
"""One judgement in four places: every check is raised alone; LEDs, `linetap check`, alert and desk must agree.

The desk's page must state later whether the unit recorded, and the reason if not. The checks are found in the folder; a
check without a cause in this file fails the test. All four views are real: the panel on a simulated front, the
reporter's messages, the desk's watcher, and `linetap check --json`. State files and an imitated /proc and /sys are
their input.
"""

from __future__ import annotations

import html
import importlib
import io
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "desk"))  # the rigs of the desk's pages

from calls_house import NOON_NS, UNIT, CallsHouse

from ingest_rig import trusted
from linetap import checks
from linetap.board.simulated import SimulatedPanel
from linetap.cardresult import CARD_WRONG
from linetap.checks import CHECKS, Check, Snapshot, Watch, frame, machine, take_snapshot
from linetap.checks.command import diagnose, print_json
from linetap.checks.frame import MB
from linetap.checks.machine import LOST
from linetap.checks.watch import Seen
from linetap.config.schema import Config
from linetap.panel.service import Panel
from linetap.reporter.health import OutboxFigures, health
from linetap.reporter.telemetry import AlertTelemetry
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock, from_utc_ns
from linetap_core.durable import broken
from linetap_core.records import (
    CaptureState,
    Fault,
    KernelClockState,
    KeyListState,
    MeterState,
    OrderState,
    OutboxState,
    PanelState,
    RefusedState,
    ReporterState,
    RetentionTimeState,
    UpdateState,
    WeakeningState,
)
from linetap_core.wire.legend import CONDITIONS
from linetap_core.wire.topics import Topics
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store
from linetap_desk.watch.units import Units
from linetap_desk.watch.units import leds_of as shown_at_the_desk
from state_files import Unit, capture, recorder, reporter, suffering, unit

NOTHING_ELSE = {"nothing_runs", "reporter_dead"}  # no reporter can send these: the unit is offline at the desk
WELL = {
    "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 900 kB\n",
    "proc/pressure/memory": "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "proc/self/mountinfo": "22 1 0:2 / / rw - ext4 /dev/y rw\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "50000\n",
    "sys/bus/platform/devices/soc:firmware/get_throttled": "0\n",
    "sys/fs/ext4/y/errors_count": "0\n",
    "sys/block/mmcblk0/device/life_time": "0x01 0x01\n",
    "sys/block/mmcblk0/device/pre_eol_info": "0x01\n",
}


@dataclass
class Ill:
    """A change to a healthy unit: other states, killed services, other files of the machine."""

    states: dict[str, Any] = field(default_factory=dict)
    dead: tuple[str, ...] = ()
    stalled: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    free_mb: int = 1000
    also: Callable[[Path], object] = lambda _: None
    full: tuple[str, ...] = ()  # names of full rooms


def of_recorder(**fields: Any) -> Ill:
    return Ill({"recorder": recorder("idle", "idle", **fields)})


def of_line(code: str) -> Ill:
    return Ill({"recorder": suffering(code)})


def of_capture(**fields: Any) -> Ill:
    return Ill({"capture@1": capture(**fields)})


def of_reporter(**fields: Any) -> Ill:
    return Ill({"reporter": reporter(**fields)})


def of_codec(code: str) -> Ill:
    """A unit whose capture has ended with this code."""
    return Ill({"capture@1": capture(fault=Fault(code, ""))}, dead=("capture@1",))


LINES = (
    "notice_not_heard", "line_cut", "line_short", "silent_off_hook", "sound_on_hook", "notice_doubtful",
    "line_reversed", "battery_low", "battery_high", "battery_24v", "short_loop", "hum", "clipped", "too_quiet",
    "stuck_off_hook", "call_marked", "call_ending", "mark_far", "long_call",
)  # fmt: skip
RAISED: dict[str, Ill] = {code: of_line(code) for code in LINES} | {
    "config_wrong": Ill(also=lambda run_dir: run_dir.with_name(CARD_WRONG).touch()),
    "nothing_runs": Ill(dead=("capture@1", "recorder", "reporter")),
    "capture_dead": Ill(dead=("capture@1",)),
    "recorder_dead": Ill(dead=("recorder",)),
    "reporter_dead": Ill(dead=("reporter",)),
    "panel_dead": Ill(dead=("panel",)),
    "codec_absent": of_codec("codec_absent"),
    "codec_mismatch": of_codec("codec_mismatch"),
    "codec_stalled": Ill(stalled=("capture@1", "recorder")),
    "not_recording": of_recorder(recording_refused="disk_error"),
    "state_unwritten": Ill(dead=("recorder",), full=("recorder",)),
    "ring_overtaken": of_recorder(overtaken_ns=0),
    "overruns": of_capture(overruns_lately=30),
    "data_lost": Ill(files={"proc/self/mountinfo": f"22 1 0:2 / / rw - tmpfs {LOST} rw\n"}),
    "vault_read_only": Ill(files={"proc/self/mountinfo": "22 1 0:2 / / rw - ext4 /dev/y rw,emergency_ro\n"}),
    "disk_errors": Ill(files={"sys/fs/ext4/y/errors_count": "3\n"}),
    "card_changed": Ill(files={"run/linetap-left": "not a unit's: etc/ld.so.preload\n"}),
    "disk_full": Ill(free_mb=150),
    "disk_forecast": of_recorder(full_in_days=41, retention_days=60),
    "disk_worn": Ill(files={"sys/block/mmcblk0/device/pre_eol_info": "0x03\n"}),
    "slot_failed": Ill(files={"run/linetap-slots": "a runs=1 good=1 falls=0 bad=2 mended=0\n"}),
    "firmware_old": Ill(files={
        "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
        "proc/device-tree/chosen/bootloader/build-timestamp": "\x5f\x5e\x10\0",
    }),
    "eeprom_failed": Ill(files={
        "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
        "proc/device-tree/chosen/bootloader/build-timestamp": "g\0\0\0",
        "run/linetap-eeprom": "failed before=1728053248 wanted=1779045198 eeprom_not_taken\n",
    }),
    "under_voltage": Ill(files={"sys/bus/platform/devices/soc:firmware/get_throttled": "1\n"}),
    "temperature_high": Ill(files={"sys/class/thermal/thermal_zone0/temp": "90000\n"}),
    "throttled": Ill(files={"sys/bus/platform/devices/soc:firmware/get_throttled": "4\n"}),
    "memory_low": Ill(files={"proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 10 kB\n"}),
    "call_undated": of_recorder(undated=2),
    "clock_distrusted": of_recorder(retention_time=RetentionTimeState(ahead_s=86_400 * 400)),
    "clock_stepped": of_recorder(clock=KernelClockState(synced=True, offset_ms=0.0, step_ms=-3000, stepped_ns=0)),
    "clock_unsynced": of_recorder(
        started_ns=0, clock=KernelClockState(synced=False, offset_ms=0.0),
    ),
    "power_failing": of_capture(meter=MeterState(connected=True, power_fail=True)),
    "unit_opened": of_capture(meter=MeterState(connected=True, tamper=True)),
    "unit_key": of_recorder(key_fault="tpm_silent", unsigned=4),
    "meter_absent": of_capture(meter=MeterState(connected=False)),
    "converter_unset": of_capture(meter=MeterState(connected=True, unset=[2])),
    "contact_open": of_capture(contact_open=[1]),
    "contact_stuck": of_capture(contact_stuck=[1]),
    "smdr_unmatched": of_recorder(smdr_unmatched=3),
    "key_list_end": of_recorder(key_list=KeyListState()),
    "broker_unreachable": of_reporter(connected=False),
    "certificate_end": of_reporter(certificate_until="1970-01-01T00:00:00.000Z"),
    "outbox_old": of_reporter(outbox=OutboxState(oldest_s=1e6)),
    "outbox_dropped": of_recorder(outbox_dropped_to=7),
    "version_mismatch": of_recorder(version="1"),
    "update_failed": of_recorder(
        update=UpdateState(step="failed", version="0.2.0", sha256="", by="command", at="1970-01-01T00:00:00.000Z")
    ),
    "policy_departs": of_recorder(departures=["record_and_flag"]),
    "weakened": of_recorder(
        weakenings=[WeakeningState(id="5f", at="1970-01-01T00:00:00.000Z", by="file", codes=["line_exempt"],
                                   in_effect=True, waits_s=0)]
    ),
    "command_refused": of_recorder(refused_commands=RefusedState(1, "command_signer")),
    "order_refused": of_recorder(),
    "file_broken": of_recorder(broken_files=["commands.json"]),
    "log_changed": of_recorder(logs_kept=["log.before-1"]),
}  # fmt: skip
RAISED["order_refused"].states["recorder"].order = OrderState("2026-11-24T03:00:00.000Z", "order_signer", "5f" * 32)


def checks_found() -> set[str]:
    """The ids in CHECKS of all modules in the folder."""
    found: set[str] = set()
    for module in pkgutil.iter_modules(checks.__path__):
        of_file: tuple[Check, ...] = getattr(importlib.import_module(f"linetap.checks.{module.name}"), "CHECKS", ())
        found |= {check.id for check in of_file}
    return found


def test_every_check_of_the_folder_is_run_and_raised_here() -> None:
    assert checks_found() == {check.id for check in CHECKS} == RAISED.keys()


class Views:
    """The four views of a healthy unit with one change."""

    def __init__(self, run_dir: Path, root: Path, ill: Ill, monkeypatch: pytest.MonkeyPatch) -> None:
        broken.forget()  # what an earlier test of this process found
        self.ill, self.run_dir = ill, run_dir
        self.clock = ManualClock(utc_ns=1_800_000_000 * NS_PER_S, monotonic_ns=1000 * NS_PER_S)
        for name, text in (WELL | ill.files).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        monkeypatch.setattr(machine, "ROOT", root)
        monkeypatch.setattr(frame, "_space", lambda _: (ill.free_mb * MB, 2000 * MB))
        monkeypatch.setattr("linetap.checks.watch.fault_of", lambda room: "full" if room.name in ill.full else None)
        self.config: Config = unit(run_dir)
        self.unit = Unit(run_dir, self.clock)
        self.unit.states |= ill.states
        self.unit.stalled = set(ill.stalled)
        self.unit.write()
        self.unit.kill(*(name for name in ill.dead if name != "panel"))
        ill.also(run_dir)
        self.panel: Panel | None = None
        if "panel" not in ill.dead:
            del self.unit.states["panel"]
            self.panel = Panel(self.config, SimulatedPanel(run_dir), self.clock, 0)
        else:
            self.unit.kill("panel")
        self.watch = Watch(self.config, self.clock, 0)
        self.judge, self.alerts = checks.judge(), AlertTelemetry(Topics("test-unit"), [check.id for check in CHECKS])
        self.desk, self.health = Units(), b""
        self._tell("status", {"state": "online", "session": "s", "version": "0", "since": "2026-11-24T22:56:00.000Z"})

    def pass_ms(self, ms: int) -> None:
        for passed in range(0, ms, 100):
            if passed % 200 == 0:
                self.unit.write()
            if self.panel is not None:
                self.panel.tick()
            self._report()
            self.clock.advance(100 * NS_PER_MS)

    def _report(self) -> None:
        """Judges as the reporter does, with its own state as alive."""
        now_ns = self.clock.monotonic_ns()
        if "reporter" in self.ill.dead or not self.judge.is_due(now_ns):
            return
        snapshot: Snapshot = take_snapshot(self.config, self.watch, self.clock)
        own: Any = Seen(self.unit.states["reporter"], "alive")
        judgement = self.judge.judge(
            replace(snapshot, services=replace(snapshot.services, reporter=own)),
            now_ns,
        )
        self.unit.states["reporter"].alerts = judgement.alerts  # type: ignore[attr-defined]
        for message in self.alerts.changed(judgement.findings, now_ns):
            self.desk.receive(message.topic, message.payload, now_ns)
        said = health(snapshot, OutboxFigures(0, 0, 0, "broker", 0, None), judgement)
        self.health = msgspec.json.encode(said)
        self._tell("health", msgspec.to_builtins(said))

    def _tell(self, topic: str, what: object) -> None:
        data = msgspec.json.encode(what)
        self.desk.receive(f"linetap/v1/test-unit/{topic}", data, self.clock.monotonic_ns())

    # --- the four views ----------------------------------------------------------------------------------------

    def leds(self) -> dict[str, str]:
        if self.panel is None:
            return dict.fromkeys(("run", "call", "fault"), "off")
        return self._panel_state().patterns

    def _panel_state(self) -> PanelState:
        return msgspec.json.decode(
            (self.run_dir / "panel" / "panel.json").read_bytes().splitlines()[-1], type=PanelState
        )

    def panel_told(self) -> dict[str, str]:
        return {check: alert.severity for check, alert in self._panel_state().alerts.items()}

    def check(self) -> dict[str, dict[str, Any]]:
        """The rows of `linetap check --json`; the unit keeps working while the command waits."""
        views, real = self, self.clock

        class Working(ManualClock):
            def sleep(self, seconds: float) -> None:
                real.advance(round(seconds * NS_PER_S))
                views.unit.write()
                if views.panel is not None:
                    views.panel.tick()
                views._report()

            def monotonic_ns(self) -> int:
                return real.monotonic_ns()

            def utc_ns(self) -> int:
                return real.utc_ns()

        out = io.StringIO()
        findings, _ = diagnose(self.config, Working())
        print_json(findings, out)
        return {row["check"]: row for row in json.loads(out.getvalue())}

    def at_the_desk(self) -> dict[str, Any]:
        return dict(self.desk.units["test-unit"].alerts)


class Later:
    """The desk's page of unrecorded times; each hour has a single health message."""

    def __init__(self, house: CallsHouse, officer: httpx.Client) -> None:
        self._house, self._officer, self._hour = house, officer, -200

    def page(self, health: bytes) -> str:
        """The page for the hour that begins with this health message."""
        self._hour += 1
        begin_ns = NOON_NS + self._hour * 3600 * NS_PER_S
        well = b'{"records":true,"condition":"ok"}'
        for payload, at_ns in ((health, begin_ns), (well, begin_ns + 1800 * NS_PER_S)):
            notice = UnitMessage(UNIT, "health", payload, at_ns)
            Store(self._house.engine).write([notice], trusted(*self._house.tellers.values()))
        begin, end = (
            from_utc_ns(begin_ns + minutes * 60 * NS_PER_S)
            .astimezone(ZoneInfo("Asia/Seoul"))
            .strftime("%Y-%m-%dT%H:%M")
            for minutes in (1, 20)
        )
        answer = self._officer.get(f"/calls/found?unit={UNIT}&line=7&from={begin}&to={end}")
        assert answer.status_code == 200
        return html.unescape(answer.text)


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Later]:
    house = CallsHouse(tmp_path_factory.mktemp("later"))
    house.fill()
    with house.serve() as served:
        officer = served.client("officer")
        officer.cookies.set("__Host-linetap-language", "en", domain="127.0.0.1")
        yield Later(house, officer)
    house.engine.dispose()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_raised_alone_is_the_same_in_all_four(
    check: Check, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: Later
) -> None:
    (run_dir / "linetap").mkdir()
    views = Views(run_dir / "linetap", tmp_path / "machine", RAISED[check.id], monkeypatch)
    views.pass_ms(4000)
    by_command = views.check()
    expected = {check.id} if check.id != "nothing_runs" else {
        "nothing_runs", "capture_dead", "recorder_dead", "reporter_dead"
    }  # fmt: skip
    assert by_command.keys() == expected, "raised alone"
    severities = {name: row["severity"] for name, row in by_command.items()}
    (worst,) = [name for name in CONDITIONS if name in {row["led"] for row in by_command.values()}][:1]

    assert views.leds() == {"run": CONDITIONS[worst].run, "call": "off", "fault": CONDITIONS[worst].fault}
    if views.panel is not None:
        assert views.panel_told() == severities
    if check.id in NOTHING_ELSE:
        assert views.at_the_desk() == {}
        return
    alerts = views.at_the_desk()
    assert {name: alert.severity for name, alert in alerts.items()} == severities
    assert {name: alert.led for name, alert in alerts.items()} == {name: row["led"] for name, row in by_command.items()}
    assert alerts[check.id].text_ko == by_command[check.id]["text_ko"]
    assert shown_at_the_desk(views.desk.units["test-unit"]).patterns == views.leds()
    page = later.page(views.health)
    assert ("Unit did not record" in page) != CONDITIONS[worst].records
    assert (CONDITIONS[worst].en in page) != CONDITIONS[worst].records


def test_a_critical_finding_never_looks_as_if_all_were_well() -> None:
    for check in CHECKS:
        assert check.severity == "warning" or check.led != "ok", check.id


def test_a_mere_disk_warning_is_not_drawn_as_if_nothing_were_recorded(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = Views(run_dir, tmp_path / "machine", RAISED["disk_full"], monkeypatch)
    views.pass_ms(3000)
    assert views.leds()["run"] == "on"
    assert CONDITIONS[shown_at_the_desk(views.desk.units["test-unit"]).condition].records
    views.ill.free_mb = 50
    views.pass_ms(2000)
    assert views.leds()["run"] == "off"
    assert not CONDITIONS[shown_at_the_desk(views.desk.units["test-unit"]).condition].records


@pytest.mark.parametrize("restarted", ["panel", "reporter", "both"])
def test_a_restart_within_a_band_of_hysteresis_changes_no_decision(
    restarted: str, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """210 MB are above the warning's 200 and below the 225 that clear it: a service that forgot would report *ok*."""
    ill = Ill(free_mb=150)
    views = Views(run_dir, tmp_path / "machine", ill, monkeypatch)
    views.pass_ms(3000)
    ill.free_mb = 210
    views.pass_ms(1000)
    if restarted in ("panel", "both"):
        views.panel = Panel(views.config, SimulatedPanel(run_dir), views.clock, 0)
    if restarted in ("reporter", "both"):
        before = checks.judgement.alerts_before(views.config, views.clock, "reporter", ReporterState)
        views.judge = checks.judge(before, views.clock.monotonic_ns())
    views.pass_ms(1000)
    assert views.panel_told() == {"disk_full": "warning"}
    assert views.check().keys() == views.at_the_desk().keys() == {"disk_full"}
    ill.free_mb = 300
    views.pass_ms(1000)
    assert (views.panel_told(), views.check(), views.at_the_desk()) == ({}, {}, {})


def test_what_comes_and_goes_is_held_by_all_four_alike(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill = Ill()
    views = Views(run_dir, tmp_path / "machine", ill, monkeypatch)
    for n in range(6):
        ill.free_mb = 1000 if n % 2 else 50
        views.pass_ms(1000)
    views.pass_ms(60_000)
    (row,) = views.check().values()
    alert = views.at_the_desk()["disk_full"]
    assert row["text_en"].startswith("Comes and goes: Calls are not recorded")
    assert (row["text_en"], row["severity"], row["led"]) == (alert.text_en, alert.severity, alert.led)
    assert views.leds()["run"] == "off"


def test_no_capture_state_is_needed_to_name_it(run_dir: Path) -> None:
    """The panel comes to the same decision without any other service."""
    clock = ManualClock(utc_ns=1_800_000_000 * NS_PER_S, monotonic_ns=1000 * NS_PER_S)
    panel = Panel(unit(run_dir), SimulatedPanel(run_dir), clock, 0)
    for _ in range(5):
        shown = panel.tick()
        clock.advance(100 * NS_PER_MS)
    assert shown.condition == "nothing_runs"
    assert isinstance(capture(), CaptureState)
