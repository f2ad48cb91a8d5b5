# SPDX-License-Identifier: Apache-2.0
"""`linetap volume start`: what the initramfs asks of the root it has verified, before it believes the card.

Run in that root, where there is a TPM or the state partition is encrypted. It opens state and data and mounts state; or
makes them, where the order on the card asks for it; or says that the card is not to be used. A plain card, as in a
unit without a TPM, is left to the initramfs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linetap.provision import admit, order
from linetap.provision import encryptionresult as cardsaid
from linetap.tpm import bootpolicy, counter, create, device, freshness, volume
from linetap.tpm.device import TpmFault
from linetap_core.errors import BadInput, DeviceFault, LinetapError, Refusal
from linetap_core.tomlfile.source import Source

_MARKED = "The partitions of this card are being encrypted: start the unit once more.\n"
_GROW = "/usr/lib/linetap/grow"
_STATE_OPTIONS = "nosuid,nodev,noexec,noatime"
_EXT4 = ("-q", "-F", "-t", "ext4", "-b", "4096", "-e", "remount-ro", "-m", "0", "-O", "metadata_csum,64bit")
# What a card has that belongs to a unit: its key, its configuration, its calls.
_OWNED = {
    "linetap-state": ("/etc/linetap/unit.key", "/etc/linetap/order.json", "/config/unit.toml"),
    "linetap-data": ("/vault",),
}


@dataclass(frozen=True, slots=True)
class Card:
    state: volume.Partition
    data: volume.Partition
    boot: Path
    mount: Path = Path("/state")
    run: Path = Path("/run")
    tpm: Path = Path(device.DEVICE)
    boots: Path = Path("/proc/cmdline")
    release: Path = Path(create.RELEASE)


def start(card: Card) -> cardsaid.Said:
    """Never raises what a card or a TPM can bring about: the unit starts, without this card."""
    try:
        said = _start(card)
    except (LinetapError, OSError) as error:
        with contextlib.suppress(DeviceFault):
            volume.run("umount", str(card.mount), good=(0, 1, 32))
        volume.close(card.state)
        volume.close(card.data)
        said = cardsaid.Said("refused", str(error).replace("\n", "; "))
    cardsaid.write(card.run, said)
    return said


def _start(card: Card) -> cardsaid.Said:
    if volume.is_encrypted(card.state.device) and volume.is_whole(card.state.device):
        return _open(card)
    with _mounted_boot(card) as boot:
        marked = boot is not None and (boot / cardsaid.MARK).exists()
        if boot is not None and _asked(boot):
            try:
                _grow(card.data.device)
                _require_nothing_owned(card, marked)
            except Refusal as why:
                if _needed(card.tpm):
                    raise
                return cardsaid.Said("plain", str(why))
            return _make(card, boot)
    if marked or volume.is_encrypted(card.state.device):
        raise Refusal(
            "its encrypting was begun and the order that asked for it is gone: a card written anew would be right"
        )
    if _needed(card.tpm):
        raise Refusal(
            "this unit's card is encrypted and this one is not: its own would be right, or one written anew "
            f"whose {order.NAME} says [card] encrypt"
        )
    return cardsaid.Said("plain", "")


def _open(card: Card) -> cardsaid.Said:
    secret = volume.secret_of(card.state.device, card.tpm, bootpolicy.read(card.boots))
    volume.open_it(card.state, secret)
    _mount_state(card)
    transport = device.open_device(card.tpm)
    try:
        count = freshness.check_state(card.mount, transport)
    finally:
        transport.close()
    why = ""
    try:
        _grow(card.data.device)
        volume.open_it(card.data, secret)
    except (LinetapError, OSError) as error:  # the unit outlives its data
        why = f"data: {error}".replace("\n", "; ")
    return cardsaid.Said("sealed", why, count)


def _make(card: Card, boot: Path) -> cardsaid.Said:
    """Begun anew after a power cut: until state has its token nothing on either is worth anything."""
    secret, sealed = volume.seal(card.tpm, create.release_of(card.release), bootpolicy.read(card.boots))
    transport = device.open_device(card.tpm)
    try:
        _write(boot / cardsaid.MARK, _MARKED)
        for partition in (card.data, card.state):
            volume.lay(partition, secret)
            volume.open_it(partition, secret)
            grows = ["-E", "lazy_itable_init=1,resize=268435456"] if partition is card.data else ["-J", "size=8"]
            volume.run("mke2fs", *_EXT4, *grows, "-L", partition.name, str(partition.mapped))
            if partition is card.state:
                _mount_state(card)
                count = freshness.begin(card.mount, transport)
            volume.finish(partition, sealed)
    finally:
        transport.close()
    return cardsaid.Said("sealed", "", count)


def _asked(boot: Path) -> bool:
    """Whether the card has a valid order that asks for encryption. `apply` reports what is wrong with an invalid
    one."""
    try:
        found = order.read(Source(boot / order.NAME, admit.read_card(boot / order.NAME)))
    except BadInput:
        return False
    return found.card is not None and found.card.encrypt == "tpm"


def _require_nothing_owned(card: Card, marked: bool) -> None:
    """Refusal where there is a unit's key, configuration or vault, or what is there cannot be read."""
    for partition in () if marked else (card.state, card.data):
        if volume.is_encrypted(partition.device):
            raise Refusal(f"{partition.device}: encrypted already: only a freshly written card can be encrypted")
        try:
            _require_whole_sectors(partition.device)
            volume.run("e2fsck", "-p", str(partition.device), good=(0, 1))
            for path in _OWNED[partition.name]:
                if _has(partition.device, path):
                    raise Refusal(f"{path} is on this card already: only a freshly written card can be encrypted")
        except DeviceFault as fault:
            raise Refusal(f"{fault}: only a freshly written card can be encrypted") from None


def _require_whole_sectors(path: Path) -> None:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
    if size % volume.SECTOR_BYTES:
        raise Refusal(f"{path}: {size} bytes are no whole sectors: only a freshly written card can be encrypted")


def _has(path: Path, name: str) -> bool:
    """Whether an ext4 that is not mounted holds it, or anything whose name begins so at its top."""
    folder, _, begins = name.rpartition("/")
    listed = volume.run("debugfs", "-R", f"ls -p {folder or '/'}", str(path)).decode("utf-8", "replace")
    return any(line.split("/")[5].startswith(begins) for line in listed.splitlines() if line.count("/") >= 6)


def _needed(tpm: Path) -> bool:
    """Whether a card of this unit was encrypted before. A TPM that does not answer counts as one that was removed."""
    try:
        transport = device.open_device(tpm)
        try:
            return counter.read(transport) is not None
        finally:
            transport.close()
    except TpmFault:
        return False


@contextlib.contextmanager
def _mounted_boot(card: Card) -> Iterator[Path | None]:
    """None where it cannot be mounted: a unit starts without it, too."""
    place = card.run / "linetap-boot"
    place.mkdir(mode=0o700, exist_ok=True)
    try:
        volume.run("mount", "-t", "vfat", "-o", "nosuid,nodev,noexec,umask=0077", str(card.boot), str(place))
    except DeviceFault:
        yield None
        return
    try:
        yield place
    finally:
        volume.run("umount", str(place))


def _mount_state(card: Card) -> None:
    volume.run("mount", "-t", "ext4", "-o", _STATE_OPTIONS, str(card.state.mapped), str(card.mount))


def _grow(path: Path) -> None:
    """Before it is opened: what is mapped has the size that the partition had then."""
    if os.access(_GROW, os.X_OK):
        with contextlib.suppress(DeviceFault):  # then it stays as small as it is
            volume.run(_GROW, str(path))


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
