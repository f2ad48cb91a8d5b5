# SPDX-License-Identifier: Apache-2.0
"""The characters that a person's name may have (decision 0249).

A rule for two people compares names. A character that nobody sees would make one person two, and so would another form
of the same letters, or a letter of another alphabet that looks the same. docs/check-bundle.sh judges by the same ranges
and alphabets.
"""

from __future__ import annotations

import re
import unicodedata

# Letters and marks that are shown as nothing or as a space: Default_Ignorable_Code_Point of Unicode as far as it is not
# of a category that no name has, and the blanks among the symbols.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U00013441\U00013442\U0001d159\U000e0000-\U000e0fff]"
)
# Parts and forms that look like other letters: marks and jamo that stand alone, Roman numerals, ligatures, fullwidth,
# halfwidth and mathematical letters, the second code points of CJK ideographs.
_FORMS = re.compile(
    "[\u0300-\u036f\u1100-\u11ff\u2160-\u217f\u3099\u309a\u3131-\u318e\ua960-\ua97f\ud7b0-\ud7ff"
    "\uf900-\ufaff\ufb00-\ufb06\uff01-\uffee\U0001d400-\U0001d7ff\U0002f800-\U0002fa1f]"
)
# Their letters look alike. With those of any other script, such as Hangul, a name may have letters of one of them.
_ALIKE = frozenset({"Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic", "Lisu"})


def person_fault(text: str) -> str | None:
    """The first fault of a person's name: as `fault`, and no character that looks like another one."""
    if (found := fault(text)) is not None:
        return found
    first = ""
    for place, character in enumerate(text, 1):
        if _FORMS.match(character):
            return f"character {place} is {_number(character)}, which looks like other letters: ordinary ones expected"
        alphabet = unicodedata.name(character, "").partition(" ")[0].capitalize() if character.isalpha() else ""
        if alphabet not in _ALIKE:
            continue
        first = first or alphabet
        if alphabet != first:
            is_other = f"character {place} is {_number(character)} of the {alphabet} alphabet"
            return f"{is_other}, among {first} letters: one of the two expected"
    return None


def fault(text: str) -> str | None:
    """The first fault of a name's characters, with place and number; None if all are seen, and composed (NFC)."""
    for place, character in enumerate(text, 1):
        if is_unseen(character):
            return f"character {place} is {_number(character)}, which nobody sees"
    if unicodedata.is_normalized("NFC", text):
        return None
    place = next((end for end in range(1, len(text)) if not unicodedata.is_normalized("NFC", text[:end])), len(text))
    return f"character {place} is {_number(text[place - 1])}, which is not in composed form (NFC)"


def is_unseen(character: str) -> bool:
    """Whether it is a control or format character, unassigned, private, a space other than U+0020, or shown as
    nothing."""
    return not character.isprintable() or _UNSEEN.match(character) is not None


def _number(character: str) -> str:
    return f"U+{ord(character):04X}"
