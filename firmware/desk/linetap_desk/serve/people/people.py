# SPDX-License-Identifier: Apache-2.0
"""What the rest of the site asks about people."""

from __future__ import annotations

import anyio.to_thread
from sqlalchemy import Engine

from linetap_core.clock import Clock
from linetap_desk.serve.people import sessions
from linetap_desk.serve.people.who import Who
from linetap_desk.serve.settings import Settings
from linetap_desk.serve.transactions import writing


class People:
    def __init__(self, engine: Engine, settings: Settings, clock: Clock) -> None:
        self.engine, self.settings, self.clock = engine, settings, clock

    async def who(self, token: str, deed: bool) -> Who | None:
        """Whose session it is. `deed`: a person did something, so it does not lock yet."""
        return await anyio.to_thread.run_sync(self._who, sessions.digest(token), deed)

    async def still(self, who: Who) -> bool:
        """Whether somebody may still see what they began to see: for streams, which ask now and then."""
        found = await anyio.to_thread.run_sync(self._who, who.session, False)
        return found is not None and not found.locked and found.roles == who.roles

    def _who(self, session: str, deed: bool) -> Who | None:
        now_ns = self.clock.utc_ns()
        with self.engine.connect() as db:
            who, news = sessions.find(db, session, self.settings, now_ns, deed)
        if who is not None and news:
            with writing(self.engine) as db:
                sessions.note(db, who, now_ns)
        return who
