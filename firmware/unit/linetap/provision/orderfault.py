# SPDX-License-Identifier: Apache-2.0
"""The fault for an order that a unit refuses."""

from __future__ import annotations

from linetap_core.errors import Refusal


class OrderFault(Refusal):
    """The order is not carried out; `code` is the reason."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} [{code}]")
        self.code = code
