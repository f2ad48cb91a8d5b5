# SPDX-License-Identifier: Apache-2.0
"""`linetap config check`: checks a configuration with the files that it names: key, key list and pin table.

The services check less: each reads only its own files, and reports errors in them then.
"""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import UNSET, UnsetType

from linetap.board.meter.protocol import MOST_CHANNELS
from linetap.board.pins import load_pins
from linetap.config.check import checked, given
from linetap.config.schema import Config, Keys
from linetap.tpm import bootpolicy, keyfile
from linetap_core.durable import signedfile
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.keys.keys import load_unit_key
from linetap_core.evidence.signing import authority as authorities
from linetap_core.evidence.signing import unitnames
from linetap_core.tomlfile.source import Source
from linetap_core.wire.hosts import BROKER_WANTED, is_tls_host

MAX_KEY_BYTES = 1 << 16
_DIALLED = re.compile("[0-9*#]+")


def check_config(path: Path) -> Config:
    """The configuration. BadInput lists every error in it, its key, its key list and its pin table."""
    source = Source(path)
    config = checked(source)
    _key_file(config, source)
    _key_list(config, source)
    _unit(config, source)
    _broker(config, source)
    _numbers(config, source)
    elsewhere = _pins(config, source)
    errors = [*source.lines(), *elsewhere]
    if errors:
        raise BadInput("\n".join(errors))
    return config


def _key_list(config: Config, source: Source) -> None:
    """Checks the key list. A service starts with an unusable list (overflow epoch); here it is an error."""
    keys: Keys | UnsetType = config.keys
    if keys is UNSET or source.problems or keys.key_list is None or keys.authority is None:
        return
    try:
        found = signedfile.read_key_list(Path(keys.key_list), authorities.from_keys(keys))
    except LinetapError as error:
        source.add(("keys", "key_list"), f"keys.key_list: {error}")
        return
    if found.zone != config.retention.zone:
        text = f"keys.key_list: its days end in {found.zone}, retention.zone is {config.retention.zone}"
        source.add(("retention", "zone"), text)
    same = [each for each in found.overflow if each.number == keys.overflow_number]
    if same and same[0].recipient != keys.overflow_epoch:
        text = f"keys.overflow_number: number {keys.overflow_number} of the key list is another key; one has to go up"
        source.add(("keys", "overflow_number"), text)


def _unit(config: Config, source: Source) -> None:
    """Checks the unit's name, only at commissioning: an existing unit with such a name continues to record."""
    if isinstance(config.unit, str) and unitnames.is_reserved(config.unit):
        source.add(("unit",), f"unit = {unitnames.reserved_message(config.unit)}")


def _broker(config: Config, source: Source) -> None:
    """Checks the broker's host, at commissioning and not at each start, like the unit's name."""
    if isinstance(host := config.broker.host, str) and not is_tls_host(host):
        source.add(("broker", "host"), f"broker.host = {host!r}: {BROKER_WANTED} expected")


def _numbers(config: Config, source: Source) -> None:
    """Checks that emergency numbers and trunk prefixes can be dialled, at commissioning: `1-1-9` matches no call."""
    for name in ("emergency_numbers", "trunk_prefixes"):
        for i, number in enumerate(given(getattr(config.recording, name))):
            if isinstance(number, str) and not _DIALLED.fullmatch(number):
                text = f"recording.{name}: {number!r} is dialled by nobody; digits, * and # expected"
                source.add(("recording", name, i), text)


def _key_file(config: Config, source: Source) -> None:
    """Checks the key. For a key in a TPM only the file is checked: a card is usually prepared elsewhere."""
    keys: Keys | UnsetType = config.keys
    try:
        with Path(config.key).open("rb") as file:
            data = file.read(MAX_KEY_BYTES)
        if keys is not UNSET and keys.unit_key == "tpm":
            keyfile.parse(data, bootpolicy.UNIT_KEY)
        else:
            load_unit_key(data)
    except OSError as error:
        source.add(("key",), f"key: {config.key}: {error.strerror}")
    except LinetapError as error:
        source.add(("key",), f"key: {config.key}: {error}")


def _pins(config: Config, source: Source) -> list[str]:
    """The errors of the pin table, with its own lines. A card without a pin, and a line without a meter's channel, are
    errors of the configuration.
    """
    if config.board.kind != "hardware":
        return []
    for i, line in enumerate(given(config.line)):
        if line.channel is not UNSET and line.channel > MOST_CHANNELS:
            text = f"line {line.number}: channel {line.channel}, but a card's meter has {MOST_CHANNELS}"
            source.add(("line", i, "channel"), text)
    try:
        with Path(config.board.pins).open("rb"):
            pass
    except OSError as error:
        source.add(("board", "pins"), f"board.pins: {config.board.pins}: {error.strerror}")
        return []
    try:
        table = load_pins(Path(config.board.pins))
    except LinetapError as error:
        return str(error).splitlines()
    for i, card in enumerate(given(config.card)):
        if card.number is not UNSET and card.number > (have := len(table.arm.pins)):
            text = f"card {card.number}: {config.board.pins} has {have} arm pins, and none for it"
            source.add(("card", i, "number"), text)
    return []
