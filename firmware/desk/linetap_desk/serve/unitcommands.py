# SPDX-License-Identifier: Apache-2.0
"""The page of commands to units: a person uploads a file that `linetap custody` has signed, for one unit or for all;
the ingest checks and sends it (ingest/batches.py), and the page shows the result at each unit."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import anyio.to_thread
import msgspec
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.command import CommandFault, Envelope
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.accesslog.deskfolder import read_authority
from linetap_desk.ingest import batches
from linetap_desk.ingest.batches import DESTROY, Line
from linetap_desk.ingest.commandfiles import MOST_FILES, Delivery, sha256_of, unverified
from linetap_desk.inputs import strict
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.handling.site import Route, Site
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import common, store, texts
from linetap_desk.serve.release.checking import roles_in_force
from linetap_desk.serve.release.common import FILE, error_texts, upload
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.web.roles import AUDITOR, CUSTODIAN, OFFICER, RELEASES, VAULT
from linetap_desk.web.text import N_

PATH = "/commands"
BRINGS = RELEASES - CUSTODIAN  # the signed roles decide whose signature counts
KEEPS = OFFICER | VAULT  # may resend and put away
OF_A_BATCH = {
    "command_verb": "batch_other", "command_role": "batch_role", "command_signer": "batch_signer",
    "document_signature": "batch_unsigned",
}  # fmt: skip
VERBS = {
    "roles": N_("Roles in force"),
    "key_list": N_("List of keys"),
    "config": N_("Configuration"),
    "update": N_("Another version"),
    "learn": N_("Values of a walk test"),
    "confirm": N_("Weakening confirmed"),
    "cancel": N_("Weakening cancelled"),
    "time": N_("Time"),
}
WAITS, SENT, DONE, REFUSED = "waits", "sent", "done", "refused"


class UnitOf(msgspec.Struct, frozen=True):
    """A unit and the state of its command: one of the four words above."""

    unit: str
    state: str
    sent: Delivery

    @property
    def may_again(self) -> bool:
        return self.sent.code in batches.NOT_COUNTED

    @property
    def says(self) -> str:
        """The msgid for the unit's refusal; empty: the unit's own text is shown."""
        return texts.REFUSAL.get(OF_A_BATCH.get(self.sent.code, self.sent.code), "")


class Batch(msgspec.Struct, frozen=True):
    """A batch. `name`: of a certificate its day or overflow epoch, and the officers if it is of some of a group.
    Without `units` its file cannot be read."""

    name: str
    verb: str
    counter: int
    expires: str
    units: list[UnitOf]

    def of(self, state: str) -> list[UnitOf]:
        return [one for one in self.units if one.state == state]

    @property
    def missing(self) -> list[UnitOf]:
        return [one for one in self.units if one.state != DONE]

    @property
    def is_finished(self) -> bool:
        return bool(self.units) and not self.missing

    @property
    def shown(self) -> list[UnitOf]:
        """The units shown. The answer of a single unit is shown even if its command is done."""
        return self.units if len(self.units) == 1 else self.missing


async def page(request: Request, site: Site) -> Response:
    return await _page(request, site)


async def _page(request: Request, site: Site, error: Exception | None = None) -> Response:
    found = await anyio.to_thread.run_sync(_batches, site)
    return site.pages.page(
        request, "release/commands.html", 200 if error is None else 409, batches=found, words=texts, verbs=VERBS,
        destroy=DESTROY, may_bring=bool(session_user(request).roles & BRINGS),
        may_keep=bool(session_user(request).roles & KEEPS), is_sent=common.outgoing_folder(site) is not None,
        error=None if error is None else error_texts(site, request, error),
    )  # fmt: skip


def _batches(site: Site) -> list[Batch]:
    """The batches, newest first."""
    folder, found = common.outgoing_folder(site), []
    if folder is None:
        return []
    for name, lines in batches.waiting_batches(folder).items():
        deliveries = batches.deliveries_of(folder, name)
        try:
            first, units = unverified(lines[0]), [_unit_of(data, deliveries) for data in lines]
        except BadInput:
            found.append(Batch(name, "", 0, "", []))
            continue
        found.append(Batch(name, first.verb, first.counter, first.expires, units))
    return sorted(found, key=lambda one: one.counter, reverse=True)


def _unit_of(data: bytes, deliveries: Mapping[str, Delivery]) -> UnitOf:
    unit, sha256 = unverified(data).unit, sha256_of(data)
    sent = deliveries.get(unit)
    if sent is None or sent.sha256 != sha256:
        return UnitOf(unit, WAITS, Delivery(sha256))
    state = DONE if sent.code == "done" else REFUSED if sent.code else SENT if sent.sent_at else WAITS
    return UnitOf(unit, state, sent)


# The batch's name, and the commands to send; none: sending stops.
Prepare = Callable[[], Awaitable[tuple[str, list[bytes]]]]


async def upload_batch(request: Request, site: Site) -> Response:
    form = await request.form()

    async def prepare() -> tuple[str, list[bytes]]:
        data = await upload(form)
        return await anyio.to_thread.run_sync(_checked_batch, site, data)

    return await _step(request, site, "commands_take", prepare)


def _checked_batch(site: Site, data: bytes) -> tuple[str, list[bytes]]:
    """The batch's name and its commands. Commands that units have executed stay as they are."""
    roles, now_ns = roles_in_force(site).roles, site.clock.utc_ns()
    authority = read_authority(Path(str(site.settings.desk.serve.authority)))
    found: dict[str, Line] = {}
    for number, one in enumerate(batches.lines_of(data), 1):
        try:
            line = batches.checked_command(one, authority, roles)
        except BadInput as error:
            raise BadInput(f"command {number}: {error}") from None
        except CommandFault as fault:
            raise StepFault(OF_A_BATCH.get(fault.code, fault.code), f"command {number}: {fault}") from None
        if parse_rfc3339(line.command.expires) <= now_ns:
            raise CommandFault("command_expired", f"it was good until {line.command.expires}")
        if found.setdefault(line.command.unit, line) is not line:
            raise StepFault("batch_mixed", f"two commands for {line.command.unit}")
    names = {line.batch for line in found.values()}
    if len(names) > 1:
        raise StepFault("batch_mixed", f"{', '.join(sorted(names))}: one a file")
    (name,) = names
    waiting = _waiting_lines(site, name)
    _require_no_fewer_signatures(waiting, found.values())
    before = {one.name: one for one in _batches(site)}.get(name)
    done = set() if before is None else {one.sent.sha256 for one in before.of(DONE)}
    kept = {unverified(data).unit: data for data in waiting if sha256_of(data) in done}
    return name, [*kept.values(), *(line.data for unit, line in found.items() if unit not in kept)]


