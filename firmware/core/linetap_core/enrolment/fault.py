# SPDX-License-Identifier: Apache-2.0
"""Why the authority says no."""

from __future__ import annotations

from linetap_core.errors import Refusal


class PkiFault(Refusal):
    """A request that does not hold, or one for what somebody else has already."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} [{code}]")
        self.code = code
