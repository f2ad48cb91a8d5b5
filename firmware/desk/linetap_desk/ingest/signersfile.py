# SPDX-License-Identifier: Apache-2.0
"""The current signers' file: an added unit is accepted without a restart."""

from __future__ import annotations

import logging
from pathlib import Path

from linetap_core.errors import BadInput
from linetap_core.evidence.signing import signers
from linetap_core.evidence.signing.signers import Signer

LIMIT_BYTES = 4 << 20

log = logging.getLogger("linetap.ingest")


class SignersFile:
    def __init__(self, path: Path) -> None:
        """BadInput if it cannot be used."""
        self._path = path
        self._seen = _seen(path)
        self._signers = _read(path)

    def now(self) -> list[Signer]:
        """The signers. An incomplete or damaged file changes nothing until it is valid again."""
        try:
            seen = _seen(self._path)
            if seen == self._seen:
                return self._signers
            self._seen = seen
            self._signers = _read(self._path)
        except BadInput as error:
            log.error("signers_unread: %s; those read before count", error)
        return self._signers


def _seen(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; an allowed_signers file expected") from None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> list[Signer]:
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
        if len(data) > LIMIT_BYTES:
            raise BadInput(f"larger than {LIMIT_BYTES} bytes")
        return signers.parse(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not text; an allowed_signers file expected") from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; an allowed_signers file expected") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
