# SPDX-License-Identifier: Apache-2.0
"""A complete bundle, changed by somebody with our software and no key who recomputes the sums: for any member `verify`
refuses the bundle, or has named the member as one without a signature.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bundle_rig import SECOND, BundleRig, members, pack
from linetap_core.cli import main
from linetap_desk.bundle import container, facts, layout, report
from linetap_desk.bundle.check import verify_bundle
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Verdict
from sealing_rig import CALL_ID

WAV = layout.opened(CALL_ID, "call.wav")
CASE, OTHER_CASE = "2026-117", "2026-118"


@pytest.fixture(scope="module")
def whole(made_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("whole")
        patch.setenv("HOME", str(root / "home"))
        bundled = BundleRig.at(made_bundle)
        wav = bundled.opened()
        words = ["--signers", str(bundled.rig.signers_file), "--case", CASE, "-o", str(root / "case.zip")]
        calls = [str(bundled.call()), str(bundled.call(SECOND))]
        assert main(["bundle", *calls, *words, *bundled.everything, wav]) == 0
        for path in bundled.root.glob("call.*"):
            path.rename(root / path.name)
        (root / "allowed_signers").write_bytes(bundled.rig.signers_file.read_bytes())
        (root / "tsa-ca.pem").write_bytes(bundled.ca.read_bytes())
    return root


def verdicts(whole: Path, path: Path) -> list[Verdict]:
    return list(verify_bundle(path, callfolder.load_signers(whole / "allowed_signers"), whole / "tsa-ca.pem"))


def problems(whole: Path, path: Path) -> list[str]:
    return [problem.code for verdict in verdicts(whole, path) for problem in verdict.problems]


def named(whole: Path) -> str:
    """The files that `verify` reports as not covered."""
    (said,) = [verdict.name for verdict in verdicts(whole, whole / "case.zip") if "not covered" in verdict.name]
    return said


def flipped(at: float) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        place = min(len(data) - 1, int(len(data) * at))
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return change


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    **{f"a bit at {at}": flipped(at) for at in (0.0, 0.15, 0.4, 0.6, 0.85, 1.0)},
    "without its last byte": lambda data: data[:-1],
    "empty": lambda _: b"",
    "with a byte more": lambda data: data + b"\n",
}


def test_what_nothing_covers_is_named(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--signers", str(whole / "allowed_signers"), "--ca", str(whole / "tsa-ca.pem")]
    assert main(["verify", str(whole / "case.zip"), *words]) == 0
    assert f"?    {named(whole)}\n" in capsys.readouterr().out
    for name in (layout.ABOUT, layout.SIGNERS, WAV, layout.opened(CALL_ID, "call.json")):
        assert name in named(whole)


@pytest.mark.parametrize("how", CHANGES)
def test_no_member_is_changed_unseen(whole: Path, tmp_path: Path, how: str) -> None:
    good, said = members(whole / "case.zip"), named(whole).replace(",", "").split()
    for name, data in good.items():
        if name == layout.SUMS:
            continue  # recomputed
        changed = pack(tmp_path / "case.zip", good | {name: CHANGES[how](data)})
        assert problems(whole, changed) or (name in said and how.startswith("a bit")), f"{name}: {how}"
    assert problems(whole, pack(tmp_path / "case.zip", good)) == []


def test_no_member_goes_and_none_comes_unseen(whole: Path, tmp_path: Path) -> None:
    good = members(whole / "case.zip")
    for name in good.keys() - {layout.SUMS}:
        rest = {other: data for other, data in good.items() if other != name}
        assert problems(whole, pack(tmp_path / "case.zip", rest)), f"{name} gone"
    folders = {""} | {name.rpartition("/")[0] + "/" for name in good if "/" in name}
    for folder in sorted(folders):
        for stray in ("note.txt", "x.sig", "other.JSON", "head.json.tmp"):
            if folder + stray not in good:
                changed = pack(tmp_path / "case.zip", good | {folder + stray: b"x"})
                assert problems(whole, changed), folder + stray


def test_another_case_is_not_seen_and_is_named(whole: Path, tmp_path: Path) -> None:
    """Rewriting the reports gives a bundle of another case: only a signature over the zip proves the case."""
    good = members(whole / "case.zip")
    changed = good | {layout.ABOUT: good[layout.ABOUT].replace(CASE.encode(), OTHER_CASE.encode())}
    sources: dict[str, container.Source] = dict(changed)
    changed |= report.derived(sources, facts.load(sources))
    assert changed[layout.ABOUT] != good[layout.ABOUT]
    assert problems(whole, pack(tmp_path / "case.zip", changed)) == []
    assert f"the case in {layout.ABOUT}" in named(whole)
