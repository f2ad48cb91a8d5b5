# SPDX-License-Identifier: Apache-2.0
"""Licences as SPDX expressions: from Debian's copyright files in both forms, compared with SPDX's own list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from archive_rig import build_package
from contents_rig import IMAGE
from licences import SPDX, Texts, of_copyright, of_wheel

HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: x\n"


def stated(*names: str, rest: str = "") -> tuple[str, Texts]:
    texts = Texts()
    files = "".join(f"\nFiles: {number}/*\nCopyright: somebody\nLicense: {name}\n" for number, name in enumerate(names))
    return of_copyright(HEAD + files + rest, texts), texts


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Expat"], "MIT"),
        (["GPL-2+", "gpl-2+"], "GPL-2.0-or-later"),
        (["GPL-2+", "LGPL-2.1"], "GPL-2.0-or-later AND LGPL-2.1-only"),
        (["LGPL-3+ or GPL-2+"], "GPL-2.0-or-later OR LGPL-3.0-or-later"),
        (["LGPL-3+ or GPL-2+", "ISC"], "(GPL-2.0-or-later OR LGPL-3.0-or-later) AND ISC"),
        (["GPL-2+ or AFL-2.1, and Expat"], "(AFL-2.1 OR GPL-2.0-or-later) AND MIT"),
        (["MPL-1.1 or GPL-2+ and ISC"], "(GPL-2.0-or-later AND ISC) OR MPL-1.1"),
        (["GPL-2 with Linux-syscall-note exception"], "GPL-2.0-only WITH Linux-syscall-note"),
    ],
)
def test_debians_names_as_spdx_has_them(names: list[str], expected: str) -> None:
    expression, texts = stated(*names)
    assert expression == expected
    assert texts.found == {}


def test_a_name_that_spdx_has_not_becomes_a_reference_with_its_text() -> None:
    expression, texts = stated("Kazlib or MIT", rest="\nLicense: Kazlib\n Free for all.\n .\n Really.\n")
    ((reference, (name, text)),) = texts.found.items()
    assert expression == f"{reference} OR MIT"
    assert reference.startswith("LicenseRef-Kazlib-")
    assert (name, text) == ("Kazlib", " Free for all.\n .\n Really.")


def test_two_texts_of_one_name_stay_two() -> None:
    texts = Texts()
    first, second = (of_copyright(f"{HEAD}\nFiles: *\nLicense: BSD-variant\n {word}\n", texts) for word in "ab")
    assert first != second
    assert len(texts.found) == 2


@pytest.mark.parametrize("content", ["This is under the GPL.\n", HEAD, f"{HEAD}\nLicense: GPL-2\n"])
def test_a_file_that_says_nothing_of_files_is_given_whole(content: str) -> None:
    texts = Texts()
    reference = of_copyright(content, texts)
    assert texts.found == {reference: ("copyright", content)}


def test_wheels_by_their_metadata_or_their_text() -> None:
    texts = Texts()
    assert of_wheel("a", "BSD-3-Clause", "Text.", texts) == "BSD-3-Clause"
    assert of_wheel("b", "PSF", "Text.", texts).startswith("LicenseRef-PSF-")
    assert of_wheel("c", "", "Other text.", texts).startswith("LicenseRef-c-")
    assert sorted(text for _, text in texts.found.values()) == ["Other text.", "Text."]


def test_spdx_knows_every_expression_of_the_table() -> None:
    licensing = pytest.importorskip(
        "license_expression", reason="license-expression is not installed: ./build.sh setup brings it"
    ).get_spdx_licensing()
    wrong = {name: licensing.validate(value).errors for name, value in SPDX.items()}
    assert {name: errors for name, errors in wrong.items() if errors} == {}


def taken(folder: Path, *debs: Path) -> subprocess.CompletedProcess[str]:
    """The output of copyrights.py for these packages, in `folder/doc`."""
    keep = folder / "keep"
    keep.mkdir()
    lines = []
    for number, deb in enumerate(debs):
        (keep / f"{number:064x}.deb").write_bytes(deb.read_bytes())
        part = "kit" if deb.name.startswith("kit-") else "root"
        lines.append(f"{part} {deb.name.split('_')[0]} 1 arm64 {number:064x} debian pool/{deb.name}\n")
    (folder / "lock").write_text("".join(lines))
    words = ["--lock", folder / "lock", "--keep", keep, "--files", folder / "files", "--also=kit-a", folder / "doc"]
    command = [sys.executable, str(IMAGE / "copyrights.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_copyright_files_of_packages_and_of_those_that_link_to_another(tmp_path: Path) -> None:
    built = tmp_path / "built"
    debs = [
        build_package(built, "a", "1", licence="Of a.\n"),
        build_package(built, "b", "1", linked="a"),
        build_package(built, "kit-a", "1", licence="Of the kit.\n"),
        build_package(built, "kit-b", "1", licence=""),
    ]
    done = taken(tmp_path, *debs)
    assert done.returncode == 0, done.stderr
    texts = {path.parent.name: path.read_text() for path in (tmp_path / "doc").glob("*/copyright")}
    assert texts == {"a": "Of a.\n", "b": "Of a.\n", "kit-a": "Of the kit.\n"}
    assert "root a 5 usr/bin/a" in (tmp_path / "files").read_text().splitlines()
    assert "root b - usr/share/doc/b" in (tmp_path / "files").read_text().splitlines()


def test_a_package_without_a_copyright_file_is_named(tmp_path: Path) -> None:
    built = tmp_path / "built"
    debs = [
        build_package(built, "kit-a", "1"),
        build_package(built, "a", "1"),
        build_package(built, "c", "1", licence=""),
    ]
    done = taken(tmp_path, *debs)
    assert done.returncode == 1
    assert done.stderr == "copyrights: c brings no copyright file: nobody could tell what it is licensed under\n"
