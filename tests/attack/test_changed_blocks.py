# SPDX-License-Identifier: Apache-2.0
"""An attacker with the card and without its key changes blocks of data, which is encrypted but not authenticated block
by block.

The file system is the image's, the change that of AES-XTS: sixteen random bytes, anywhere in a file or in ext4's
metadata. Then the unit starts: no changed content is accepted as genuine.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from linetap_desk.vaultproofs import verifyvault

sys.path += [str(Path(__file__).resolve().parents[1] / folder) for folder in ("blockcuts", "durable")]

from disk import make_file_system, mount_options, require, run
from flip_rig import WorkingUnit

from linetap import unitkeys
from linetap.checks.machine import mount_of
from linetap.tpm.volume import SECTOR_BYTES
from linetap_core.durable import broken
from linetap_core.durable import copies as kept
from linetap_core.evidence.keys import keys
from linetap_desk.proofs import callfolder

MIB, BLOCK = 64, 4096
SEED = 29
CHANGES = int(os.environ.get("LINETAP_CHANGES", "20"))


@dataclass
class Card:
    """The unit's folder is the content of its data partition."""

    unit: WorkingUnit
    image: Path
    work: Path
    signers: Path
    key: bytes

    def change(self, offset: int) -> None:
        """Flips a bit of the ciphertext: decrypts and encrypts a sector with the partition's cipher."""
        sector = offset // SECTOR_BYTES
        tweak = (sector * (SECTOR_BYTES // 512)).to_bytes(16, "little")
        with self.work.open("r+b") as file:
            file.seek(sector * SECTOR_BYTES)
            plain = file.read(SECTOR_BYTES)
            cipher = Cipher(algorithms.AES(self.key), modes.XTS(tweak))
            sealed = bytearray(cipher.encryptor().update(plain))
            sealed[offset % SECTOR_BYTES] ^= 1
            changed = cipher.decryptor().update(bytes(sealed))
            assert 14 <= sum(a != b for a, b in zip(plain, changed, strict=True)) <= 16
            file.seek(sector * SECTOR_BYTES)
            file.write(changed)

    @contextmanager
    def mounted(self, image: Path) -> Iterator[None]:
        """Mounts the card like the image's start: e2fsck without a person, then mount."""
        device = run("losetup", "--find", "--show", image)
        try:
            checked = subprocess.run(["e2fsck", "-p", device], capture_output=True, text=True, timeout=120, check=False)
            if checked.returncode >= 4:
                raise NotUsed(checked.stdout)
            try:
                run("mount", "-o", mount_options(), device, self.unit.folder)
            except subprocess.CalledProcessError as error:
                raise NotUsed(error.stderr) from None
            try:
                yield
            finally:
                if subprocess.run(["umount", str(self.unit.folder)], check=False, capture_output=True).returncode:
                    run("umount", "--lazy", self.unit.folder)  # files with failed writes are left open
        finally:
            run("losetup", "--detach", device)

    def files(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}

        def unreadable(error: OSError) -> None:
            found[os.path.relpath(error.filename, self.unit.folder)] = str(error.strerror).encode()

        for folder, _, names in os.walk(self.unit.folder, onerror=unreadable):
            for name in names:
                path = Path(folder, name)
                try:
                    if path.is_file():
                        found[str(path.relative_to(self.unit.folder))] = path.read_bytes()
                except OSError as error:
                    unreadable(error)
        return found

    def verified(self) -> str:
        verdicts = verifyvault.verify_vault(self.unit.folder / "vault", callfolder.load_signers(self.signers))
        return "\n".join(line for verdict in verdicts for line in verdict.lines())


class NotUsed(Exception):
    """The kernel or e2fsck refuses the partition: the unit starts without it, and reports `data_lost`."""


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    require()
    folder = tmp_path_factory.mktemp("card")
    unit = WorkingUnit(folder)
    image = folder / "data.img"
    with image.open("wb") as file:
        file.truncate(MIB << 20)
    make_file_system(str(image), MIB)
    signers = folder / "allowed_signers"
    public = keys.public_line(keys.load_unit_key((unit.kept / "unit.key").read_bytes()).public_key())
    signers.write_text(f"{unit.config.unit} {public}\n")
    made = Card(unit, image, folder / "work.img", signers, os.urandom(64))
    shutil.rmtree(unit.folder)
    unit.folder.mkdir()
    with made.mounted(image):
        shutil.copytree(unit.kept, unit.folder, symlinks=True, dirs_exist_ok=True)
        for written in (unit.config_file, unit.folder / "notices" / "ko.wav"):
            kept.keep(written)
        unitkeys.keep_copy(Path(unit.config.key))
    yield made
    broken.forget()


def used(image: Path) -> list[int]:
    """Used blocks: of files, folders, inodes, bitmaps, the journal."""
    with image.open("rb") as file:
        return [block for block in range((MIB << 20) // BLOCK) if file.read(BLOCK).strip(b"\0")]


def seen_as_changed(card: Card, before: dict[str, bytes]) -> tuple[list[str], str]:
    """All differences, and those that nothing reports."""
    found = card.files()
    changed = sorted(name for name in before.keys() | found.keys() if before.get(name) != found.get(name))
    if not changed:
        return [], "nothing is changed"
    outcome = card.unit.trial()
    mount = mount_of(card.unit.folder, Path("/"))
    if mount is not None and mount.read_only:
        return [], "the kernel has found it, and nothing is written any more: vault_read_only"
    told = [line for line in card.verified().splitlines() if line.startswith("BAD")]
    return [name for name in changed if not is_named(name, outcome.named, told)], f"{changed}: {outcome} {told}"


def is_named(name: str, broken_files: set[str], told: list[str]) -> bool:
    path = Path(name)
    if path.parts[:2] == ("vault", "journal"):
        return True  # no call was open: each frame has a checksum, and none is used
    if path.parts[:2] in (("vault", "log"), ("vault", "index")) and any(line.startswith("BAD  log") for line in told):
        return True  # the log reports the replacement; files covered only by the old one are not trusted
    if name == "vault/log/tree.bin":
        return not told  # computed from the leaves and never trusted (docs/log.md): the log of the start is valid
    return path.name in broken_files or any(path.name in line or path.parent.name in line for line in told)


# A start that fails leaves its files open until the end of its process, here the test's.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_changed_block_is_taken_for_what_was_written(card: Card) -> None:
    """A block of each kind: of a sealed call, of a small file, of the log, of ext4's metadata."""
    chosen, said = random.Random(SEED), []
    with card.mounted(card.image):
        before, whole = card.files(), card.verified()
    assert "BAD" not in whole, whole
    for block in chosen.sample(used(card.image), CHANGES):
        shutil.copyfile(card.image, card.work)
        card.change(block * BLOCK + chosen.randrange(BLOCK))
        broken.forget()
        try:
            with card.mounted(card.work):
                unseen, what = seen_as_changed(card, before)
        except NotUsed as error:
            unseen, what = [], f"the partition is not used: {error}"
        said.append(f"block {block}: {what}")
        assert not unseen, f"block {block}: {unseen} of {what}"
    kinds = ("not used", "vault_read_only", "Outcome", "nothing is changed")
    counts = {kind: sum(kind in line for line in said) for kind in kinds}
    print(f"{CHANGES} changed blocks: {counts}")
    assert counts["Outcome"], said
    assert counts["not used"] + counts["vault_read_only"], said
