# SPDX-License-Identifier: Apache-2.0
# ruff: isort: skip_file
"""All messages between services, and the call record with its events.

`call.py`: the record and its events; `states.py`: the state files; `requests.py`: requests between services. Import
them from here.
"""

from __future__ import annotations

from linetap_core.records.call import (
    ABUSE, ActualTime, AnswerConfidence, AnswerRecord, AnsweredBy, Audio, CallEvent, CallRecord, Caller,
    ClockRecord, CountedMoment, Direction, Disposition, END_STEPS, EndRecord, EndedBy, EventKind, Gap, InternalBy,
    KeyPlace, Mark, NoticeProof, NoticeRecord, PERSONAL_FIELDS, Part, PartyBy, PersonalRecord, PublicRecord,
    ReleaseSeenBy, Retention, SUITE, UnitKeyRecord, require_homes,
)  # fmt: skip
from linetap_core.records.requests import (
    CancelRemoval, CaptureCommand, LEAST_OPEN_MS, MOST_OPEN_MS, PlayNotice, PrepareRemoval, RECORDER_SOCKET,
    RecorderCommand, Refused, ReleaseLine,
    StartWalk, StopNotice, StopWalk, Walking,
)  # fmt: skip
from linetap_core.records.states import (
    Alert, CaptureState, Colour, ConfirmedBy, DeliveryState, FREE, Fault, KernelClockState, KeyHolder, KeyListState,
    LineRelease, LineState, LineStatus, MeterState, OrderState, OutboxState, PanelState, PbxDay, PbxPort, RecorderState,
    RefusedState, RemovalState, ReporterState, RetentionTimeState, ServiceState, Severity, UpdateBy,
    UpdateState, UpdateStep, WalkBy, WalkEnd, WalkState, WalkStep, WalkedLine, WeakeningState,
)  # fmt: skip

__all__ = [
    "ABUSE", "END_STEPS", "FREE", "LEAST_OPEN_MS", "MOST_OPEN_MS", "PERSONAL_FIELDS", "RECORDER_SOCKET", "SUITE",
    "ActualTime", "Alert", "AnswerConfidence",
    "AnswerRecord", "AnsweredBy", "Audio", "CallEvent", "CallRecord", "Caller", "CancelRemoval",
    "CaptureCommand", "CaptureState", "ClockRecord", "Colour", "ConfirmedBy", "CountedMoment", "DeliveryState",
    "Direction", "Disposition", "EndRecord", "EndedBy", "EventKind", "Fault", "Gap", "InternalBy",
    "KernelClockState", "KeyHolder", "KeyListState", "KeyPlace", "LineRelease", "LineState", "LineStatus", "Mark",
    "MeterState", "NoticeProof", "NoticeRecord", "OrderState", "OutboxState", "PanelState", "Part", "PartyBy",
    "PbxDay", "PbxPort", "PersonalRecord", "PlayNotice", "PrepareRemoval", "PublicRecord", "RecorderCommand",
    "RecorderState", "Refused",
    "RefusedState", "ReleaseLine", "ReleaseSeenBy", "RemovalState", "ReporterState", "Retention",
    "RetentionTimeState", "ServiceState",
    "Severity", "StartWalk", "StopNotice", "StopWalk", "UnitKeyRecord", "UpdateBy", "UpdateState", "UpdateStep",
    "WalkBy", "WalkEnd", "WalkState", "WalkStep", "WalkedLine", "Walking", "WeakeningState", "require_homes",
]  # fmt: skip
