# SPDX-License-Identifier: Apache-2.0
"""Checks that an update is in the log of versions that the configuration requires, before a slot is written.

The signature on a bundle is one person's. A log with cosigning witnesses makes every signed version public: the holder
of the release key cannot send one unit a secret version. The proof is beside the bundle, BUNDLE.tlog-proof.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from linetap.config import Config
from linetap.update.fetch import Progress, fetch_small
from linetap.update.rauc import PLAIN, Info
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core import plainfile
from linetap_core.clock import Clock
from linetap_core.durable import files
from linetap_core.errors import BadInput
from linetap_core.evidence.witness import tlogproof
from linetap_core.versions import entry, payload
from linetap_core.versions.entry import NotLogged

CODE = "update_not_logged"
LIMIT_BYTES = tlogproof.LIMIT_BYTES

log = logging.getLogger("linetap.update")


def is_demanded(config: Config) -> bool:
    return config.update.log_policy is not None


def require_in_log(config: Config, bundle: Path, info: Info) -> None:
    """Raises UpdateFault unless the bundle is in the required log, if any. RAUC has verified the bundle's signature."""
    if not is_demanded(config):
        return
    if info.format != PLAIN:
        text = f"a bundle of format {info.format!r}: only of a plain one does the payload determine the update"
        raise UpdateFault(CODE, text)
    try:
        signed = payload.sha256(bundle)
    except (BadInput, OSError) as error:
        raise UpdateFault(CODE, str(error)) from None
    require_proof(config, _read(entry.proof_path(bundle)), info.version, signed)


def require_proof(config: Config, data: bytes, version: str, signed: str | None = None) -> None:
    """Raises UpdateFault unless the proof is of this version and, if given, of the payload with this SHA-256."""
    assert config.update.log_policy is not None
    try:
        found = entry.require_logged(entry.demanded(config.update.log_policy), data, version, signed)
    except (NotLogged, BadInput) as error:
        raise UpdateFault(CODE, str(error)) from None
    log.info("update_logged: %s", found.text)


def fetch_proof(
    config: Config, requested: UpdateRequest, bundle: Path, context: ssl.SSLContext, clock: Clock, progress: Progress
) -> None:
    """Fetches the proof beside the bundle's address to the place beside the fetched bundle."""
    url = entry.proof_url(requested.url or "")
    data = fetch_small(url, LIMIT_BYTES, CODE, context, clock, progress)
    require_proof(config, data, requested.version)
    files.replace_durably(entry.proof_path(bundle), data)


def copy_proof(config: Config, bundle: Path, copy: Path) -> None:
    """Copies the proof beside a bundle on a stick to the place beside that bundle's copy."""
    if is_demanded(config):
        files.replace_durably(entry.proof_path(copy), _read(entry.proof_path(bundle)))


def remove(bundle: Path) -> None:
    """Removes a bundle and its proof."""
    files.remove(bundle)
    files.remove(entry.proof_path(bundle))


def _read(path: Path) -> bytes:
    """The proof. Files on a stick are untrusted: no link is followed, and at most a proof's length is read."""
    try:
        with plainfile.opened(path) as file:
            data = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise UpdateFault(CODE, f"{path.name}: no proof beside the bundle: {error.strerror}") from None
    if not data or len(data) > LIMIT_BYTES:
        raise UpdateFault(CODE, f"{path.name}: 1 to {LIMIT_BYTES} bytes expected")
    return data
