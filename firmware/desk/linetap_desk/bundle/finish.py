# SPDX-License-Identifier: Apache-2.0
"""What is made from a bundle's other members, by whoever packs it and by whoever checks it: the two must agree."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import signers
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import checkpoint, note
from linetap_desk.bundle import exact, layout, recipe
from linetap_desk.bundle.container import BadBundle, Source
from linetap_desk.bundle.facts import Facts
from linetap_desk.bundle.report import Report
from linetap_desk.proofs import tsa
from linetap_desk.proofs.tsa import TOKEN_LIMIT_BYTES, TOKEN_SUFFIX
from linetap_desk.witnessing.judge import all_keepers

SIGNERS_LIMIT_BYTES = 1 << 20
CA_LIMIT_BYTES = 1 << 20
_FRACTION = re.compile(r"\.\d+")


def signer_lines(facts: Facts, text: bytes) -> bytes:
    """Of an allowed_signers file the lines of those who signed something here, as they stand there."""
    needed = {keys.public_blob(each.key) for each in facts.signed}
    origins = {checkpoint.decode(call.witnessed.note.text).origin for call in facts.calls if call.witnessed}
    lines = [
        line for line in text.split(b"\n") if any(each.blob in needed or keeps(each, origins) for each in _parse(line))
    ]
    return b"".join(line + b"\n" for line in lines)


def keeps(signer: Signer, origins: Collection[str]) -> bool:
    """Whether it is the keeper of one of these logs."""
    return any(key.name in origins for key in all_keepers([signer]))


def require_kept(facts: Facts, text: bytes) -> None:
    """BadBundle unless the keeper of each call's log, whom the signers name, has signed its checkpoint."""
    named = _parse(text)
    for call in facts.calls:
        if call.witnessed is not None:
            unit = call.record.unit
            ours = all_keepers(named, unit=unit)
            if not any(note.is_signed(call.witnessed.note, key) for key in ours):
                name = layout.witnessed(unit, call.record.call_id)
                raise BadBundle("other_log", f"{name}: not signed by a keeper of {unit}'s log")


def _parse(data: bytes) -> list[Signer]:
    try:
        return signers.parse(data.decode("utf-8"))
    except (BadInput, UnicodeDecodeError) as error:
        raise BadBundle("member_unreadable", f"{layout.SIGNERS}: {error}") from None


def stamped(sources: Mapping[str, Source], unit: str, ca: Path | None) -> str:
    """The time in a unit's time stamp, RFC 3339, checked by stock openssl. Without `ca` by the bundle's own."""
    name = layout.head(unit, layout.STAMP)
    with tempfile.TemporaryDirectory(prefix="linetap-ts-") as folder:
        head, own = Path(folder) / "head.json", Path(folder) / "ca.pem"
        head.write_bytes(layout.read(sources, name, unitlog.HEAD_LIMIT_BYTES))
        token = layout.read(sources, name + TOKEN_SUFFIX, TOKEN_LIMIT_BYTES)
        head.with_name(head.name + TOKEN_SUFFIX).write_bytes(token)
        named = layout.read(sources, layout.ca(unit), CA_LIMIT_BYTES)
        exact.require_der(token, name + TOKEN_SUFFIX)
        exact.require_certificates(named, layout.ca(unit))
        own.write_bytes(named)
        said = tsa.time_of(head, ca or own)
    try:
        moment = datetime.strptime(_FRACTION.sub("", said), "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    except ValueError:
        raise BadBundle("timestamp", f"{name}{TOKEN_SUFFIX}: {said!r} is no time that is known here") from None
    return rfc3339(int(moment.timestamp()) * 1_000_000_000)


def derived(sources: Mapping[str, Source], facts: Facts) -> dict[str, bytes]:
    """The reports, from `sources` alone; of format 1 the script too."""
    named = _parse(layout.read(sources, layout.SIGNERS, SIGNERS_LIMIT_BYTES))
    times = {unit: stamped(sources, unit, None) for unit, heads in facts.heads.items() if layout.STAMP in heads}
    made = {layout.SCRIPT: recipe.script(facts, named)} if facts.about.format == 1 else {}
    return made | {name: Report(facts, named, times, language).html() for language, name in layout.REPORTS.items()}
