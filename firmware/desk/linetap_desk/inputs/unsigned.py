# SPDX-License-Identifier: Apache-2.0
"""Fields of units' unsigned messages, as the desk reads them. They may be displayed and may trigger a request; they
prove nothing."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# No control characters of terminals or of text direction: these texts are displayed and stored.
_PLAIN = r"\A[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*\Z"
Word = Annotated[str, Meta(max_length=64, pattern=_PLAIN)]
Sentence = Annotated[str, Meta(max_length=400, pattern=_PLAIN)]


class Status(msgspec.Struct, frozen=True):
    state: Literal["online", "offline"]
    session: Word
    version: Word
    since: Word

    def is_late_will(self, state: str | None, session: str | None) -> bool:
        """Whether it is the delayed last will of an earlier session than the one known to be online."""
        return self.state == "offline" and state == "online" and self.session != session
