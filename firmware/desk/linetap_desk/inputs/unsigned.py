# SPDX-License-Identifier: Apache-2.0
"""What units say without a signature, as a desk reads it: it says what to ask and what to show, and proves nothing."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# No control characters, of a terminal or of a text's direction: words end up on screens and in databases.
_PLAIN = r"\A[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*\Z"
Word = Annotated[str, Meta(max_length=64, pattern=_PLAIN)]
Sentence = Annotated[str, Meta(max_length=400, pattern=_PLAIN)]


class Status(msgspec.Struct, frozen=True):
    state: Literal["online", "offline"]
    session: Word
    version: Word
    since: Word

    def is_late_will(self, state: str | None, session: str | None) -> bool:
        """Of an older session than the one that is known to be online: it says nothing of now."""
        return self.state == "offline" and state == "online" and self.session != session
