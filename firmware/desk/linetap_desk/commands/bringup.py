# SPDX-License-Identifier: Apache-2.0
"""`linetap desk bringup`: checks the signatures of real units' reports, and shows the reports side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, file_and_reason
from linetap_core.evidence.signing import document, namespaces, signers
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.signing.sshsig import SignatureFault
from linetap_core.vaultformat import bringupreport as bringup
from linetap_core.vaultformat.bringupreport import BringupReport
from linetap_desk.proofs.callfolder import load_signers

MOST = 200
_SIGNATURE_BYTES = 64 * 1024


def run(args: argparse.Namespace) -> int:
    """Shows the reports. 0: every figure of all reports is within its limits; 1: one is not, or was not measured.
    BadInput for a malformed report, or one of another unit: then none is stored."""
    if len(args.report) > MOST:
        raise BadInput(f"{len(args.report)} reports; {MOST} at most expected")
    listed = load_signers(args.signers)
    read = [_read(path, listed) for path in args.report]
    for data, signature, report in read if args.keep is not None else ():
        path = args.keep / bringup.file_name(report)
        args.keep.mkdir(parents=True, exist_ok=True)
        replace_durably(namespaces.signature_path(path), signature)
        replace_durably(path, data)
    reports = [report for _, _, report in read]
    sys.stdout.write(bringup.table(reports) + "\n")
    for report in reports:
        sys.stdout.write(f"{report.unit} {report.ended_at}: {bringup.verdict(report)}\n")
    return int(not all(figure.holds for report in reports for figure in report.figures))


def _read(path: Path, listed: list[Signer]) -> tuple[bytes, bytes, BringupReport]:
    try:
        with path.open("rb") as file, namespaces.signature_path(path).open("rb") as beside:
            data, signature = file.read(document.LIMIT_BYTES + 1), beside.read(_SIGNATURE_BYTES)
    except OSError as error:
        raise BadInput(file_and_reason(error)) from None
    try:
        report = bringup.decode(data)
        at = from_utc_ns(parse_rfc3339(report.ended_at))
        signers.verify(data, signature, namespaces.BRINGUP, listed, report.unit, at)
    except (BadInput, SignatureFault, ValueError) as error:
        raise BadInput(f"{path}: {error}") from None
    return data, signature, report
