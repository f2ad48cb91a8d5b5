# SPDX-License-Identifier: Apache-2.0
"""A unit with two slots in manual time: a few fields hold the state of RAUC and the boot loader, and record their
calls.

Their real behaviour: test_rauc_bundle.py, test_slots_script.py and tests/systemd.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from linetap.config import Config
from linetap.update import state
from linetap.update.install import Install
from linetap.update.rauc import Info, Slots
from linetap.update.state import UpdateFault, UpdateRequest
from linetap.update.trial import Trial
from linetap_core import rundir
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.durable import files
from linetap_core.durable.files import replace_in_ram
from linetap_core.records import LineStatus, UpdateState
from state_files import recorder, unit

BUNDLE = b"a bundle" * 1000
SHA256 = hashlib.sha256(BUNDLE).hexdigest()
URL = "https://broker.city.example/linetap/linetap-0.2.0.raucb"
WANTED = UpdateRequest(version="0.2.0", sha256=SHA256, size=len(BUNDLE), url=URL)


class Progress(ManualClock):
    """Updates the recorder's line states during waits, by the seconds since the start."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(utc_ns=1_800_000_000 * NS_PER_S, monotonic_ns=NS_PER_S)
        self._run_dir = run_dir
        self.doing: Callable[[float], LineStatus | None] = lambda _: "idle"  # None: the recorder is dead
        self.passes: Callable[[float], None] = lambda _: None

    @property
    def seconds(self) -> float:
        return (self.monotonic_ns() - NS_PER_S) / NS_PER_S

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.passes(self.seconds)
        if (doing := self.doing(self.seconds)) is None:
            return
        said = recorder(doing, "idle", mono_ns=self.monotonic_ns())
        replace_in_ram(
            rundir.make_service_folder(self._run_dir, "recorder") / "recorder.json", msgspec.json.encode(said)
        )


@dataclass
class FakeMachine:
    current: str = "a"
    primary: str = "a"
    tried: bool = False
    bundle: Info = field(default_factory=lambda: Info("linetap", "0.2.0"))
    faults: dict[str, UpdateFault] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def info(self, bundle: Path) -> Info:
        assert files.sha256(bundle) == SHA256, "nothing is looked at before its hash is right"
        self._called("info")
        return self.bundle

    def install(self, bundle: Path) -> None:
        assert bundle.exists()
        self._called("install")

    def slots(self) -> Slots:
        if "slots" in self.faults:
            raise self.faults["slots"]
        return Slots(self.current, self.primary)

    def try_other(self) -> None:
        self._called("try_other")
        self.tried = True

    def keep(self) -> None:
        self._called("keep")
        self.primary = self.current

    def reboot(self) -> None:
        """Reboots as the firmware does: a slot on trial starts once."""
        self._called("reboot")
        self.current = ("b" if self.primary == "a" else "a") if self.tried else self.primary
        self.tried = False

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.faults:
            raise self.faults[name]


class Rig:
    def __init__(self, run_dir: Path) -> None:
        self.clock = Progress(run_dir)
        self.config: Config = unit(run_dir, reserve_mb=0)
        self.config.vault_path.mkdir()
        self.folder = state.folder_of(self.config)
        self.folder.mkdir()
        self.machine = FakeMachine()
        self.critical_findings: Callable[[float], list[str]] = lambda _: []
        self.served = BUNDLE
        self.fetched = 0

    @property
    def path(self) -> Path:
        return self.config.vault_path / state.WISH

    def want(self, wanted: UpdateRequest | bytes = WANTED) -> None:
        self.path.write_bytes(wanted if isinstance(wanted, bytes) else msgspec.json.encode(wanted))

    def from_stick(self, wanted: UpdateRequest, bundle: bytes = BUNDLE) -> None:
        (self.folder / state.FROM_STICK).write_bytes(bundle)
        (self.folder / state.STICK).write_bytes(msgspec.json.encode(wanted))

    def fetch(self, wanted: UpdateRequest, into: Path, progress: Callable[[int, str], None]) -> None:
        assert wanted.url is not None
        self.fetched += 1
        progress(0, "no answer yet")
        into.write_bytes(self.served)

    def install(self) -> None:
        Install(
            self.config, self.machine, self.fetch, lambda: self.critical_findings(self.clock.seconds), self.clock
        ).run()

    def trial(self) -> None:
        Trial(self.folder, self.machine, lambda: self.critical_findings(self.clock.seconds), self.clock).run()

    @property
    def state(self) -> UpdateState:
        found = state.load(self.folder)
        assert found is not None
        return found

    def outcome(self) -> tuple[str, str]:
        return self.state.step, self.state.code

    def bundles(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.raucb*"))
