# SPDX-License-Identifier: Apache-2.0
"""What a watcher is told: desk.toml or the command line, as the ingest, and a certificate of its own."""

from __future__ import annotations

import argparse
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from linetap.config.schema import Broker
from linetap.desk.ingest.settings import read
from linetap.desk.watch.places import Places
from linetap.errors import BadInput


@dataclass(frozen=True, slots=True)
class Settings:
    broker: Broker
    client_id: str
    places: Places


def settings(args: argparse.Namespace) -> Settings:
    """BadInput for what is missing or does not fit."""
    config, broker = read(args)
    own, places = config.watch, args.places or config.watch.places
    if broker.certificate is not None:
        another = "`linetap pki desk` makes another"
        if own.certificate is None:
            raise BadInput(f"{args.config}: [watch] certificate and key are missing: with the ingest's own the broker"
                           f" would end its session and drop its queue; {another}")  # fmt: skip
        if (name := _name(own.certificate)) == _name(broker.certificate):
            raise BadInput(f"{own.certificate}: it has the ingest's name, {name!r}, by which the broker knows whose"
                           f" session it is; {another}")  # fmt: skip
        broker = msgspec.structs.replace(broker, certificate=own.certificate, key=own.key)
    client_id = f"linetap-watch-{secrets.token_hex(4)}"  # several may watch
    return Settings(broker, client_id, Places.read(Path(places)) if places else Places())


def _name(path: str) -> str:
    try:
        subject = x509.load_pem_x509_certificate(Path(path).read_bytes()).subject
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except ValueError:
        raise BadInput(f"{path}: a certificate in PEM would be right") from None
    return str(next((name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)), ""))
