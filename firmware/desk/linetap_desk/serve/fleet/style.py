# SPDX-License-Identifier: Apache-2.0
"""The style sheets of the page of all units, which carries them inside itself: a telephone then paints the first unit
from what it asked for first, without another round trip over its network."""

from __future__ import annotations

import re
from importlib.resources import files

from markupsafe import Markup

from linetap_desk.web import secure

_SHEETS = ("base.css", "fleet.css")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def _joined() -> str:
    folder = files("linetap_desk.serve").joinpath("static")
    return _COMMENT.sub("", "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _SHEETS))


STYLE = Markup(_joined())
POLICY = secure.policy_with_style(STYLE)
