# SPDX-License-Identifier: Apache-2.0
"""A unit's certificate, made where the key of the certificates' authority is: the request is shown before, and what was
shown is what is signed."""

from __future__ import annotations

from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.enrolment import request
from linetap_core.enrolment.request import Request
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.rundir import read_small
from linetap_desk.custody.program import steps
from linetap_desk.custody.program.settings import Settings
from linetap_desk.pki import command


def read(path: Path) -> Request:
    """BadInput for a file that no unit made."""
    try:
        return request.check(read_small(path, request.LIMIT_BYTES))
    except Refusal as fault:
        raise BadInput(f"{path}: not a unit's request: {fault}") from None


def fingerprint(asked: Request) -> str:
    return keys.fingerprint(asked.signer)


def enrol(path: Path, shown: str, renews: bool, settings: Settings, clock: Clock) -> list[str]:
    """As `linetap pki unit` or `renew`: the certificate as a file, and the unit's line of allowed_signers. `shown`: the
    fingerprint of the signing key that was shown."""
    authority = steps.needed(settings, "pki")
    target = steps.output_of(settings) / f"{read(path).unit}.pem"
    lines = steps.run_command(
        [command.add_arguments], command.run, clock,
        "renew" if renews else "unit", path, f"--fingerprint={shown}", f"--dir={authority}", f"--output={target}",
    )  # fmt: skip
    return [*lines, str(target)]
