# SPDX-License-Identifier: Apache-2.0
"""Derives a package's licence as an SPDX expression from Debian's copyright file or a wheel's metadata.

A machine-readable copyright file (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/) names a licence
for every file; the package is then under all of them. `SPDX` has the names that mean exactly one licence of SPDX's
list; any other name, and a file that is not machine-readable, becomes a `LicenseRef-` with its text: nothing is
guessed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

# Debian's short names, in lower case, without those that stand for several texts ("artistic", "gpl", "bsd-variant").
SPDX = {
    "0bsd": "0BSD", "afl-2.0": "AFL-2.0", "afl-2.1": "AFL-2.1", "apache-2": "Apache-2.0", "apache-2.0": "Apache-2.0",
    "apache-2.0 with llvm exception": "Apache-2.0 WITH LLVM-exception", "beerware": "Beerware",
    "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause",
    "bsd-4-clause-uc": "BSD-4-Clause-UC", "bsd-3-clause-attribution": "BSD-3-Clause-Attribution", "bsl-1.0": "BSL-1.0",
    "bzip2-1.0.6": "bzip2-1.0.6", "cc-by-3.0": "CC-BY-3.0", "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0", "cc0": "CC0-1.0", "cc0-1.0": "CC0-1.0", "curl": "curl", "epl-1.0": "EPL-1.0",
    "expat": "MIT", "fsfap": "FSFAP", "fsful": "FSFUL", "fsfullr": "FSFULLR",
    "gfdl-1.2+": "GFDL-1.2-or-later", "gfdl-1.3+": "GFDL-1.3-or-later", "gfdl-niv-1.3": "GFDL-1.3-no-invariants-only",
    "gfdl-niv-1.3+": "GFDL-1.3-no-invariants-or-later", "gpl-1": "GPL-1.0-only", "gpl-1+": "GPL-1.0-or-later",
    "gpl-2": "GPL-2.0-only", "gpl-2.0": "GPL-2.0-only", "gpl-2.0-only": "GPL-2.0-only", "gpl-2+": "GPL-2.0-or-later",
    "gpl-2.0+": "GPL-2.0-or-later", "gpl-2.0-or-later": "GPL-2.0-or-later",
    "gpl-2 with linux-syscall-note exception": "GPL-2.0-only WITH Linux-syscall-note",
    "gpl-2+ with libtool exception": "GPL-2.0-or-later WITH Libtool-exception",
    "gpl-2+ with autoconf exception": "GPL-2.0-or-later WITH Autoconf-exception-2.0",
    "gpl-3": "GPL-3.0-only", "gpl-3.0": "GPL-3.0-only", "gpl-3+": "GPL-3.0-or-later", "gpl-3.0+": "GPL-3.0-or-later",
    "gpl-3+ with autoconf exception": "GPL-3.0-or-later WITH Autoconf-exception-3.0",
    "gpl-3+ with bison exception": "GPL-3.0-or-later WITH Bison-exception-2.2",
    "gpl-3+ with bison-2.2 exception": "GPL-3.0-or-later WITH Bison-exception-2.2",
    "isc": "ISC", "latex2e": "Latex2e", "lgpl-2": "LGPL-2.0-only", "lgpl-2+": "LGPL-2.0-or-later",
    "lgpl-2.0+": "LGPL-2.0-or-later", "lgpl-2.1": "LGPL-2.1-only", "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-3": "LGPL-3.0-only", "lgpl-3+": "LGPL-3.0-or-later", "lgpl-3.0+": "LGPL-3.0-or-later", "mit": "MIT",
    "mit-cmu": "MIT-CMU", "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "ms-pl": "MS-PL", "oldap-2.8": "OLDAP-2.8",
    "openldap-2.8": "OLDAP-2.8", "psf-2": "PSF-2.0", "python-2.0": "Python-2.0", "rsa-md": "RSA-MD",
    "sleepycat": "Sleepycat", "unicode-dfs-2016": "Unicode-DFS-2016", "unlicense": "Unlicense", "x11": "X11",
    "zlib": "Zlib",
}  # fmt: skip
_STANZAS = re.compile(r"\n[ \t]*\n")
_LICENCE = re.compile(r"^licen[sc]e:[ \t]*(?P<name>[^\n]*)(?P<text>(?:\n[ \t][^\n]*)*)", re.MULTILINE | re.IGNORECASE)
_FORMAT = re.compile(r"^Format(-Specification)?:", re.MULTILINE | re.IGNORECASE)
_FILES = re.compile(r"^Files:", re.MULTILINE | re.IGNORECASE)


@dataclass
class Texts:
    """The licences outside SPDX's list: reference -> name and text."""

    found: dict[str, tuple[str, str]] = field(default_factory=dict)

    def refer(self, name: str, text: str) -> str:
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        reference = f"LicenseRef-{re.sub('[^A-Za-z0-9.]+', '-', name).strip('-')}-{digest}"
        self.found[reference] = (name, text)
        return reference


def of_copyright(content: str, texts: Texts) -> str:
    """The expression of a Debian package, from its copyright file."""
    own: dict[str, str] = {}
    files: list[tuple[str, str]] = []
    if _FORMAT.search(content):
        for stanza in _STANZAS.split(content):
            if (licence := _LICENCE.search(stanza)) is not None:
                name, text = " ".join(licence["name"].split()), licence["text"].strip("\n")
                own |= {name: text} if text else {}
                if _FILES.search(stanza):
                    files.append((name, text))
    if not files:
        return texts.refer("copyright", content)

    def single(name: str, text: str) -> str:
        return SPDX.get(name.lower()) or texts.refer(name or "copyright", text or own.get(name) or content)

    return _all(set().union(*(_every(name, text, single) for name, text in files)))


def of_wheel(name: str, licence: str, text: str, texts: Texts) -> str:
    """The expression of a wheel: that of its metadata, if SPDX lists it, otherwise its licence text."""
    words = licence.strip()
    return SPDX.get(words.lower()) or (words if words in SPDX.values() else texts.refer(words or name, text))


def _every(name: str, text: str, single: Callable[[str, str], str]) -> set[str]:
    """All licences that apply together. `and` binds closer than `or`, and a comma weaker than both (section 7.2 of the
    format).
    """
    if name.lower() in SPDX:
        return {single(name, text)}
    for separator, join in ((r", (?:and )?(?!or )", _both), (r",? or ", _any), (r" and ", _both)):
        parts = [part for part in re.split(separator, name, flags=re.IGNORECASE) if part]
        if len(parts) > 1:
            return join([_every(part, "", single) for part in parts])
    return {single(name, text)}


def _both(parts: list[set[str]]) -> set[str]:
    return set().union(*parts)


def _any(alternatives: list[set[str]]) -> set[str]:
    return {" OR ".join(sorted({_all(each) if len(each) == 1 else f"({_all(each)})" for each in alternatives}))}


def _all(expressions: set[str]) -> str:
    if len(expressions) == 1:
        return next(iter(expressions))
    return " AND ".join(f"({each})" if " OR " in each else each for each in sorted(expressions))
