# SPDX-License-Identifier: Apache-2.0
"""A citizen's released call as packed by the desk: approved for the purpose, and for a copy or for listening alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from custody_rig import CALL, marked_call

from linetap_core.evidence.authorization import citizen
from linetap_desk.accesslog import roles
from release_rig import ID, KIM, PARK, PURPOSES, Desk

CASE = "C2026-0001/5678"  # the caller of marked_call: 01012345678
CITIZEN = {"basis": "PIPA 35", "id": "citizen", "text_en": "Access by the citizen", "text_ko": "정보주체의 열람 요구"}


def asked(desk: Desk, recipient: str = citizen.BY_PASSPHRASE, case: str = CASE, purpose: str = "citizen") -> Path:
    """The marked call with an approved request for it; returns the request."""
    call = marked_call(desk)
    desk.sign_roles(2, purposes=[*PURPOSES, CITIZEN])
    desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
    more: dict[str, Any] = {"purpose": purpose, "case": case, "for": recipient}
    request = desk.ask(call, **more)
    desk.approve(request, KIM, PARK)
    return request


def packed(desk: Desk, request: Path) -> dict[str, bytes]:
    call = next(desk.rig.vault.rglob(CALL))
    found = {"request.json": request.read_bytes(), "allowed_signers": desk.rig.signers_file.read_bytes()}
    for path in desk.root.glob(f"{ID}.json.*.sig"):
        found[f"request.json{path.name.removeprefix(f'{ID}.json')}"] = path.read_bytes()
    for name in ("roles.json", "roles.json.sig"):
        found[name] = (desk.root / name).read_bytes()
    found |= {f"calls/{CALL}/{path.name}": path.read_bytes() for path in call.iterdir()}
    found[f"inner/{CALL}.age"] = desk.unwrap(call, request, f"{CALL}.inner").read_bytes()
    assert json.loads(found["request.json"])["calls"][0]["call_id"] == CALL
    return found
