# SPDX-License-Identifier: Apache-2.0
"""Walks each page rendered in a test of the desk, including the branches not taken: template_walk.py."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Template
from template_walk import Walk, shape

_walked: set[tuple[str, ...]] = set()
_faults: set[str] = set()


@cache
def begin() -> None:
    """Watches for the rest of this process."""
    render = Template.render

    def walking(self: Template, *given: Any, **more: Any) -> str:
        text = render(self, *given, **more)
        context = dict(*given, **more)
        like = (str(self.filename), *sorted(f"{name} {shape(value)}" for name, value in context.items()))
        if self.name is not None and self.environment.loader is not None and like not in _walked:
            _walked.add(like)
            _faults.update(Walk(self.environment).template(self.name, context))
        return text

    Template.render = walking  # type: ignore[method-assign]


def faults() -> list[str]:
    """The faults since the last call."""
    found = sorted(_faults)
    _faults.clear()
    return found
