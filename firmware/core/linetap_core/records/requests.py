# SPDX-License-Identifier: Apache-2.0
"""Requests from one service to another, over sockets in run_dir."""

from __future__ import annotations

import msgspec

from linetap_core.records.states import WalkBy

# --- recorder -> capture and back, over rundir.socket_path -----------------------------------------


class PlayNotice(msgspec.Struct, frozen=True, tag="play", tag_field="verb"):
    """Plays a notice on a line so that its first sample is on the line at ring frame `at_frame`, or at once if late."""

    line: int
    notice: str
    at_frame: int
    plain: bool = False  # without the line's gain, to measure its level


class StopNotice(msgspec.Struct, frozen=True, tag="stop", tag_field="verb"):
    line: int


# Longer than any flash (up to 1600 ms at a gateway, docs/line-release.md), and shorter than the card's own one-shot,
# which closes the contact after 2.1 to 2.7 s (decision 0175).
LEAST_OPEN_MS, MOST_OPEN_MS = 1700, 2000


class ReleaseLine(msgspec.Struct, frozen=True, tag="release", tag_field="verb"):
    """Opens the series contact of a line for `open_ms`, from LEAST_OPEN_MS to MOST_OPEN_MS. No effect if it is open."""

    line: int
    ms: int


class Refused(msgspec.Struct, frozen=True, tag="refused", tag_field="verb"):
    """The request is impossible: unknown notice or line, relay fault."""

    line: int
    why: str


CaptureCommand = PlayNotice | StopNotice | ReleaseLine


# --- panel and terminal -> recorder, over run_dir/door/recorder.sock ------------------------------------------------

RECORDER_SOCKET = "door/recorder.sock"


class StartWalk(msgspec.Struct, frozen=True, tag="start_walk", tag_field="verb"):
    """Starts a walk test of these lines; of all lines if none is named. The answer is `Walking` or `Refused`."""

    by: WalkBy
    lines: list[int] = []


class StopWalk(msgspec.Struct, frozen=True, tag="stop_walk", tag_field="verb"):
    """Ends the running walk test, with a report of the finished part."""


class PrepareRemoval(msgspec.Struct, frozen=True, tag="prepare_removal", tag_field="verb"):
    """A person is about to remove the disk: calls end now, and no new one is recorded; the state reports completion."""


class CancelRemoval(msgspec.Struct, frozen=True, tag="cancel_removal", tag_field="verb"):
    """The disk stays: calls are recorded again."""


class Walking(msgspec.Struct, frozen=True, tag="walking", tag_field="verb"):
    """The started or stopped walk test, by the time of its beginning."""

    began_at: str


RecorderCommand = StartWalk | StopWalk | PrepareRemoval | CancelRemoval
