# SPDX-License-Identifier: Apache-2.0
"""A call's own key: made, sealed at once, and named in the header of its file.

A header may have stanzas of kinds unknown to a reader: every age skips them, and the header's MAC covers them. The
officer who removes that layer thus reads in the clear for which unit and call the key was made, before a custodian gets
it, and stock `age` still opens it. Every file of a group's archive has the stanza in every layer, and therefore also
the file that a custodian passes on.

    -> linetap-call closet-3f 20261124T225600.123Z-L03

Python's strings and bytes cannot be wiped: after release they stay legible until the memory is reused. The private half
is therefore only in separate buffers, and in those of OpenSSL, which wipes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import bech32
from linetap_core.evidence.keys.publickeys import KEY_BYTES, SECRET_PREFIX, encode_recipient
from linetap_core.evidence.sealing import age, group, grouptar, members
from linetap_core.evidence.sealing.grouptar import LAYERS
from linetap_core.evidence.signing import unitnames

_BEGINS = b"-> linetap-call "
_STANZA = re.compile(rb"-> linetap-call (%b) ([0-9A-Za-z.-]{1,64})" % unitnames.NAME.encode(), re.ASCII)
MOST_BYTES = len(_BEGINS) + 40 + 1 + 64 + 2


@dataclass(frozen=True, slots=True)
class OfCall:
    unit: str
    call_id: str

    def stanza(self) -> bytes:
        """The header's stanza: two arguments and an empty body."""
        return f"-> linetap-call {self.unit} {self.call_id}\n\n".encode("ascii")

    def __str__(self) -> str:
        return f"{self.unit} {self.call_id}"


def read(blob: bytes) -> OfCall | None:
    """The call named in a file sealed to the custodians. None if it names none, as in version 0.1."""
    if grouptar.is_archive(blob) and not blob.startswith(age.VERSION_LINE):
        files = [data for name, data in grouptar.read(blob).items() if name != LAYERS]
    else:
        files = [blob]
    found = {_of_file(data) for data in files}
    if len(found) > 1:
        raise Refusal("the files of the group's archive are of different calls")
    return next(iter(found), None)


def _of_file(data: bytes) -> OfCall | None:
    header = data[: age.payload_offset(data[: age.HEADER_LIMIT_BYTES])]
    lines = [line for line in header.split(b"\n") if line.startswith(_BEGINS.rstrip())]
    if not lines:
        return None
    match = _STANZA.fullmatch(lines[0])
    if match is None or len(lines) > 1 or sealed.CALL_ID.fullmatch(match[2].decode("ascii")) is None:
        raise Refusal("its header does not name one unit and one call, as -> linetap-call UNIT CALL_ID does")
    return OfCall(match[1].decode("ascii"), match[2].decode("ascii"))


_RANDOM = Path("/dev/urandom")  # unlike os.urandom it fills an existing buffer


def new_sealed_key(custodians: Sequence[str], call: OfCall) -> tuple[str, bytes]:
    """Makes a key. Returns the public half (`age1...`), and the private half as an identity file of `call`, sealed to
    the custodians.

    `custodians`: recipients, any of whom opens it, or a single group (members.py).
    """
    who = members.group_of(custodians)
    raw = bytearray(KEY_BYTES)
    try:
        with _RANDOM.open("rb", buffering=0) as random:
            if random.readinto(raw) != KEY_BYTES:
                raise OSError(f"{_RANDOM} gave less than {KEY_BYTES} bytes")
        recipient = encode_recipient(X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw())
        text = bech32.encode_secret_line(SECRET_PREFIX, raw)
    finally:
        _wipe(raw)
    try:
        return recipient, group.seal(text, who, call.stanza())
    finally:
        _wipe(text)


def _wipe(buffer: bytearray) -> None:
    buffer[:] = bytes(len(buffer))
