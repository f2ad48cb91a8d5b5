# SPDX-License-Identifier: Apache-2.0
"""Checks that take one service's word for it. One that is away cures nothing: what it said last stands."""

from __future__ import annotations

from collections.abc import Callable

from linetap.checks.frame import Snapshot, Trouble
from linetap.records import RecorderState, ReporterState

type Look = Callable[[Snapshot, Trouble | None], Trouble | None]


def of_recorder(look: Callable[[Snapshot, RecorderState], Trouble | None]) -> Look:
    """`look` is asked while the recorder lives."""

    def asked(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
        state = snapshot.services.recorder.word
        return standing if state is None else look(snapshot, state)

    return asked


def of_reporter(look: Callable[[Snapshot, ReporterState], Trouble | None]) -> Look:
    """`look` is asked while the reporter lives."""

    def asked(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
        state = snapshot.services.reporter.word
        return standing if state is None else look(snapshot, state)

    return asked
