# SPDX-License-Identifier: Apache-2.0
"""Alerts in the journal: a line when one is raised, becomes worse or better, or clears. The check's id comes first."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from linetap.checks import Finding
from linetap_core.records import Severity

log = logging.getLogger("linetap.reporter.alert")
_LEVEL: dict[Severity, int] = {"warning": logging.WARNING, "critical": logging.ERROR}


class Journal:
    """Of what the damper lets through, so that nothing fills the journal either."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[Severity, bool]] = {}  # check -> kind

    def write(self, told: Iterable[Finding]) -> None:
        standing = {finding.check: finding for finding in told}
        for check in [check for check in self._written if check not in standing]:
            del self._written[check]
            log.info("%s: cleared", check, extra={"code": check})
        for check, finding in standing.items():
            if self._written.get(check) != finding.kind:
                self._written[check] = finding.kind
                severity = finding.trouble.severity
                text = finding.trouble.text_en
                log.log(_LEVEL[severity], "%s: %s: %s", check, severity, text, extra={"code": check})
