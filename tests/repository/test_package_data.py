# SPDX-License-Identifier: Apache-2.0
"""Every non-Python file of a package is installed by pip.

In the repository packages run in place, where a missing template is not noticed.
"""

from __future__ import annotations

import tomllib

import pytest

from importgraph import FIRMWARE, PACKAGES


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_file_is_installed(folder: str) -> None:
    package = FIRMWARE / folder / PACKAGES[folder]
    options = tomllib.loads((FIRMWARE / folder / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = options["tool"]["setuptools"]["package-data"][PACKAGES[folder]]
    installed = {path for pattern in patterns for path in package.glob(pattern) if path.is_file()}
    there = {
        path
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert {str(path.relative_to(package)) for path in there - installed} == set()
    assert all(any(package.glob(pattern)) for pattern in patterns), "a pattern that matches nothing"
