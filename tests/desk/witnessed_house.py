# SPDX-License-Identifier: Apache-2.0
"""The desk's pages with a policy of witnesses in force, which requires both of two witnesses."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from release_house import ReleaseHouse

import sealing_rig
from release_rig import PEOPLE, PURPOSES, Desk
from witnessed_rig import Site, site

SEEN = "2026-11-24T23:10:00.000Z"
MORE = '[witnesses]\npolicy = "{root}/policy"\nheads = "{root}/heads"\nwithin_hours = {within}\n'


@contextlib.contextmanager
def witnessed_house(
    desk: Desk, within: int = 24, at: str = SEEN, pinned: bool = False
) -> Iterator[tuple[ReleaseHouse, Site]]:
    """A desk whose calls are in the log, which no witness has cosigned yet. `pinned`: desk.toml has the policy's hash
    as well.
    """
    root = desk.root / "witnessed"
    root.mkdir()
    with site(root, at, desk.rig) as made:
        more = MORE.format(root=root, within=within)
        if pinned:
            more += f'policy_sha256 = "{hashlib.sha256((root / "policy").read_bytes()).hexdigest()}"\n'
        house = ReleaseHouse(desk, more=more)
        with house.served:
            yield house, made
        house.engine.dispose()


def carry(house: ReleaseHouse, made: Site) -> None:
    assert made.carry("--store", str(house.copies)) == 0


def name_policy(desk: Desk, path: Path, **more: object) -> str:
    """Writes and signs roles.json with the policy's hash, as a person does; returns the hash.

    `more`: further keys of the table `witnesses`.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    people = [
        {"key": (desk.root / f"{name}.pub").read_text().strip(), "name": name, "role": role}
        for name, role in PEOPLE.items()
    ]
    witnesses = {"policy_sha256": digest} | more
    text = json.dumps({"version": 2, "purposes": PURPOSES, "people": people, "witnesses": witnesses})
    roles = desk.root / "roles.json"
    roles.write_bytes(sealing_rig.run(["jq", "-cS", "."], stdin=text.encode()).stdout)
    desk.stock_sign(roles, "authority", roles.with_name("roles.json.sig"), "linetap-roles")
    return digest
