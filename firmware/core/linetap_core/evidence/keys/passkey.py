# SPDX-License-Identifier: Apache-2.0
"""A person's passkey as a public key: a point of P-256 and the name of the site to which it is bound.

OpenSSH's form (PROTOCOL.u2f) is `sk-ecdsa-sha2-nistp256@openssh.com` with that name as the application. A browser lets
no other site use the key, so the name is part of the key. A security key made by `ssh-keygen -t ecdsa-sk` has the
application `ssh:`, which is no site's name: it is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import p256
from linetap_core.evidence.keys.publickeys import POINT_BYTES, ssh_string

SSH_PASSKEY = b"sk-ecdsa-sha2-nistp256@openssh.com"
_HEAD = ssh_string(SSH_PASSKEY) + ssh_string(b"nistp256") + POINT_BYTES.to_bytes(4, "big") + b"\x04"
_SITE = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_LINE_LIMIT = 2048


@dataclass(frozen=True, slots=True)
class PasskeyKey:
    """A passkey. `site`: the host name of the pages that may use it, WebAuthn's relying party id."""

    site: str
    point: bytes  # 0x04, x, y

    def may_come_from(self, origin: str) -> bool:
        """Whether a page of `origin` may use this key: on its own host, at any port, by https; on the browser's own
        machine also by http, because no network is involved.
        """
        scheme, _, rest = origin.partition("://")
        host, colon, port = rest.partition(":")
        if host != self.site or (colon and not (port.isascii() and port.isdigit() and len(port) <= 5)):
            return False
        return scheme == "https" or (scheme == "http" and is_local(host))


def is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def is_site(text: str) -> bool:
    """Whether the text is a host name as a browser writes it."""
    return _SITE.fullmatch(text) is not None


def blob(key: PasskeyKey) -> bytes:
    return _HEAD[:-1] + key.point + ssh_string(key.site.encode("ascii"))


def from_blob(data: bytes) -> PasskeyKey:
    """The key of these bytes; BadInput if they are no passkey, or its site is impossible."""
    end = len(_HEAD) + POINT_BYTES - 1
    if not data.startswith(_HEAD) or len(data) < end + 4 or len(data) != end + 4 + int.from_bytes(data[end : end + 4]):
        raise BadInput(f"not a passkey: what {SSH_PASSKEY.decode()} is in SSH's form expected")
    site = data[end + 4 :].decode("ascii", "replace")
    if not is_site(site):
        raise BadInput("a passkey's application is the host name of the page that signs, as sign.city.example")
    point = data[len(_HEAD) - 1 : end]
    p256.from_point(point)
    return PasskeyKey(site, point)


def from_line(line: str) -> PasskeyKey | None:
    """The key of `sk-ecdsa-sha2-nistp256@openssh.com AAAA... comment`. None for another kind of line; BadInput for an
    invalid line of this kind.
    """
    words = line.split(maxsplit=2)
    if len(line) > _LINE_LIMIT or len(words) < 2 or words[0] != SSH_PASSKEY.decode():
        return None
    try:
        return from_blob(base64.b64decode(words[1], validate=True))
    except binascii.Error:
        raise BadInput("a passkey's line is not base64: copy it as the page shows it") from None


def credential_of(line: str) -> str:
    """The id by which a browser finds the key, appended as a comment by the page that makes it; empty without one."""
    words = line.split(maxsplit=2)
    return words[2] if len(words) == 3 and re.fullmatch(r"[A-Za-z0-9_-]{1,1366}", words[2]) else ""
