# SPDX-License-Identifier: Apache-2.0
"""Root's part of an adoption: copies the received files into root's folder, and processes them like a card.

The exchange runs as a separate user, because it reads from a network; its folder is treated as hostile. Only a new unit
accepts such an order, and only with a signature of the authority that the order itself names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from linetap.cardresult import ADOPTED, CERTIFICATE
from linetap.commission import tlsrequest
from linetap.config import load_config
from linetap.config.require import TLS_CERTIFICATE
from linetap.provision import acceptorder, cardfiles
from linetap_core import rundir
from linetap_core.durable import privatefile
from linetap_core.durable.files import replace_in_ram
from linetap_core.enrolment.order import UNIT
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import namespaces
from linetap_core.tomlfile.source import MAX_BYTES

_READABLE = 0o644


def process_adoption(sent: Path, etc: Path, run_dir: Path, apply: Callable[..., int]) -> int:
    """The status of `apply`. Its result is in ADOPTED, from which the exchange reports it to the desk."""
    card, home = run_dir / ADOPTED, etc / "linetap"
    card.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not acceptorder.is_complete(home):
        for name in (f"{cardfiles.ORDER}{namespaces.SUFFIX}", cardfiles.ORDER):
            _copy(sent, name, card / name)
    with contextlib.suppress(BadInput):
        _copy(sent, CERTIFICATE, card / f"{load_config(home / UNIT).unit}.pem")
    try:
        return apply(card, etc, run_dir, by_network=True)
    finally:
        if (card / cardfiles.ORDER).exists():  # refused, and may contain a Wi-Fi passphrase
            privatefile.wipe(card / cardfiles.ORDER)
        with contextlib.suppress(BadInput):
            _request(home, card)
        for path in card.iterdir():
            if path.suffix == ".request" or path.name == "linetap-error.txt":
                path.chmod(_READABLE)


def _copy(sent: Path, name: str, to: Path) -> None:
    try:
        data = rundir.read(sent, name, MAX_BYTES)
    except OSError:
        to.unlink(missing_ok=True)
        return
    replace_in_ram(to, data, private=True)


def _request(home: Path, card: Path) -> None:
    """Writes the request, again after a power cut: the folder is in RAM."""
    if (home / UNIT).exists() and not (home / TLS_CERTIFICATE).exists():
        config = load_config(home / UNIT)
        if not (card / f"{config.unit}.request").exists():
            replace_in_ram(card / f"{config.unit}.request", tlsrequest.make_request(config)[0])
