# SPDX-License-Identifier: Apache-2.0
"""`learn`: a signed command makes the measurements of a walk test the expected values of the lines.

A walk test (by the button, without a terminal) measures the same as `linetap line learn` except the level of a digit,
in calls that are announced and recorded like any other. Without the hash of a report, the answer lists the changes that
the newest report would make, and nothing is changed. With the hash, the values are stored. Values come only from the
unit's own reports: a signer cannot invent a measurement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from linetap import learned
from linetap.config import config_sha256, profile_of
from linetap.config.schema import Config, Line
from linetap.learned import Learned
from linetap.notices import notices_of
from linetap.notices.level import gain_db
from linetap_core import plainfile
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import Command, CommandFault
from linetap_core.evidence.signing import document
from linetap_core.records import WalkedLine
from linetap_core.vaultformat import walkreport
from linetap_core.vaultformat.walkreport import WALKS_FOLDER, WalkReport

MOST_LOOKED_AT = 50  # reports, the newest first
_HEARD = ("full", "early")  # nobody answers a test call


class Learning:
    def __init__(self, config: Config) -> None:
        self._config, self._folder = config, Path(config.learned)

    def apply(self, command: Command) -> tuple[str, bool]:
        """Returns the found or stored values in words, and whether any was stored. CommandFault without a fitting walk
        test, or if no line's values can be stored: an OSError would be repeated before all other commands, and this
        folder is on another partition than the vault."""
        wanted = commandbody.read(command, commandbody.Learn).walk
        report, sha256 = self._report(wanted)
        if report.config_sha256 != config_sha256(self._config):
            raise CommandFault(
                "learn_other_config", f"the walk test of {report.ended_at} was of another configuration: walk again"
            )
        known, lines, kept, unwritten = learned.load(self._folder), [], False, ""
        for walked in report.lines:
            line = next((line for line in self._config.line if line.number == walked.line), None)
            found = (
                None if line is None else self._learned_values(line, walked, known.get(walked.line), report.ended_at)
            )
            lines.append(f"line {walked.line} {', '.join(_words(found)) if found is not None else 'as it was'}")
            if found is not None and wanted is not None:
                try:
                    learned.accept(self._folder, walked.line, found)
                    kept = True
                except OSError as error:
                    unwritten = f"{learned.accepted(self._folder)}: {error.strerror}"
                    lines[-1] = f"line {walked.line} not kept"
        if unwritten and not kept:
            raise CommandFault("config_unwritable", f"{unwritten}: the recorder has to be able to write there")
        done = "kept" if kept else "nothing to keep" if wanted is not None else "not kept: sign it with this walk"
        return f"walk {sha256} of {report.ended_at}, {done}: {'; '.join(lines)}", kept

    def _report(self, wanted: str | None) -> tuple[WalkReport, str]:
        paths = sorted((self._config.vault_path / WALKS_FOLDER).glob("[0-9]*.json"), reverse=True)
        for path in paths[:MOST_LOOKED_AT]:
            try:
                data = plainfile.read(path, document.LIMIT_BYTES)
                sha256 = hashlib.sha256(data).hexdigest()
                if wanted in (None, sha256):
                    return walkreport.decode(data), sha256
            except (OSError, BadInput):
                continue
        what = "no walk test was made" if wanted is None else f"none of the last walk tests is {wanted[:16]}"
        raise CommandFault("learn_no_walk", f"{what}: hold the button for 3 s, and lift each handset")

    def _learned_values(self, line: Line, walked: WalkedLine, known: Learned | None, at: str) -> Learned | None:
        """The values of a line; None if none may be used: the line is red, or was learnt after this walk test."""
        if walked.colour == "red" or (known is not None and known.learned_at >= at):
            return None
        values: dict[str, object] = {}
        if walked.on_hook_v is not None:
            values |= {"on_hook_v": abs(walked.on_hook_v), "reversed": walked.on_hook_v > 0}
        if walked.off_hook_v is not None:
            values["off_hook_v"] = abs(walked.off_hook_v)
        if (echo_db := self._echo(line, walked, known)) is not None:
            values["echo_db"] = round(echo_db, 1)
            if walked.echo_delay_ms is not None:
                values["echo_delay_ms"] = round(walked.echo_delay_ms, 1)
        if not values:
            return None
        before = {} if known is None else msgspec.to_builtins(known)
        try:
            return msgspec.convert(before | values | {"learned_at": at}, Learned)
        except msgspec.ValidationError:  # an impossible value
            return None

    def _echo(self, line: Line, walked: WalkedLine, known: Learned | None) -> float | None:
        """The notice's level without the gain with which it was played."""
        if walked.echo_db is None or walked.proof not in _HEARD or (walked.score or 0) < learned.LEAST_SCORE:
            return None
        gain = 0.0
        if known is not None and known.echo_db is not None:
            policy = self._config.recording
            try:
                notice = notices_of(self._config)[line.notice or policy.notice]
            except (LinetapError, OSError, KeyError):
                return None
            gain = gain_db(notice.samples, known, policy, profile_of(self._config, line.profile).notice)
        echo_db = walked.echo_db - gain
        return echo_db if echo_db >= learned.LEAST_ECHO_DB else None


def _words(found: Learned) -> Iterator[str]:
    if found.on_hook_v is not None and found.off_hook_v is not None:
        yield f"{found.on_hook_v:.1f} V and {found.off_hook_v:.1f} V{' reversed' if found.reversed else ''}"
    if found.echo_db is not None:
        yield f"echo {found.echo_db:.1f} dB"
    if found.echo_delay_ms is not None:
        yield f"after {found.echo_delay_ms:.0f} ms"
