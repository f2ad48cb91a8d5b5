# SPDX-License-Identifier: Apache-2.0
"""The judgement of an update: whether a machine accepts updates, whether a bundle fits, whether a new version works,
and which version runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from linetap.checks import Finding
from linetap.update.rauc import Info
from linetap.update.state import UpdateFault
from linetap_core.wire.updates import PATTERN, is_older

COMPATIBLE = "linetap"
# These lose no call, but leave a unit that is unreachable, or hides its state.
ALSO_RED = ("reporter_dead", "panel_dead", "broker_unreachable")


# A bundle with one of these failures is not tried again while its stick is present: each attempt would be a reboot.
TRIED = ("update_install", "update_fell_back", "update_self_test", "update_keep", "update_gave_up")


def require_running() -> str:
    """The running version. UpdateFault if this machine was not made from an image."""
    running = running_version()
    if running is None:
        raise UpdateFault("update_not_here", f"{RELEASE}: this machine was not made from an image")
    return running


def require_fit(info: Info, running: str, wanted: str | None = None) -> None:
    """Raises UpdateFault unless the bundle is a newer version of linetap, and the `wanted` one if given."""
    if info.compatible != COMPATIBLE:
        raise UpdateFault("update_other_product", f"the bundle is for {info.compatible!r}, this is {COMPATIBLE!r}")
    if re.search(PATTERN, info.version) is None:
        raise UpdateFault("update_other_version", f"the bundle's version is {info.version!r}; 0.2.0 expected")
    if wanted is not None and info.version != wanted:
        raise UpdateFault("update_other_version", f"the bundle has version {info.version}, announced was {wanted}")
    require_newer(info.version, running)


def require_newer(version: str, running: str) -> None:
    """Raises UpdateFault if the version is older. The same version is allowed; callers that care check before."""
    if is_older(version, running):
        raise UpdateFault("update_older", f"version {version} is older than {running}, which runs")


def critical_findings(findings: Iterable[Finding]) -> list[str]:
    """The critical checks, with their line if any, to which an update must not add."""
    return sorted(
        finding.check if finding.trouble.line is None else f"{finding.check} {finding.trouble.line}"
        for finding in findings
        if finding.trouble.severity == "critical" or finding.check in ALSO_RED
    )


# --- The running version ----------------------------------------------------------------------------------------------


RELEASE = Path("/usr/lib/linetap/release")  # VERSION=0.2.0, a line in the image's file
_LIMIT_BYTES = 4096


def running_version() -> str | None:
    """The running version; None if this machine was not made from an image, and accepts no updates."""
    try:
        with RELEASE.open(encoding="ascii") as file:
            text = file.read(_LIMIT_BYTES)
    except (OSError, ValueError):
        return None
    found = re.search(r"^VERSION=(\S+)$", text, re.MULTILINE)
    return found[1] if found and re.search(PATTERN, found[1]) else None
