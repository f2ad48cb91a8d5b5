# SPDX-License-Identifier: Apache-2.0
"""A name that differs from another only by what nobody sees is no second person: it is refused where names are read,
with the character's place and number."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest

from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import release, roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, signers
from release_rig import PURPOSES

NAME = "김소라"
LINES = [keys.public_line(keys.new_unit_key().public_key()) for _ in range(3)]
UNSEEN = {
    "zero-width space": "\u200b", "zero-width joiner": "\u200d", "word joiner": "\u2060", "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad", "right to left": "\u202e", "isolate": "\u2068", "tag": "\U000e0041",
    "no-break space": "\u00a0", "ideographic space": "\u3000", "line separator": "\u2028", "control": "\u0085",
    "private use": "\ue000", "not assigned": "\u0378", "hangul filler": "\u3164", "jongseong filler": "\uffa0",
    "jungseong filler": "\u1160", "grapheme joiner": "\u034f", "variation selector": "\ufe0f",
    "more variation selectors": "\U000e0100", "mongolian selector": "\u180b", "khmer vowel": "\u17b4",
    "braille blank": "\u2800", "null notehead": "\U0001d159",
}  # fmt: skip


def number(character: str) -> str:
    return f"U+{ord(character):04X}"


def roles_of(*names: str) -> bytes:
    people = [
        {"key": line, "name": name, "role": role}
        for line, name, role in zip(LINES, names, ("privacy", "legal", "audit"), strict=False)
    ]
    data: dict[str, Any] = {"people": people, "purposes": PURPOSES, "version": 1}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


@pytest.mark.parametrize("character", UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("at", [0, 1, 3])
def test_the_roles_name_no_second_person_by_it(character: str, at: int) -> None:
    with pytest.raises(BadInput) as caught:
        roles.parse(roles_of(NAME, NAME[:at] + character + NAME[at:]))
    assert f"people[2].name: character {at + 1} is {number(character)}" in str(caught.value)


@pytest.mark.parametrize("form", ["NFD", "NFKD"])
def test_a_name_that_is_not_composed_is_refused_with_its_character(form: Any) -> None:
    decomposed = unicodedata.normalize(form, NAME)
    with pytest.raises(BadInput, match=rf"people\[2\]\.name: character 2 is U\+{ord(decomposed[1]):04X}.*NFC"):
        roles.parse(roles_of(NAME, decomposed))


@pytest.mark.parametrize("name", ["Kim ", " Kim"])
def test_a_space_around_a_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"people\[2\]\.name: .*without a space around"):
        roles.parse(roles_of("Kim", name))


@pytest.mark.parametrize("character", UNSEEN.values(), ids=UNSEEN)
def test_names_that_look_the_same_are_the_same_person(character: str) -> None:
    """Where a name is compared that came another way, such as from a login."""
    assert document.name_key(f"{character}김 소{character}라{character}") == document.name_key(NAME)


@pytest.mark.parametrize("character", UNSEEN.values(), ids=UNSEEN)
def test_a_requester_of_that_name_is_refused(character: str) -> None:
    request = release.Request(
        id="r-1", calls=[], purpose="dispute", case="2026-117", requester=f"{NAME}{character}", recipient="",
        one_time="", created="", expires="",
    )  # fmt: skip
    with pytest.raises(BadInput, match=rf"requester: character 4 is {number(character).replace('+', '.')}"):
        release.parse(document.encode(request))


@pytest.mark.parametrize("character", UNSEEN.values(), ids=UNSEEN)
def test_the_signers_file_names_nobody_by_it(character: str) -> None:
    more = f'"{NAME}{character}" namespaces="linetap-certificate" {LINES[1]}\n'
    with pytest.raises(BadInput) as caught:
        signers.parse(f"# people\n{NAME} {LINES[0]}\n{more}")
    assert f"line 3: the name's character 4 is {number(character)}" in str(caught.value)


@pytest.mark.parametrize("names", ['"Kim "', '" Kim"', '"Kim, Lee"', '"! Kim"'])
def test_the_signers_file_has_no_space_around_a_name(names: str) -> None:
    with pytest.raises(BadInput, match=r"line 2: .*without a space around"):
        signers.parse(f"Kim {LINES[0]}\n{names} {LINES[1]}\n")


def test_the_signers_file_has_composed_names() -> None:
    decomposed = unicodedata.normalize("NFD", NAME)
    with pytest.raises(BadInput, match=r"line 2: the name's character 2 is U\+1175.*NFC"):
        signers.parse(f"{NAME} {LINES[0]}\n{decomposed} {LINES[1]}\n")


LOOK_ALIKE = {
    "a Cyrillic letter": ("Kim S\u043era", 6, "U+043E of the Cyrillic alphabet, among Latin letters"),
    "a Greek letter": ("\u039aim", 2, "U+0069 of the Latin alphabet, among Greek letters"),
    "a fullwidth letter": ("\uff2bim", 1, "U+FF2B, which looks like other letters"),
    "a jamo alone": ("김\u3145소라", 2, "U+3145, which looks like other letters"),
    "a mark alone": ("Kiq\u0301m", 4, "U+0301, which looks like other letters"),
}


@pytest.mark.parametrize(("name", "place", "fault"), LOOK_ALIKE.values(), ids=LOOK_ALIKE)
def test_a_name_with_letters_that_look_like_others_is_refused(name: str, place: int, fault: str) -> None:
    with pytest.raises(BadInput) as caught:
        roles.parse(roles_of("Kim", name))
    assert f"people[2].name: character {place} is {fault}" in str(caught.value)
    with pytest.raises(BadInput) as caught:
        signers.parse(f'Kim {LINES[0]}\n"{name}" {LINES[1]}\n')
    assert f"line 2: {name!r}: the name's character {place} is {fault}" in str(caught.value)


def test_scripts_that_one_name_may_mix() -> None:
    for name in ["김소라 (Kim Sora) 3", "金 김소라", "山田 たろう タロウ", "Ольга 2", "Παππάς"]:
        assert roles.parse(roles_of(name)).people[0].name == name
    assert roles.parse(roles_of("Ольга", "Kim")), "two names may be of two alphabets"


def test_a_text_may_have_any_letter() -> None:
    """A purpose or a case is no person."""
    document.require_plain("형법 제260조 ① μ Ω А", "text", 100)


def test_what_people_are_called_stays() -> None:
    names = ["김소라", "Park Min", "Nguyễn Thị Ánh", "O'Brien-Ōsaka", "山田 太郎", "Ольга", "مريم", "ธนา", "देवी"]
    for name in names:
        assert roles.parse(roles_of(name)).people[0].name == name
        assert signers.parse(f'"{name}" {LINES[0]}')[0].principals == name
    assert signers.parse(f"closet-*,!closet-9,  {LINES[0]}")[0].principals == "closet-*,!closet-9,"
    assert signers.parse(f"kim {LINES[0]} 김\u200b소라의 \u00a0 key")[0].principals == "kim"  # a comment names nobody
