# SPDX-License-Identifier: Apache-2.0
"""The basis of all checks: their input, their findings, and the hysteresis of a finding until it clears."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from linetap.checks.machine import Machine, Mount, visible
from linetap.checks.watch import Services, Watch
from linetap.config.schema import Config
from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.records import Alert, RecorderState, ReporterState, Severity
from linetap_core.wire.alerts import ALERTS, led_of

MB = 1 << 20  # the recorder's unit of storage.reserve_mb


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The input of all checks. Sizes in bytes; None if the file system did not answer."""

    services: Services
    free_bytes: int | None
    total_bytes: int | None
    reserve_bytes: int
    vault: str
    utc_ns: int
    machine: Machine = field(default_factory=Machine)
    mount: Mount | None = None  # the vault's file system; None: unknown
    card_wrong: bool = False  # the configuration on the card could not be used at the start


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts for a person: the fault and the action, in both languages."""

    text_ko: str
    text_en: str
    action_ko: str
    action_en: str
    line: int | None = None
    lines: tuple[int, ...] = ()  # all lines concerned
    cards: tuple[int, ...] = ()  # all cards concerned


class Words(Texts, frozen=True, kw_only=True):
    """The result of a check. wire/alerts.py has its severity; `mere_warning` lowers that to a warning."""

    mere_warning: bool = False


class Trouble(Texts, frozen=True, kw_only=True):
    """The result of a check, with its severity."""

    severity: Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """A standing trouble with its start, and the legend's condition that shows it. `changes`: see judgement.py."""

    check: str
    led: str
    since: str
    trouble: Trouble
    changes: int = 0

    @property
    def kind(self) -> tuple[Severity, bool]:
        """The severity, and whether the finding is intermittent. A change of either is reported at once."""
        return self.trouble.severity, self.changes > 0

    def alert(self) -> Alert:
        words = msgspec.structs.asdict(self.trouble)
        return Alert(since=self.since, changes=self.changes, led=self.led, **words)

    @property
    def marks(self) -> frozenset[str]:
        """A name for each line or card concerned: a second line with the same trouble is new, as is a warning that
        became critical.
        """
        it = self.trouble
        name = self.check if it.severity == ALERTS[self.check].severity else f"{self.check} ({it.severity})"
        of_lines = {f"{name} line {line}" for line in it.lines}
        of_cards = {f"{name} card {card}" for card in it.cards}
        return frozenset(of_lines | of_cards or {name})


class Named:
    """The marks that the reports of one check have named. A report with a further one is due at once, but for each mark
    only once in `apart_s`: lines that take turns must not cause a report each time.
    """

    def __init__(self, apart_s: int) -> None:
        self._apart_ns = apart_s * NS_PER_S
        self._last: frozenset[str] = frozenset()
        self._named_ns: dict[str, int] = {}

    def is_due(self, marks: frozenset[str], now_ns: int) -> bool:
        """Whether a mark is not in the last report. Call it with each finding. `now_ns`: monotonic."""
        further = marks - self._last
        self._last &= marks
        return any(mark not in self._named_ns or self._is_old(mark, now_ns) for mark in further)

    def report(self, marks: frozenset[str], now_ns: int) -> None:
        self._last = marks
        recent = {mark: at_ns for mark, at_ns in self._named_ns.items() if not self._is_old(mark, now_ns)}
        self._named_ns = recent | dict.fromkeys(marks, now_ns)

    def _is_old(self, mark: str, now_ns: int) -> bool:
        return now_ns - self._named_ns[mark] >= self._apart_ns


type Find = Callable[[Snapshot, Trouble | None], Words | Trouble | None]


@dataclass(frozen=True, slots=True)
class Check:
    """A self-check. `find` gets the snapshot and the check's own standing trouble, which it may keep until the clearing
    condition (`clears`) holds. It returns words, the standing trouble if the state is unknown, or None without a
    fault.
    """

    id: str  # a row of wire/alerts.py
    clears: str
    find: Find
    is_here: Callable[[Snapshot], bool] = lambda _: True  # whether this machine has the checked part
    of_a_call: bool = False  # the finding ends with the call, so each occurrence is new and not damped

    def __post_init__(self) -> None:
        if self.id not in ALERTS:
            raise KeyError(f"{self.id}: no row in linetap/wire/alerts.py (its severity and LED)")

    def trouble(self, snapshot: Snapshot, standing: Trouble | None = None) -> Trouble | None:
        """Returns the result of `find` with the severity of wire/alerts.py."""
        found = self.find(snapshot, standing)
        if not isinstance(found, Words):
            return found
        texts = {name: getattr(found, name) for name in Texts.__struct_fields__}
        return Trouble(severity="warning" if found.mere_warning else self.severity, **texts)

    @property
    def severity(self) -> Severity:
        """The worst severity."""
        return ALERTS[self.id].severity

    @property
    def led(self) -> str:
        """The legend's condition at the worst severity."""
        return ALERTS[self.id].led


def of_recorder(find: Callable[[Snapshot, RecorderState], Words | None]) -> Find:
    """Decorates a check of the recorder's state. While the recorder is not alive, its last findings stand."""

    def asked(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
        state = snapshot.services.recorder.live
        return standing if state is None else find(snapshot, state)

    return asked


def of_reporter(find: Callable[[Snapshot, ReporterState], Words | None]) -> Find:
    """Decorates a check of the reporter's state, like `of_recorder`."""

    def asked(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
        state = snapshot.services.reporter.live
        return standing if state is None else find(snapshot, state)

    return asked


def run(checks: Iterable[Check], snapshot: Snapshot, standing: Iterable[Finding] = ()) -> list[Finding]:
    """Returns the findings. `standing`: the previous result; a finding keeps its `since` while it stands."""
    before = {finding.check: finding for finding in standing}
    found = []
    for check in checks:
        old = before.get(check.id)
        trouble = check.trouble(snapshot, old.trouble if old else None)
        if trouble is not None:
            since = old.since if old else rfc3339(snapshot.utc_ns)
            found.append(Finding(check.id, led_of(check.id, trouble.severity), since, trouble))
    return found


def take_snapshot(config: Config, watch: Watch, clock: Clock) -> Snapshot:
    free, total = _space(visible(config.vault_path))
    return Snapshot(
        services=watch.services(),
        free_bytes=free,
        total_bytes=total,
        reserve_bytes=config.storage.reserve_mb * MB,
        vault=config.vault,
        utc_ns=clock.utc_ns(),
        machine=watch.machine(),
        mount=watch.mount(),
        card_wrong=watch.card_wrong(),
    )


def _space(vault: Path) -> tuple[int | None, int | None]:
    """Returns (free, total) bytes of the vault's present or future file system."""
    for folder in (vault, *vault.parents):
        try:
            figures = os.statvfs(folder)
        except FileNotFoundError:
            continue
        except OSError:
            break
        return figures.f_bavail * figures.f_frsize, figures.f_blocks * figures.f_frsize
    return None, None
