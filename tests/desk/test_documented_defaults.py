# SPDX-License-Identifier: Apache-2.0
"""docs/desk.md and docs/desk-serve.md state the defaults that an absent entry of desk.toml has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from linetap_core.wire.mqtt import Broker
from linetap_desk.config.desk import CopyConfig, DeskConfig, ServeConfig

DOCS = Path(__file__).parents[2] / "docs"
NO_DEFAULT = {"store", "holds"}


def test_the_values_that_desk_md_calls_defaults() -> None:
    (text,) = re.findall(r"```toml\n# desk\.toml;(.*?)```", (DOCS / "desk.md").read_text(), re.DOTALL)
    shown: dict[str, Any] = tomllib.loads(f"#{text}")
    for name, value in shown["copy"].items():
        if name not in NO_DEFAULT:
            assert getattr(CopyConfig(store="file:///x"), name) == value, name
    assert (shown["client_id"], shown["broker"]["port"]) == (DeskConfig().client_id, Broker().port)
    assert (DeskConfig().shares, CopyConfig(store="file:///x").night_kbit_s) == (1, None)


def test_the_column_default_of_desk_serve_md() -> None:
    table = (DOCS / "desk-serve.md").read_text().partition("| `[serve]` | default | |\n")[2].partition("\n\n")[0]
    rows = re.findall(r"(?m)^\| (`[a-z_`, ]+`) \| ([^|]*) \|", table)
    stated = {name: value.strip() for name, value in rows if "," not in name}
    compared = 0
    for name, value in stated.items():
        had = getattr(ServeConfig(), name.strip("`"))
        if name == "`url`":
            continue  # the listening address, which the listening server computes
        assert value.strip("`") == ("none" if had in (None, (), "") else str(had)), name
        compared += 1
    assert compared >= 12
