# SPDX-License-Identifier: Apache-2.0
"""An order carried out: the configuration and what it names under /etc, keys made here, a request for a certificate.

Nothing of it is in force before all of it has been checked where it will lie; then unit.toml comes last.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from linetap.commission import tlsrequest
from linetap.commission.configcheck import check_config
from linetap.commission.init import SIGNERS, write_beside
from linetap.config import Config, config_sha256, load_config
from linetap.config.places import TLS_CERTIFICATE, require_usual_place
from linetap.provision import admit, network
from linetap.provision.memory import KEY
from linetap.provision.order import NAME, UNIT, Network, Order
from linetap_core.clock import SYSTEM, rfc3339
from linetap_core.durable import keptcopy as kept
from linetap_core.durable import privatefile
from linetap_core.durable.files import replace_durably, sync_directory
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys

SSH_KEYS = "linetap-ssh/authorized_keys"  # below /run: gone with the next boot
_READABLE = 0o644  # by all services; there is no secret in it


def lay(order: Order, data: bytes, etc: Path, run: Path, boot: Path) -> str:
    """What was done, for a person. `data`: the order's bytes. BadInput: nothing of the order is in force.

    The memory (memory.py) is written before the key of a new unit gets its place, which is the last of it: a power cut
    leaves a new unit, or one that takes nothing but the rest of this very order.
    """
    home = etc / "linetap"
    home.mkdir(parents=True, exist_ok=True)
    with _checked(order, home) as staging:
        _lay_network(order.network, etc)
        _let_go_of_what_was_in_force(home / UNIT)
        for name in sorted(order.files, key=lambda name: name == UNIT):
            _lay(home / name, order.files[name].encode())
        if not (home / KEY).exists():
            admit.remember(order, home, taking=hashlib.sha256(data).hexdigest())
        for name in (f"{KEY}.pub", SIGNERS):
            _lay(home / name, (staging / name).read_bytes())
        if not (home / KEY).exists():
            (staging / KEY).rename(home / KEY)
            sync_directory(home)
    admit.remember(order, home)  # before it lets anybody in, and whatever the card takes: it lets in once
    _let_in(order.ssh_key, run)
    config = load_config(home / UNIT)
    asked, signer = tlsrequest.make_request(config)
    replace_durably(boot / f"{config.unit}.request", asked)
    return (
        f"unit {config.unit}, {len(config.line)} lines, configuration {config_sha256(config)}\n"
        f"key {keys.fingerprint(signer)}; the request for its certificate is {config.unit}.request\n"
        f"{rfc3339(SYSTEM.utc_ns())}\n"
    )


def take_certificate(etc: Path, boot: Path) -> str | None:
    """UNIT.pem from the card into the place that the configuration names. None where there is none.

    One that is not for this unit's key, or not of the broker's authority, is refused. Whether it is in time, the
    reporter says as of any other: a check and an alert are behind it.
    """
    if not any(boot.glob("*.pem")) or not (etc / "linetap" / UNIT).exists():
        return None
    config = load_config(etc / "linetap" / UNIT)
    found = boot / f"{config.unit}.pem"
    if not found.exists() or config.broker.certificate is None:
        return None
    data = admit.read_card(found)
    tlsrequest.require_own(config, data, found.name)
    place, home = Path(config.broker.certificate), etc / "linetap"
    if place.parent != home:
        raise BadInput(f"{UNIT}: broker.certificate is {place}; a name in {home} would be right")
    # The recorder may replace that file, and does not say over what root writes: in that folder are keys.
    require_usual_place(home / UNIT, "broker.certificate", place, home / TLS_CERTIFICATE)
    _lay(place, data)
    found.unlink()
    return f"certificate of {config.unit} taken\n"


def _lay(path: Path, data: bytes) -> None:
    """Where a link of root's points to: unit.toml is one to where a signed command may replace it (systemd/README.md).

    That folder is the recorder's, so nothing in it is followed any further, nor touched by its name afterwards.
    """
    if path.is_symlink():
        path = path.parent / path.readlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path if path.is_file() and not path.is_symlink() else None
    replace_durably(path, data, like=old, mode=_READABLE)


def _let_go_of_what_was_in_force(path: Path) -> None:
    """The authority has signed this order: its unit.toml is no edit that config/held.py holds. It comes before that."""
    path = path.parent / path.readlink() if path.is_symlink() else path
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        kept.kept_of(path).unlink()


@contextlib.contextmanager
def _checked(order: Order, home: Path) -> Iterator[Path]:
    """The configuration as it will be, with everything beside it and the key, which is made here if there is none."""
    staging = home / ".new"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    try:
        _check(order, home, staging)
        yield staging
    except BadInput as error:
        raise BadInput(str(error).replace(f"{staging}/", f"{NAME}: ")) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check(order: Order, home: Path, staging: Path) -> None:
    for name, text in order.files.items():
        (staging / name).write_text(text, encoding="utf-8")
    config = load_config(staging / UNIT)
    _check_paths(config, staging)
    _check_name(config.unit, home)
    for there in home.iterdir():  # what is here already: the key, the image's pins and notices, an earlier order's
        if there != staging and there.name not in (*order.files, f"{KEY}.pub", SIGNERS):
            (staging / there.name).symlink_to(there)
    write_beside(config.unit, staging / KEY, staging / f"{KEY}.pub", staging / SIGNERS, config.keys)
    check_config(staging / UNIT)


def _check_paths(config: Config, staging: Path) -> None:
    if Path(config.key) != staging / KEY:
        raise BadInput(f'{NAME}: {UNIT}: key is not "{KEY}", which the unit makes beside it')


def _check_name(unit: str, home: Path) -> None:
    """A unit stays who it is: its log, its outbox and its certificate carry its name."""
    if (home / UNIT).exists() and (now := load_config(home / UNIT).unit) != unit:
        raise BadInput(f"{NAME}: {UNIT}: this is unit {now}, not {unit}; the card of {unit}, or a new image, is wanted")


def _lay_network(wanted: Network, etc: Path) -> None:
    for path, text in network.files_of(wanted).items():
        if text is None:
            (etc / path).unlink(missing_ok=True)
        else:
            (etc / path).parent.mkdir(parents=True, exist_ok=True)
            replace_durably(etc / path, text.encode())
            if path != network.SECRET:
                (etc / path).chmod(_READABLE)  # networkd and chronyd are users of their own


def _let_in(key: str | None, run: Path) -> None:
    path = run / SSH_KEYS
    path.unlink(missing_ok=True)
    if key is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        privatefile.write(path, f"restrict,pty {key.strip()}\n".encode())
