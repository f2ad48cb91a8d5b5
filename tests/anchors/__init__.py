# SPDX-License-Identifier: Apache-2.0
"""References for the detectors: receivers and transmitters of other makers, and recorded speech.

Each function raises DeviceFault `no_anchor` if its program, library or recordings are not installed.
"""

from __future__ import annotations

from linetap_core.errors import DeviceFault


def not_here(what: str, package: str) -> DeviceFault:
    return DeviceFault("no_anchor", f"{what} is not installed: apt-get install --no-install-recommends {package}")
