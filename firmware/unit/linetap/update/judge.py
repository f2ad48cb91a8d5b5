# SPDX-License-Identifier: Apache-2.0
"""Whether a machine takes updates, whether a bundle is for it, and whether a new version is well."""

from __future__ import annotations

import re
from collections.abc import Iterable

from linetap.checks import Finding
from linetap.update import release
from linetap.update.fault import UpdateFault
from linetap.update.rauc import Info
from linetap_core.wire.updates import PATTERN, is_older

COMPATIBLE = "linetap"
# No call is lost by these, and still no unit is left with them: nobody could reach it, or see what it says.
ALSO_RED = ("reporter_dead", "panel_dead", "broker_unreachable")


# A bundle that ended so is not taken again by being left in its socket: each time would be a reboot.
TRIED = ("update_install", "update_fell_back", "update_self_test", "update_keep", "update_gave_up")


def require_running() -> str:
    """The version that runs. UpdateFault where this machine was not made from an image."""
    running = release.running()
    if running is None:
        raise UpdateFault("update_not_here", f"{release.RELEASE}: this machine was not made from an image")
    return running


def require_fit(info: Info, running: str, wanted: str | None = None) -> None:
    """UpdateFault unless it is a newer version of ours; and the one that was `wanted`, if somebody has said."""
    if info.compatible != COMPATIBLE:
        raise UpdateFault("update_other_product", f"the bundle is for {info.compatible!r}, this is {COMPATIBLE!r}")
    if re.search(PATTERN, info.version) is None:
        raise UpdateFault("update_other_version", f"the bundle's version is {info.version!r}; 0.2.0 would be right")
    if wanted is not None and info.version != wanted:
        raise UpdateFault("update_other_version", f"the bundle has version {info.version}, announced was {wanted}")
    require_newer(info.version, running)


def require_newer(version: str, running: str) -> None:
    """Or the same: whoever cares for that has asked before."""
    if is_older(version, running):
        raise UpdateFault("update_older", f"version {version} is older than {running}, which runs")


def red(findings: Iterable[Finding]) -> list[str]:
    """What must not be there after an update that was not there before it: a check, and its line if it is of one."""
    return sorted(
        finding.check if finding.trouble.line is None else f"{finding.check} {finding.trouble.line}"
        for finding in findings
        if finding.trouble.severity == "critical" or finding.check in ALSO_RED
    )
