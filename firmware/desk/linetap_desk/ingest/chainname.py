# SPDX-License-Identifier: Apache-2.0
"""The name of a chain of events in the desk's tables: the key that signs it, and behind a blank the vault it lies in.

A unit that lost its disk and kept its key has two chains. One of a vault without a name is called by the key alone, as
every chain was before vaults had names.
"""

from __future__ import annotations

from linetap_core.evidence import vaultname


def of(origin: str, vault: str) -> str:
    return f"{origin} {vault}" if vault else origin


def origin_of(name: str) -> str:
    """The fingerprint of the key."""
    return name.partition(" ")[0]


def vault_of(name: str) -> str:
    """Empty: a vault without a name."""
    return name.partition(" ")[2]


def before_first(name: str) -> int:
    """The number before that of its first event."""
    return vaultname.first_seq(vault_of(name)) - 1


def is_of(name: str, seq: int) -> bool:
    """Whether an event of this number may be of it."""
    return vaultname.is_of(vault_of(name), seq)
