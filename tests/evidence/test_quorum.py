# SPDX-License-Identifier: Apache-2.0
"""Policies: their requirements, and invalid ones."""

from __future__ import annotations

import re

import pytest

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.witness import note, quorum

A, B, C, D = (keys.new_unit_key().public_key().public_bytes_raw() for _ in range(4))
TWO_OF_THREE = f"""
# ours
witness A {A.hex()} http://a.example/
witness\tB {B.hex()}
witness C {note.Key("c.example", note.COSIGNATURE, C).vkey()}
group them 2 A B C
quorum them
"""


def test_two_of_three() -> None:
    policy = quorum.parse(TWO_OF_THREE.encode())
    assert policy.witnesses["A"].url == "http://a.example/"
    assert policy.witnesses["C"].public == C
    assert [policy.holds(names) for names in ([], ["A"], ["A", "C"], ["A", "B", "C"], ["X", "Y"])] == [
        False, False, True, True, False
    ]  # fmt: skip
    assert policy.since({"A": 30, "B": 10}) == 30
    assert policy.since({"A": 30, "B": 10, "C": 20}) == 20
    assert policy.since({"A": 30}) is None


def test_groups_of_groups() -> None:
    text = f"witness A {A.hex()}\nwitness B {B.hex()}\nwitness C {C.hex()}\nwitness D {D.hex()}\n"
    text += "group x any A B\ngroup y all C D\ngroup both all x y\nquorum both\n"
    policy = quorum.parse(text.encode())
    assert policy.holds(["A", "C", "D"])
    assert not policy.holds(["A", "B", "C"])
    assert list(policy.lines())[-2:] == ["group both 2 x y", "quorum both"]


def test_the_quorum_none_holds_without_witnesses() -> None:
    assert quorum.parse(b"quorum none").holds([])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no quorum"),
        ("witness A", "line 1: "),
        ("quorum A", "line 1: A: no witness"),
        (f"witness A {'0' * 63}", "line 1: not a verifier key"),
        ("witness A 4f2e", "NAME+ID+KEY expected, or its 64 hexadecimal digits (`sigsum-key to-hex`)"),
        (f"witness A {A.hex()}\nwitness A {B.hex()}", "line 2: A: the name is taken"),
        (f"witness A {A.hex()}\nwitness B {A.hex()}", "line 2: B has the key of another"),
        (f"witness none {A.hex()}", "line 1: none: the name is taken"),
        (f"witness A {A.hex()}\ngroup g 2 A\nquorum g", "line 2: 2: any, all or 1 to 1"),
        (f"witness A {A.hex()}\ngroup g 0 A\nquorum g", "line 2: 0"),
        (f"witness A {A.hex()}\ngroup g 1 A A\nquorum g", "line 2: A is in two groups"),
        (f"witness A {A.hex()}\ngroup g 1 A\ngroup h 1 A\nquorum g", "line 3: A is in two groups"),
        (f"witness A {A.hex()}\nquorum A\nquorum A", "line 3: `quorum NAME`, once"),
        (f"witness A {A.hex()} # mine\nquorum A", "line 1: ASCII without a comment"),
        (f"witness A\u00a0{A.hex()}\nquorum A", "line 1: ASCII without a comment"),
        (f"witness A {A.hex()}\r\nquorum A", "no control characters"),
        (f"witness A {note.Key('a', note.ED25519, A).vkey()}\nquorum A", "not a witness's"),
        (f"log {note.Key('a', note.COSIGNATURE, A).vkey()}\nquorum none", "not a log's key"),
        ("witnes A", "line 1: 'witnes A': `witness NAME"),
        (f"witness A {A.hex()}\nquorum A" + "\n" * 1000 + "quorum none", "more than 1000 lines"),
        ("#" * quorum.LIMIT_BYTES + "\nquorum none", "larger than"),
    ],
)
def test_what_is_no_policy(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        quorum.parse(text.encode())
