# SPDX-License-Identifier: Apache-2.0
"""The demo's evidence bundle is checked by the published checker, and by nothing inside the bundle."""

from __future__ import annotations

from bundle_rig import BundleRig
from linetap_bench.demo.opening import make_and_check


def test_the_demos_bundle_is_checked_by_what_is_published(bundled: BundleRig) -> None:
    folder = bundled.root / "demo"
    folder.mkdir()
    made = make_and_check(folder, bundled.call(), bundled.rig.signers_file)
    assert made.script.name == "check-bundle.sh"
    assert folder not in made.script.parents
    assert made.lines[-1].startswith("All of it holds.")
    assert not list((folder / "case").rglob("*.sh"))
