# SPDX-License-Identifier: Apache-2.0
"""What a watcher is told: desk.toml or the command line, as the ingest, and a certificate of its own."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from linetap_core.errors import BadInput
from linetap_core.wire.mqtt import Broker
from linetap_desk.settings import DeskConfig, read
from linetap_desk.watch.places import Places


@dataclass(frozen=True, slots=True)
class Settings:
    broker: Broker
    client_id: str
    places: Places


def settings(args: argparse.Namespace) -> Settings:
    """BadInput for what is missing or does not fit."""
    config, broker = read(args)
    own, places = config.watch, args.places or config.watch.places
    told = f"{args.config}: [watch] certificate"
    broker = _named_otherwise(broker, {"ingest": broker}, own.certificate, own.key, told)
    return _settings(broker, "watch", places)


def of_pages(config: DeskConfig) -> Settings:
    """Of `linetap desk serve`, which watches beside whoever does it on a terminal."""
    broker, serve = config.broker, config.serve
    others = {"ingest": broker, "terminal": msgspec.structs.replace(broker, certificate=config.watch.certificate)}
    told = "[serve] fleet_certificate"
    broker = _named_otherwise(broker, others, serve.fleet_certificate, serve.fleet_key, told)
    return _settings(broker, "serve", config.watch.places)


def _settings(broker: Broker, what: str, places: str | None) -> Settings:
    client_id = f"linetap-{what}-{secrets.token_hex(4)}"  # several may watch
    return Settings(broker, client_id, Places.read(Path(places)) if places else Places())


def _named_otherwise(
    broker: Broker, others: Mapping[str, Broker], certificate: str | None, key: str | None, told: str
) -> Broker:
    """`told`: where the certificate would stand."""
    if broker.certificate is None:
        return broker
    another = "`linetap pki desk` makes another"
    if certificate is None:
        raise BadInput(f"{told} and key are missing: with the ingest's own the broker would end its session and drop"
                       f" its queue; {another}")  # fmt: skip
    name = _name(certificate)
    for who, other in others.items():
        if other.certificate is not None and name == _name(other.certificate):
            raise BadInput(f"{certificate}: it has the {who}'s name, {name!r}, by which the broker knows whose session"
                           f" it is; {another}")  # fmt: skip
    return msgspec.structs.replace(broker, certificate=certificate, key=key)


def _name(path: str) -> str:
    try:
        subject = x509.load_pem_x509_certificate(Path(path).read_bytes()).subject
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except ValueError:
        raise BadInput(f"{path}: a certificate in PEM would be right") from None
    return str(next((name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)), ""))
