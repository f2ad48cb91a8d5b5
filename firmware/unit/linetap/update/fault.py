# SPDX-License-Identifier: Apache-2.0
"""Why an update did not come about. The code is that of the alert, of the log and of docs/update.md."""

from __future__ import annotations

from linetap_core.errors import Refusal


class UpdateFault(Refusal):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
