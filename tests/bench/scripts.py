# SPDX-License-Identifier: Apache-2.0
"""Short scripts and timelines, without speech unless a test adds it."""

from __future__ import annotations

from pathlib import Path

from linetap_bench.exchange.timeline import Timeline
from linetap_bench.script.script import load_script
from linetap_bench.script.scriptkeys import Script
from linetap_bench.sounds.voices import Voices, default_folder

SILENT = "[[line]]\nnumber = 1\nnoise_dbm0 = -90.0\nhum_dbm0 = -90.0\ncaptured_db = 0.0\n"  # as loud as on the line


def script_of(folder: Path, text: str) -> Script:
    path = folder / "calls.toml"
    path.write_text(text)
    return load_script(path)


def timeline_of(folder: Path, text: str, lines: int = 1) -> Timeline:
    return Timeline(script_of(folder, text), Voices(default_folder()), list(range(1, lines + 1)))


def call(**keys: object) -> str:
    """One [[call]] on line 1 from 1 s on, silent by default."""
    values: dict[str, object] = {"line": 1, "start_s": 1.0, "direction": "in"} | keys
    return "[[call]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
