# SPDX-License-Identifier: Apache-2.0
"""The time of a practised person by the keystroke-level model, as pages cannot measure people.

Card, Moran and Newell, CACM 23(7), 1980: the operators, and their times for an average non-secretary typist. The model
excludes reading: its rate is that of Brysbaert, JML 109, 2019, for silent reading of English non-fiction, where a
Korean word is the text between two spaces. The same times are used for touch screens: extensions of the model for touch
do not agree on others (Al-Megren, Khabti and Al-Khalifa, AHCI 2018).
"""

from __future__ import annotations

KEY_S, POINT_S, PRESS_S, HANDS_S, THINK_S = 0.28, 1.1, 0.2, 0.4, 1.35
WORD_S = 60 / 238
_SYLLABLES = range(0xAC00, 0xD7A4)
# On the keyboard of two sets (KS X 5002): with shift, or of two letters.
_TWO_INITIALS = frozenset({1, 4, 8, 10, 13})
_TWO_VOWELS = frozenset({3, 7, 9, 10, 11, 14, 15, 16, 19})
_TWO_FINALS = frozenset({2, 3, 5, 6, 9, 10, 11, 12, 13, 14, 15, 18, 20})
_SHIFTED = frozenset('~!@#$%^&*()_+{}|:"<>?')


def keystrokes(text: str) -> int:
    """The keys of a text, with shift and the change between Hangul and Latin letters as keys of their own."""
    count, hangul = 0, None
    for letter in text:
        is_hangul = ord(letter) in _SYLLABLES
        if is_hangul or letter.isalpha():
            count += hangul is not None and hangul != is_hangul
            hangul = is_hangul
        count += _of_syllable(ord(letter)) if is_hangul else 1 + (letter.isupper() or letter in _SHIFTED)
    return count


def _of_syllable(code: int) -> int:
    rest, final = divmod(code - _SYLLABLES.start, 28)
    initial, vowel = divmod(rest, 21)
    return (
        1 + (initial in _TWO_INITIALS) + 1 + (vowel in _TWO_VOWELS) + (final > 0) + (final in _TWO_FINALS)
    )  # fmt: skip


def press_s(presses: int = 1) -> float:
    """The time of one thought, one movement to the target, and the presses there."""
    return THINK_S + POINT_S + presses * PRESS_S


def typing_s(keys: int) -> float:
    """Seconds of typing, the way to the keyboard and back included."""
    return 2 * HANDS_S + keys * KEY_S


def file_s() -> float:
    """The time of choosing a file: the button, and a double click on the file in the dialog."""
    return press_s() + press_s(2)


def command_s() -> float:
    """The time of copying from the page into a terminal: marking, two keys, the other window, two keys, Enter."""
    return press_s(2) + press_s() + typing_s(5)


def reading_s(words: int) -> float:
    return words * WORD_S
