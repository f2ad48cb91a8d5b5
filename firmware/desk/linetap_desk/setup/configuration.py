# SPDX-License-Identifier: Apache-2.0
"""Writes desk.toml of a new server, once; later only people edit it."""

from __future__ import annotations

from linetap_desk.setup import machine
from linetap_desk.setup.answers import Answers
from linetap_desk.setup.database import urls


def text_of(answers: Answers, broker: str) -> str:
    """The text of desk.toml. `broker`: the name by which this server reaches it."""
    desk, pages = urls(answers.database)
    return f"""\
# Made by `linetap desk setup`, which does not change it again. Every setting: docs/desk.md and docs/desk-serve.md.
signers = "allowed_signers"      # from the authority: which key is which unit's
key = "desk.key"                 # its .pub stands in roles.json, role desk
db = "{desk}"
# Once the authority has signed roles.json: these three, and releases and holds are done on the pages.
# outgoing = "{machine.OUTGOING}"

[copy]
store = "file://{answers.store}"
holds = "{machine.HOLDS}"   # what vault officers have signed and checked: those calls are not deleted

[broker]
host = "{broker}"
port = {machine.PORT}
ca = "ca.pem"
certificate = "ingest-tls.pem"
key = "ingest-tls.key"

[serve]
listen = "0.0.0.0:{machine.PAGES_PORT}"
url = "https://{answers.name}:{machine.PAGES_PORT}"
certificate = "serve-tls.pem"
key = "serve-tls.key"
db = "{pages}"
log_key = "serve-log.key"
fleet_certificate = "pages-tls.pem"
fleet_key = "pages-tls.key"
# roles = "roles.json"           # roles.json.sig beside it
# authority = "authority.pub"
"""
