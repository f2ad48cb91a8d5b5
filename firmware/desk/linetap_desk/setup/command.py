# SPDX-License-Identifier: Apache-2.0
"""`linetap desk setup`: each step in its order. Run again it makes what is missing, renews what ends, and leaves alone
what is a person's."""

from __future__ import annotations

import argparse
import os
import sys

from linetap_core.clock import Clock
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_desk.config import desk as desksettings
from linetap_desk.config import pages
from linetap_desk.setup import answers as questions
from linetap_desk.setup import broker, certificates, configuration, database, places, services
from linetap_desk.setup.answers import Answers
from linetap_desk.setup.machine import lay, number_of, own


def run_setup(args: argparse.Namespace, clock: Clock) -> int:
    if os.geteuid() != 0:
        raise BadInput("linetap desk setup: has to be run as root: sudo linetap desk setup")
    for user in (places.DESK, places.PAGES):
        number_of(user)
    found = None
    if places.CONFIG.exists():
        found = desksettings.read_config(argparse.Namespace(config=places.CONFIG, broker=None))[0]
    given = questions.from_options(args, found)
    if given.broker is None:
        broker.require_broker()
    own(places.FOLDER, "root", places.DESK, 0o750)
    changed = _lay_all(given, clock)
    services.start(given, changed, clock)
    _say(f"the pages: {pages.read_settings(places.CONFIG).url}   ca.pem for browsers: {places.FOLDER / 'ca.pem'}")
    if given.admin is not None:
        _say(services.invite(given.admin, given.shown or given.admin))
    return 0


def _lay_all(given: Answers, clock: Clock) -> bool:
    """Whether a service has to begin anew."""
    changed = broker.lay_broker(_say) if given.broker is None else False
    changed |= certificates.lay_certificates(given, clock, _say)
    changed |= _make_key("desk.key") | _make_key("serve-log.key")
    if not places.CONFIG.exists():
        database.make_databases(given.database, _say)
        given.store.mkdir(parents=True, exist_ok=True)
        own(given.store, places.DESK, places.DESK, 0o2750)
        text = configuration.text_of(given, certificates.broker_host(given))
        changed |= lay(places.CONFIG, text.encode(), group=places.DESK, mode=0o640)
        _say(f"{places.CONFIG}: configuration")
    return changed


def _make_key(name: str) -> bool:
    """A signing key and its .pub, where there is none."""
    path = places.FOLDER / name
    if path.exists():
        return False
    key = keys.new_unit_key()
    privatefile.write(path, keys.unit_key_file(key))
    own(path, places.KEYS[name], "root", 0o600)
    lay(path.with_name(f"{name}.pub"), f"{keys.public_line(key.public_key())}\n".encode())
    _say(f"{path}: key, of {places.KEYS[name]} alone")
    return True


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
