# SPDX-License-Identifier: Apache-2.0
"""`self_test`: the findings of `linetap check`, from the recorder's own reading of the state files; and `identify`.

The progress of a service shows only in two readings. The files are therefore read every second, so that the answer need
not wait.
"""

from __future__ import annotations

import msgspec

from linetap import checks
from linetap.checks.watch import Watch
from linetap.config.schema import Config
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import Command, Found, Outcome

LOOK_EVERY_S = 1
LIMIT_BYTES = 12 << 10  # for the findings in an answer, which has 16 KiB

_OF_AN_ANSWER = [each for each in Found.__struct_fields__ if each != "check"]


class SelfTest:
    def __init__(self, config: Config, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._watch = Watch(config, clock)
        self._due_ns = 0

    def refresh(self) -> None:
        """Reads a few small files on tmpfs, once a second."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + LOOK_EVERY_S * NS_PER_S
            self._watch.services()

    def apply(self, command: Command) -> Outcome:
        commandbody.read(command, commandbody.SelfTest)
        standing = checks.run(checks.take_snapshot(self._config, self._watch, self._clock))
        worst_first = sorted(standing, key=lambda finding: finding.trouble.severity != "critical")
        listed: list[Found] = []
        size = 0
        for finding in worst_first:
            fields = msgspec.structs.asdict(finding.trouble)
            found = Found(finding.check, **{each: fields[each] for each in _OF_AN_ANSWER})
            size += len(msgspec.json.encode(found)) + 1
            if size > LIMIT_BYTES:
                break
            listed.append(found)
        text = f"{len(standing)} findings" if standing else "all is well"
        if len(listed) < len(standing):
            text += f", the worst {len(listed)} of them here"
        return Outcome(text, findings=listed)


# --- identify ---------------------------------------------------------------------------------------------------------


class Identify:
    """The verb `identify`: the panel shows that the unit is being identified, until the end in the state file."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.until_ns = 0  # monotonic: a power cut ends it

    def apply(self, command: Command) -> str:
        seconds = commandbody.read(command, commandbody.Identify).seconds
        self.until_ns = self._clock.monotonic_ns() + seconds * NS_PER_S
        return f"the LEDs show it for {seconds} s"
