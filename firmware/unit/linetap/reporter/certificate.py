# SPDX-License-Identifier: Apache-2.0
"""When the unit's own TLS certificate ends: read again when its file has changed, so that a
renewed one needs no restart."""

from __future__ import annotations

from pathlib import Path

from linetap_core.clock import NS_PER_S, rfc3339

_LIMIT_BYTES = 1 << 20


class Certificate:
    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._until: str | None = None

    def until(self) -> str | None:
        """RFC 3339; None where there is none, or none that can be read, which the link says."""
        if self._path is None:
            return None
        try:
            about = self._path.stat()
            seen = (about.st_ino, about.st_mtime_ns, about.st_size)
            if seen != self._seen:
                self._until = _end(self._path)
                self._seen = seen
        except (OSError, ValueError):
            self._seen = self._until = None
        return self._until


def _end(path: Path) -> str:
    from cryptography import x509  # 1 MB, where there is a certificate

    with path.open("rb") as file:
        first = x509.load_pem_x509_certificate(file.read(_LIMIT_BYTES))
    return rfc3339(round(first.not_valid_after_utc.timestamp()) * NS_PER_S)
