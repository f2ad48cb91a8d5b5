# SPDX-License-Identifier: Apache-2.0
"""Careless or hostile files of allowed_signers, made from a seed."""

from __future__ import annotations

from random import Random

PRINCIPAL = "closet-3f"
NASTY = [*"\u2028\u2029\x85\v\f\x1c\x1d\x1e\r\xa0\u3000\ufeff\x1f", "민원"]
BLANKS = [" "] * 200 + ["\t", "  ", " \t ", "\r", "\v", "\f", "\xa0", "\x1c", ""]
ENDS = ["\n"] * 80 + ["\r\n", "\n\n", "\r", *NASTY]
PRINCIPALS = [PRINCIPAL] * 20 + [
    "closet-*", "*", "closet-4f", "closet-4f,closet-3f", "closet-*,!closet-3f", "!closet-3f,closet-*", '"closet-3f"',
    '"closet 3f",closet-3f', 'closet"-3f"', 'clo"set-3f" x', '"closet-3f', "Closet-3f", "closet-??", "closet-3f,",
    ",closet-3f", "closet-3f,,", "!", "closet-3f,!", "", "witness",
    "a" * 1022 + ",closet-3f", "a" * 1023 + ",closet-3f",
    "closet-3f," + "a" * 1023, "*c*l*o*s*e*t*f", "#closet-3f", "closet-3f\u2028", "!closet-4f,closet-3?", "c?oset-3f",
    "closet-3f\\", "closet-[3]f", "**", "민원,closet-3f",
]  # fmt: skip
TIMES = [
    "20261101Z", "20261130Z", "20261124225600Z", "20261124225601Z", "20261124225559Z", "202611242256Z", "20261124z",
    "20261125UTC", "20261125utc", "20261124", "20261125", "202611250756", "202611242356", "20260724", "202611241756",
    "0x6745", "20261199Z", "20260231Z", "19700101Z", "19600101Z", "", "Z", "UTC", "tomorrow", "2026 1 1Z",
    "20261124T2256Z",
    "20261124225660Z", "999912312359Z", "00000101Z", "２０２６１１２４Z", "+2261124Z", "20261124+0900", "1e9",
]  # fmt: skip
NAMES = ["NameSpaces", "VALID-BEFORE", "valid-afterr", "namespace", "no-touch"]
NAMESPACES = [
    "linetap-record", "linetap-*", "linetap-event,linetap-r*", "linetap-event", "!linetap-record,*", "",
    "linetap-record ",
    "*", 'linetap-record\\"', '\\"', "git,linetap-record", "LINETAP-RECORD", "linetap-?ecord", ",", "x" * 1023 + ",*",
]  # fmt: skip


def file_of(random: Random, key: str, others: list[str]) -> str:
    """One to four lines; sometimes with a change in the middle."""
    text = "".join(_line(random, key, others) + random.choice(ENDS) for _ in range(random.randint(1, 4)))
    if random.random() < 0.5:
        text = text.removesuffix("\n")
    for _ in range(random.choice([0] * 12 + [1, 3])):
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice([*NASTY, *'",!\n#=\\\0']) + text[at + random.randint(0, 1) :]
    return text


def _line(random: Random, key: str, others: list[str]) -> str:
    if random.random() < 0.1:
        return random.choice(["", "# closet-3f", f" # {PRINCIPAL} {key}", "\t", "\r", "\v", f"#{random.choice(NASTY)}"])
    words = [random.choice([""] * 40 + [" ", "\t", "\r", "\v"]) + random.choice(PRINCIPALS), random.choice(BLANKS)]
    if random.random() < 0.5:
        words += [_options(random), random.choice(BLANKS)]
    kind, blob = (key if random.random() < 0.8 else random.choice(others)).split()[:2]
    words += [
        random.choice([kind] * 60 + ["ED25519", "ssh-Ed25519", "ssh-rsa"]),
        random.choice(BLANKS),
        _spoilt(random, blob),
    ]
    if random.random() < 0.5:  # hidden in a comment by an attacker
        words += [
            random.choice(BLANKS),
            "comment",
            random.choice(NASTY),
            f"{PRINCIPAL} {random.choice([key, *others])}",
        ]
    return "".join(words)


def _spoilt(random: Random, blob: str) -> str:
    if random.random() < 0.96:
        return blob
    at = random.randrange(len(blob))
    return blob[:at] + random.choice(["", "=", "\v", "\f", "\r", "-", "A", "==", " "]) + blob[at:]


def _options(random: Random) -> str:
    return random.choice([","] * 40 + [",,", " ,", ";"]).join(_option(random) for _ in range(random.randint(1, 3))) + (
        "," if random.random() < 0.03 else ""
    )


def _option(random: Random) -> str:
    if random.random() < 0.1:
        return random.choice(["cert-authority"] * 3 + ["CERT-AUTHORITY", "cert-authorityx", "no-cert-authority", ""])
    name = random.choice(["namespaces", "valid-after", "valid-before"] * 15 + NAMES)
    values = NAMESPACES if name.lower() == "namespaces" else TIMES[:14] if random.random() < 0.8 else TIMES
    quote = random.choice(['"{}"'] * 60 + ["{}", '"{}', "'{}'"])
    return f"{name}={quote.format(random.choice(values))}"
