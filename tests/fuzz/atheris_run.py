# SPDX-License-Identifier: Apache-2.0
"""Fuzzes one reader with atheris: `atheris_run.py TARGET SECONDS FOLDER`. libFuzzer exits non-zero after a finding."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "rigs"), str(_HERE.parent / "desk")]
with atheris.instrument_imports(include=["linetap"]):
    import foreign
    import targets


def main() -> None:
    name, seconds, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    logging.disable(logging.CRITICAL)
    work, corpus = folder / f"work {name}".replace("/", "-"), folder / f"corpus {name}".replace("/", "-")
    work.mkdir()
    corpus.mkdir()
    held = contextlib.ExitStack()  # libFuzzer ends the process: nothing is closed
    (target,) = [each for each in targets.all_targets(work, held) if each.name == name]
    for number, seed in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-timeout={foreign.HANG_S}", "-rss_limit_mb=2048", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(corpus)], target.feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
