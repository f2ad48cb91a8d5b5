# SPDX-License-Identifier: Apache-2.0
"""Makes a unit for the lines of a script, so that a rendered script can be replayed: keys, notices and unit.toml.

The private keys are in the same folder: an example unit protects no secrets.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tomllib
from pathlib import Path
from typing import Any

from linetap.commission import init
from linetap.config import load_config
from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap_bench.script.scriptkeys import Script
from linetap_core.clock import SYSTEM, rfc3339
from linetap_core.durable import privatefile
from linetap_core.evidence.keys.keys import parse_identity_file
from linetap_desk.ceremony import keygen

UNIT = "floor-03"
STARTS_AT = "2026-11-24T22:56:00.123Z"  # start of a scenario, to which its SMDR times refer


def make_unit(script: Script, folder: Path, notices: Path | None = None) -> Path:
    """Writes unit.toml to `folder`: the output of `config init` with the script's [unit]. Existing keys are kept.

    BadInput for an inconsistent configuration, with its lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if notices is None:
        notices = folder / "notices"
        if not notices.exists():
            make_default_notices(notices, ANNOUNCEMENTS)
    output = folder / "unit.toml"
    words = [UNIT, "--lines", script.lines, "--board", "simulated", "--notices", notices, "--force"]
    words += ["--custodian", _recipient(folder, "custodian"), "--epoch", _recipient(folder, "epoch")]
    parser = argparse.ArgumentParser()
    init.add_arguments(parser)
    with contextlib.redirect_stdout(io.StringIO()):
        init.run(parser.parse_args([*map(str, words), "--vault", str(folder / "vault"), "-o", str(output)]))
    if script.unit:
        output.write_text(toml_of(merged(tomllib.loads(output.read_text()), script.unit)))
    load_config(output)
    return output


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes`: tables are merged, and array elements by their `number`; other values are replaced."""
    whole = dict(base)
    for key, value in changes.items():
        old = base.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            whole[key] = merged(old, value)
        elif isinstance(old, list) and _are_numbered(old) and _are_numbered(value):
            by_number = {each["number"]: each for each in old}
            whole[key] = list(
                {**by_number, **{v["number"]: by_number.get(v["number"], {}) | v for v in value}}.values()
            )
        else:
            whole[key] = value
    return whole


def toml_of(data: dict[str, Any]) -> str:
    """TOML text: plain values first; tables below the first level inline."""
    tables: list[str] = []
    plain: list[str] = []
    for key, value in data.items():
        if isinstance(value, dict):
            tables.append(_table(f"[{key}]", value))
        elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            tables += [_table(f"[[{key}]]", each) for each in value]
        else:
            plain.append(f"{key} = {_inline(value)}\n")
    return "".join([*plain, *tables])


def _table(head: str, values: dict[str, Any]) -> str:
    return f"\n{head}\n" + "".join(f"{key} = {_inline(value)}\n" for key, value in values.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # texts, numbers, true and false look the same in TOML


def _are_numbered(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) and "number" in each for each in value)


def _recipient(folder: Path, kind: str) -> str:
    path = folder / f"{kind}.txt"
    if not path.exists():
        privatefile.write(path, keygen.make(kind, rfc3339(SYSTEM.utc_ns()))[0])
    return parse_identity_file(path.read_text())[0].recipient
