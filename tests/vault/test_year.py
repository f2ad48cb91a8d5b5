# SPDX-License-Identifier: Apache-2.0
"""A simulated year: exactly the right calls are destroyed, checked every six hours."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from year import Year

from linetap_core.clock import NS_PER_S, SYSTEM


def test_what_is_gone_after_a_year_is_exactly_what_should_be(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    year = Year(run_dir, monkeypatch, seed=4, calls_a_day=1, cut_share=0.4)
    year.run()
    rows = year.finish()
    assert year.cuts_in_destruction > 10
    print("\n".join(["", *rows]))


@pytest.mark.soak
def test_many_years(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    end_ns = SYSTEM.monotonic_ns() + round(float(os.environ.get("LINETAP_SOAK_MINUTES", "1")) * 60 * NS_PER_S / 10)
    seed = 100
    while seed == 100 or SYSTEM.monotonic_ns() < end_ns:
        folder = Path(tempfile.mkdtemp(prefix="linetap-year-", dir="/dev/shm"))
        try:
            with monkeypatch.context() as patched:
                year = Year(folder, patched, seed, calls_a_day=4, cut_share=0.3)
                year.run()
                rows = year.finish()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        with capsys.disabled():
            print("\n".join(["", f"year of seed {seed}", *rows]))
        seed += 1
