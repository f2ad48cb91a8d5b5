# SPDX-License-Identifier: Apache-2.0
"""The list of pictures of the desk's pages: a row for each page of the route table, and some in another look.

A new page gets a row here, in the order of docs/desk-pages.md; then run tools/screenshots.py. picture_site.py must
contain the pictured data, and fills in `{call}` in an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec


@dataclass(frozen=True, slots=True)
class Shot:
    """`route`: its path in the table. `role`: the viewer's; empty before the login. `locked`: whether their
    session is.
    """

    name: str  # of the file
    route: str
    address: str
    role: str
    says: str
    scheme: Literal["light", "dark"] = "light"
    wide: int = 960
    locked: bool = False
    live: bool = False  # its script opens the stream of units
    waits: Literal["", "passkey", "new"] = ""  # a started login that waits for a passkey or for a new one


SHOTS = (
    Shot("login", "/login", "/login", "", "Name and password, or the city's own login if it is configured."),
    Shot(
        "unlock",
        "/unlock",
        "/fleet",
        "officer",
        "The lock after a quarter of an hour without input; the session then continues at the same page.",
        locked=True,
    ),
    Shot(
        "login-passkey",
        "/login/passkey",
        "/login/passkey",
        "",
        "The passkey after the password, for an account that has one.",
        waits="passkey",
    ),
    Shot("first", "/first", "/first", "", "A new account, or a lost passkey: a one-time code and a new password."),
    Shot("first-passkey", "/first/passkey", "/first/passkey", "", "The new passkey of such an account.", waits="new"),
    Shot(
        "restore",
        "/restore",
        "/restore",
        "officer",
        "A lost passkey: one person has requested a new one, another confirms, and each sees half a code.",
    ),
    Shot("home", "/", "/", "officer", "The first page: the tasks and pages of the person's roles."),
    Shot(
        "password",
        "/password",
        "/password",
        "officer",
        "The person's own password; a change ends the other sessions of the person.",
    ),
    Shot(
        "fleet",
        "/fleet",
        "/fleet",
        "officer",
        "All units, live, the worst first: start of the fault, likely cause, remedy and the person to call.",
        live=True,
    ),
    Shot(
        "fleet-dark",
        "/fleet",
        "/fleet?standing=wrong",
        "watch",
        "The same in dark colours, faulty units only.",
        scheme="dark",
        live=True,
    ),
    Shot(
        "shift",
        "/fleet/shift",
        "/fleet/shift",
        "watch",
        "The shift log: acknowledgements of faults, and notes for the next shift.",
    ),
    Shot(
        "unit",
        "/fleet/unit/{unit}",
        "/fleet/unit/main-03",
        "officer",
        "One unit: its LEDs, all of its alerts, its version, and the outages that the ingest has recorded.",
        live=True,
    ),
    Shot(
        "walks",
        "/fleet/unit/{unit}/walks",
        "/fleet/unit/main-03/walks",
        "officer",
        "A unit's walk tests, and how the operator signs the measured values of the newest one.",
    ),
    Shot(
        "calls",
        "/calls",
        "/calls",
        "officer",
        "The search of calls. No field accepts a telephone number: the desk has none.",
    ),
    Shot(
        "found",
        "/calls/found",
        "/calls/found?unit=main-03&from=2026-11-24",
        "officer",
        "The calls found, and the calls that were not recorded, with the reason.",
    ),
    Shot(
        "nothing",
        "/calls/found",
        "/calls/found?unit=main-04&from=2026-11-24T12:40&to=2026-11-24T13:20",
        "officer",
        "No call found, with the reason: here the unit sent no reports.",
        wide=320,
    ),
    Shot(
        "call",
        "/calls/{unit}/{call_id:path}",
        "/calls/main-03/{call}",
        "officer",
        "One call: times, the proof of its notice, gaps, marks, copy, log, and the check of each signature.",
    ),
    Shot(
        "find",
        "/find",
        "/find",
        "custodian",
        "A search by number begins with its reason; the number is typed on the machine with the index keys, not here.",
    ),
    Shot(
        "release",
        "/release",
        "/release",
        "approver-manager",
        "Releases and holds: the person's own tasks, open requests, finished requests.",
    ),
    Shot(
        "release-ask",
        "/release/ask/{unit}/{call_id:path}",
        "/release/ask/main-03/{call}",
        "officer",
        "A new request: a purpose of the signed list, a case, and the requester's key.",
    ),
    Shot(
        "release-one",
        "/release/{id}",
        "/release/2026-0042",
        "approver-manager",
        "One request and its progress: the second approval is missing, to be signed on the approver's own device.",
    ),
    Shot(
        "overflow",
        "/overflow",
        "/overflow",
        "vault",
        "Calls without a day of their own: re-wrapped by one vault officer, checked by another.",
    ),
    Shot(
        "commands",
        "/commands",
        "/commands",
        "vault",
        "Commands to units: the units that have accepted them, the answers, and the units not reached yet.",
    ),
    Shot(
        "hold-ask",
        "/hold/ask/{unit}/{call_id:path}",
        "/hold/ask/main-03/{call}",
        "officer",
        "A request to hold a call for a case beyond its day.",
    ),
    Shot(
        "hold",
        "/hold/{id}",
        "/hold/H2026-0007",
        "vault",
        "A hold: the vault officer's two commands, and the upload of the signed one.",
    ),
    Shot(
        "citizens",
        "/citizen",
        "/citizen",
        "officer",
        "Citizens' requests for their own call, the most urgent first, and the form to register one.",
    ),
    Shot(
        "citizen",
        "/citizen/{id}",
        "/citizen/C2026-0003",
        "officer",
        "One request: granted in part, to be carried out. Release, appointment and end.",
    ),
    Shot(
        "citizen-receipt", "/citizen/{id}/receipt", "/citizen/C2026-0003/receipt", "officer", "Its receipt, to print."
    ),
    Shot(
        "citizen-notice",
        "/citizen/{id}/notice",
        "/citizen/C2026-0003/notice",
        "officer",
        "The notice on its decision, with ground, reason and how to object.",
    ),
    Shot(
        "adoption",
        "/adoption",
        "/adoption",
        "officer",
        "New units: one requests adoption by the digits read out in its closet; another needs its certificate.",
    ),
    Shot(
        "order-site",
        "/adoption/site",
        "/adoption/site",
        "officer",
        "The common settings of the orders of all units, filled in once.",
    ),
    Shot(
        "order",
        "/adoption/order",
        "/adoption/order",
        "officer",
        "A unit's order: its name and place, each line, network, Wi-Fi, PBX. The authority signs the result.",
    ),
    Shot(
        "paper",
        "/adoption/{id}/paper",
        "/adoption/A2026-0003/paper",
        "officer",
        "For the installer of this unit: seven steps and their LEDs on the front; what to do otherwise on the back.",
    ),
    Shot(
        "ended",
        "/ended",
        "/ended?period=2026-11",
        "approver-manager",
        "Calls that units ended, with their reviews, and the number for each telephone: for supervisors.",
    ),
    Shot(
        "ended-call",
        "/ended/call/{unit}/{call_id:path}",
        "/ended/call/main-03/{ended}",
        "approver-manager",
        "One ended call: reason, notice and its proof, evidence of the line's release, and the review.",
    ),
    Shot(
        "ended-statement",
        "/ended/statement/{unit}/{call_id:path}",
        "/ended/statement/main-03/{ended}",
        "officer",
        "The statement for a caller who asks: reason, law, and where to complain.",
    ),
    Shot(
        "protection",
        "/protection",
        "/protection?period=2026-11",
        "approver-manager",
        "The report on the protection of staff, of a month or a year: the ministry's requirements, and by department.",
    ),
    Shot(
        "accusation",
        "/accusation",
        "/accusation?case=2026-117",
        "officer",
        "The released calls of one matter, and the command that makes the file for an accusation.",
    ),
    Shot(
        "coverage",
        "/coverage",
        "/coverage",
        "officer",
        "The recorded telephones: the register of extensions compared with lines, calls and the PBX's own list.",
    ),
    Shot("review", "/review", "/review", "auditor", "The months of the access log, and the signature of each."),
    Shot(
        "review-month",
        "/review/{month}",
        "/review/2026-10",
        "auditor",
        "The actions of each person in a month, with those out of hours, and the sign-off.",
    ),
    Shot(
        "review-rows",
        "/review/{month}/rows",
        "/review/2026-10/rows?person=kim",
        "auditor",
        "The rows behind each number: person, time, address, subject and reason.",
    ),
)

# Addresses that answer GET but are no pages.
NO_PAGE = {
    "/static/{path:path}": "style sheets and scripts",
    "/alive": "how long its session goes on, for a page that lies open",
    "/ended/now": "calls that are being ended, for a supervisor's open page",
    "/oidc": "leads to the provider",
    "/oidc/back": "leads back from it",
    "/fleet/events": "the stream",
    "/release/{id}/request.json": "what the approvers sign",
    "/release/{id}/call": "what the approvers verify",
    "/release/{id}/vault": "what the vault officer takes along",
    "/release/{id}/package": "what the custodian takes along",
    "/overflow/overflow.tar": "what the vault officers take along",
    "/hold/{id}/call": "what the vault officer verifies and wraps",
    "/hold/{id}/check": "what another vault officer checks",
    "/hold/{id}/hold.command": "what the vault officer sends",
    "/adoption/news": "whether a unit has asked since, for the page itself",
    "/adoption/paper": "the same as a unit's, without its name and its code",
    "/adoption/{id}/order": "what the authority signs",
    "/adoption/{id}/request": "what the authority takes along",
    "/package": "the package, by ticket",
    "/protection/report.csv": "the report as a table",
    "/citizen/{id}/ended": "the statement on an ended call, with the number of the request",
}


class Verdict(msgspec.Struct):
    """The number of axe-core's rules by result."""

    passed: int
    violations: int
    incomplete: int


class Verdicts(msgspec.Struct):
    version: str
    of: dict[str, Verdict]
