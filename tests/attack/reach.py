# SPDX-License-Identifier: Apache-2.0
"""The damage possible with one signature of each verb, and the verbs that require two: a decision for every verb.

config/weakening.py has the same for the keys of the configuration. A verb without a row fails a test
(tests/attack/test_alone.py), and so does a row without a file of tests.
"""

from __future__ import annotations

from typing import NamedTuple


class Reach(NamedTuple):
    """`alone`: the most that its one signer can hide, shorten or end. `two`: the effects refused without a second
    person.
    """

    alone: str
    two: str
    shown_by: str  # below tests/


REACH: dict[str, Reach] = {
    "identify": Reach("one second in six of the LEDs", "", "panel/test_panel_service.py"),
    "self_test": Reach("nothing", "", "vault/test_commands.py"),
    "ack": Reach(
        "events that the desk claims to have; log and records keep their content", "", "vault/test_delivery.py"
    ),
    "resend": Reach("nothing", "", "vault/test_delivery.py"),
    "fetch": Reach("nothing: it reads ciphertext", "", "vault/test_fetch.py"),
    "config": Reach(
        "nothing that is recorded, announced, kept or shown",
        "whatever weakens: the operator, and role vault or an approver's",
        "attack/test_weakening.py",
    ),
    "update": Reach("a pause between calls; the version is signed by its publisher", "", "vault/test_update.py"),
    "learn": Reach(
        "takes the values of one of the unit's own walk tests as the expected ones; a large deviation raises an alert",
        "",
        "vault/test_line_learning.py",
    ),
    "time": Reach(
        "the rest of one allowance, and nothing early", "more: two of role vault", "attack/test_desk_key_and_time.py"
    ),
    "hold": Reach(
        "nothing: it lengthens",
        "an end before that of the hold in force: two of role vault, or one and an approver",
        "attack/test_alone.py",
    ),
    "destroy": Reach(
        "nothing before its day", "the index of an overflow epoch: two of role vault", "vault/test_index_end.py"
    ),
    "roles": Reach(
        "everybody's office, visible by alert and log", "nothing; k of n at the authority", "attack/test_weakening.py"
    ),
    "key_list": Reach(
        "nothing of calls that are sealed",
        "other custodians, or fewer who open: the authority, and role vault or an approver's",
        "attack/test_weakening.py",
    ),
    "confirm": Reach("the alert of a weakening that two others have signed", "", "attack/test_weakening.py"),
    "cancel": Reach("a waiting weakening: nothing", "", "attack/test_weakening.py"),
}