def _require_no_fewer_signatures(waiting: Iterable[bytes], lines: Iterable[Line]) -> None:
    """StepFault if a file has fewer signatures than the waiting one that it would replace."""
    there = {unverified(data).unit: _signatures(data) for data in waiting}
    for line in lines:
        if line.signatures < there.get(line.command.unit, 0):
            raise StepFault("batch_fewer", f"{line.command.unit}: one with more signatures waits")


def _signatures(data: bytes) -> int:
    envelope = strict.decode(data, Envelope)
    with contextlib.suppress(sshsig.SignatureFault):  # verified when it was added
        return len(sshsig.check_all(envelope.command.encode(), envelope.sig.encode(), namespaces.COMMAND))
    return 0


def _waiting_lines(site: Site, name: str) -> list[bytes]:
    folder = common.outgoing_folder(site)
    return [] if folder is None else batches.waiting_batches(folder).get(name, [])


async def again(request: Request, site: Site) -> Response:
    name = str((await request.form()).get("name", ""))

    async def prepare() -> tuple[str, list[bytes]]:
        lines = await anyio.to_thread.run_sync(_waiting_lines, site, name)
        if not lines:
            raise StepFault("batch_none", "no batch of this name is waiting")
        return name, lines

    return await _step(request, site, "commands_again", prepare)


async def put_away(request: Request, site: Site) -> Response:
    """Stops sending a batch; its results stay in the units' logs."""
    name = str((await request.form()).get("name", ""))

    async def prepare() -> tuple[str, list[bytes]]:
        if not await anyio.to_thread.run_sync(_waiting_lines, site, name):
            raise StepFault("batch_none", "no batch of this name is waiting")
        return name, []

    return await _step(request, site, "commands_away", prepare)


async def _step(request: Request, site: Site, act: str, prepare: Prepare) -> Response:
    """Runs one step; the access log has it before a command is sent."""
    folder, subject = common.outgoing_folder(site), Subject()
    try:
        try:
            if folder is None:
                raise StepFault("outgoing_missing", "desk.toml names no folder `outgoing`")
            name, lines = await prepare()
            subject = Subject(terms=f"{name}: {len(lines)}")
            there = await anyio.to_thread.run_sync(_batches, site)
            finished = {one.name for one in there if one.is_finished}
            if len(finished | {name} | {one.name for one in there}) - len(finished) > MOST_FILES:
                raise StepFault("batch_many", f"more than {MOST_FILES} would wait: remove some first")
        except (Refusal, BadInput) as error:
            await store.log_refusal(request, site, act, subject, error)
            raise

        def do(_db: Connection) -> None:
            if lines:
                batches.add_batch(folder, name, lines)
                for one in finished - {name}:
                    batches.batches(folder).withdraw(one)
            else:
                batches.batches(folder).withdraw(name)

        await store.run_logged(request, site, act, subject, do)
    except (Refusal, BadInput) as error:
        return await _page(request, site, error)
    return RedirectResponse(PATH, 303)


LARGER = {PATH: batches.LIMIT_BYTES + (64 << 10)}  # plus the form's overhead
NAME = ("name",)
ROUTES: tuple[Route, ...] = (
    Route(PATH, ("GET",), BRINGS | AUDITOR, "commands_view", page),
    Route(PATH, ("POST",), BRINGS, None, upload_batch, takes=FILE, answers=(303, 409)),
    Route(f"{PATH}/again", ("POST",), KEEPS, None, again, takes=NAME, answers=(303, 409)),
    Route(f"{PATH}/away", ("POST",), KEEPS, None, put_away, takes=NAME, answers=(303, 409)),
)
