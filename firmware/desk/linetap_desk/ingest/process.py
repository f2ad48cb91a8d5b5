# SPDX-License-Identifier: Apache-2.0
"""The process of `linetap desk ingest`: one ingest for all units, or, with `shares`, one for each share that it has.

The shares move between processes automatically (share.py). The process that has a share connects to the broker by the
share's session, and so receives the messages that the broker has queued in it. All ingests of a process run in turn in
one thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.errors import AlreadyRunning, BadInput
from linetap_core.service import InstanceLock, Stop, start_logging
from linetap_core.timekeeping import KEPT, require_possible
from linetap_desk.config.desk import Settings
from linetap_desk.ingest import database
from linetap_desk.ingest.link import Patience
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.service import TURN_S, Ingest, StartCopies
from linetap_desk.ingest.share import LEASE_S, RENEW_S, Lease, Leases, ShareLost, guard_transactions

log = logging.getLogger("linetap.ingest")


def run(
    settings: Settings,
    start_copies: StartCopies,
    clock: Clock = KEPT,
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> int:
    """Runs until SIGTERM. A broker or database that becomes unavailable later is no error: meanwhile nothing is
    acknowledged."""
    require_possible(clock)  # the time of receipt determines the end of a copy
    stop = Stop()
    start_logging("ingest")
    signers = SignersFile(settings.signers)
    with writer_of(settings.db, settings.shares > 1) as engine:
        ingest: Ingest | Sharing
        if settings.shares == 1:
            ingest = Ingest(settings, engine, signers, clock, patience, start_copies)
        else:
            signers.units()  # reports an invalid file at the start, in a terminal
            name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
            leases = Leases(database.connected_writer(settings.db), settings.shares, name)

            def begin(lease: Lease, its: Engine) -> Ingest:
                share, counter = lease.share, lease.counter
                return Ingest(
                    settings, its, signers, clock, patience, start_copies, share=share, counter=counter
                )  # fmt: skip

            ingest = Sharing(settings.db, leases, begin, clock)
        try:
            while not stop.requested:
                ingest.turn()
        finally:
            ingest.end()
    return 0


@contextlib.contextmanager
def writer_of(db: str, shared: bool) -> Iterator[Engine]:
    """The database, for this process to write to. AlreadyRunning if another process writes to it. `shared`: ingests
    with other shares may write too."""
    path = database.file_of(database.parse_url(db))
    with contextlib.ExitStack() as held:
        if path is not None and not path.absolute().parent.is_dir():
            raise BadInput(f"--db {db}: there is no folder {path.absolute().parent}")
        if path is not None:
            held.enter_context(InstanceLock(path.absolute().parent, path.name))
        engine = database.open_writer(db)
        held.callback(engine.dispose)
        if not database.lock_as_writer(held.enter_context(engine.connect()), shared):
            raise AlreadyRunning("--db: another ingest writes there already")
        if path is not None and (outdated := database.rebuilt_file_of(path)).exists():
            log.warning("rebuilt_outdated: %s: removed: it would lack the events stored from now on", outdated)
            outdated.unlink()
        yield engine


class Sharing:
    """The shares of this process, each with its own ingest and fenced engine. `begin` makes the ingest."""

    def __init__(self, db: str, leases: Leases, begin: Callable[[Lease, Engine], Ingest], clock: Clock) -> None:
        self._db, self._leases, self._begin, self._clock = db, leases, begin, clock
        self._held: dict[Lease, tuple[Ingest, Engine]] = {}
        self._due_ns = 0
        self._sure_ns = 0  # monotonic; until then no other process can have taken the held shares
        self._away = ""

    @property
    def shares(self) -> list[int]:
        return sorted(lease.share.number for lease in self._held)

    def turn(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + RENEW_S * NS_PER_S
            self._renew(now_ns)
        if not self._held:
            self._clock.sleep(TURN_S)
        for lease, (ingest, _) in list(self._held.items()):
            try:
                ingest.turn(TURN_S / len(self._held))
            except ShareLost as error:
                self._drop(lease, str(error))

    def end(self) -> None:
        with contextlib.suppress(SQLAlchemyError):  # otherwise the leases expire
            for lease in list(self._held):
                self._release_lease(lease)
            self._leases.leave()
        for lease in list(self._held):
            self._drop(lease, "")

    def _renew(self, now_ns: int) -> None:
        try:
            held = self._leases.renew(self._held.keys(), self._counter())
            self._sure_ns = now_ns + LEASE_S * NS_PER_S
            for lease in self._held.keys() - held:
                self._drop(lease, f"share {lease.share}: another ingest has it")
            for lease in list(self._held)[: self._leases.surplus(len(self._held))]:
                self._release_lease(lease)
            for lease in self._leases.acquire(len(self._held)):
                self._start_share(lease)
        except SQLAlchemyError as error:
            self._log_away(f"database_away: {database.reason(error)}; the shares are not renewed")
            # Without the database the leases have expired, and other processes may use their sessions at the broker.
            for lease in list(self._held) if now_ns >= self._sure_ns else ():
                self._drop(lease, f"share {lease.share}: not renewed for {LEASE_S} s")
            return
        self._log_away("")

    def _start_share(self, lease: Lease) -> None:
        engine = database.connected_writer(self._db)
        guard_transactions(engine, lease)
        self._held[lease] = (self._begin(lease, engine), engine)
        log.info("share_taken: %s", lease.share)

    def _release_lease(self, lease: Lease) -> None:
        self._drop(lease, f"share {lease.share}: given back")
        self._leases.release(lease, self._counter())

    def _drop(self, lease: Lease, reason: str) -> None:
        ingest, engine = self._held.pop(lease)
        if reason:
            log.info("share_left: %s", reason)
        ingest.end()
        engine.dispose()

    def _counter(self) -> int:
        """A counter above that of every command until the next renewal; counters are milliseconds."""
        return self._clock.utc_ns() // NS_PER_MS + LEASE_S * 1000

    def _log_away(self, trouble: str) -> None:
        if trouble != self._away and trouble:
            log.error("%s", trouble)
        self._away = trouble
