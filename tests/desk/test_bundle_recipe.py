# SPDX-License-Identifier: Apache-2.0
"""docs/check-bundle.sh: with stock tools alone the result for a bundle equals that of `linetap verify`, and every other
byte is refused.
"""

from __future__ import annotations

import html
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bundle_rig import CHECKER, SAMPLES, BundleRig, unpacked
from group_rig import Members
from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap_core.codecs.mulaw import MuLaw
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.records import Audio
from linetap_desk.bundle import recipe
from sealing_rig import CALL_ID, TIMEOUT_S, UNIT, noise, record, run

# All programs that the checker may call, without linetap and Python.
TOOLS = [
    *(
        "bash",
        "cat",
        "cmp",
        "comm",
        "cut",
        "find",
        "grep",
        "head",
        "mktemp",
        "realpath",
        "rm",
        "sed",
        "sha256sum",
        "sort",
        "stat",
    ),
    *("tr", "wc", "xargs"),
    *("jq", "openssl", "sigsum-verify", "ssh-keygen"),
]
UNSIGNED = ("report.", "bundle.json", "opened/", "signers", "SHA256SUMS", "sigsum/policy", "policy")


@pytest.fixture
def case(bundled: BundleRig) -> Path:
    """A bundle with everything in it, unpacked by stock unzip."""
    assert bundled.bundle(*bundled.everything, bundled.opened()) == 0
    return unpacked(bundled.root / "case.zip", bundled.root / "case")


def stock_path(bundled: BundleRig) -> Path:
    folder = bundled.root / "bin"
    if not folder.exists():
        folder.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (folder / tool).symlink_to(found)
    return folder


def check(bundled: BundleRig, case: Path, signers: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The published checker, run from its published place with only stock tools."""
    path = stock_path(bundled)
    words = [str(path / "bash"), str(CHECKER), str(case), str(signers or bundled.rig.signers_file), str(bundled.ca)]
    env = {"PATH": str(path)}
    return subprocess.run(words, env=env, cwd="/", capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def repair(bundled: BundleRig, case: Path) -> None:
    """Recomputes the sums, as anybody who changes a file can."""
    script = "find . -type f ! -path ./SHA256SUMS | LC_ALL=C sort | xargs sha256sum > /tmp/x; cat /tmp/x > SHA256SUMS"
    script = script.replace("/tmp/x", str(bundled.root / "sums"))
    assert run(["sh", "-c", script], cwd=case).returncode == 0


def files(case: Path) -> list[Path]:
    return sorted(path for path in case.rglob("*") if path.is_file())


def test_stock_tools_say_yes(bundled: BundleRig, case: Path) -> None:
    assert not [name for name in os.listdir(stock_path(bundled)) if "python" in name or "linetap" in name]
    done = check(bundled, case)
    assert done.returncode == 0, done.stderr
    assert "\nAll checks succeeded." in done.stdout
    assert done.stdout.count("\nGood ") == 10
    assert done.stdout.count("Verification: OK\n") == 1  # the time stamp's


def test_its_own_list_of_sums_is_one_that_sha256sum_takes(case: Path) -> None:
    assert run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=case).returncode == 0
    assert run(["shellcheck", "--severity", "info", str(CHECKER)]).stdout.decode() == ""


def test_a_byte_of_any_member(bundled: BundleRig, case: Path) -> None:
    for path in files(case):
        good = path.read_bytes()
        flip(path, len(good) // 2)
        assert check(bundled, case).returncode != 0, path
        path.unlink()
        assert check(bundled, case).returncode != 0, f"{path} removed"
        path.write_bytes(good)
    (case / "more").write_bytes(b"x")
    assert check(bundled, case).returncode != 0
    (case / "more").unlink()
    assert check(bundled, case).returncode == 0


def test_a_byte_of_what_proves_something_although_the_sums_fit(bundled: BundleRig, case: Path) -> None:
    proving = [path for path in files(case) if not str(path.relative_to(case)).startswith(UNSIGNED)]
    proving = [path for path in proving if path.suffix not in (".pem", ".pub")]  # the CA comes from outside
    assert len(proving) > 25
    sums = (case / "SHA256SUMS").read_bytes()
    for path in proving:
        good = path.read_bytes()
        flip(path, len(good) - 5 if path.suffix == ".path" else len(good) // 2)
        repair(bundled, case)
        done = check(bundled, case)
        assert done.returncode != 0, path
        assert "FAILED: " in done.stderr
        path.write_bytes(good)
    (case / "SHA256SUMS").write_bytes(sums)
    assert check(bundled, case).returncode == 0


def test_an_opened_call_that_does_not_fit(bundled: BundleRig, case: Path) -> None:
    wav, whole = case / "opened" / CALL_ID / "call.wav", case / "opened" / CALL_ID / "call.json"
    slower = wav.read_bytes()
    slower = slower[:24] + (4000).to_bytes(4, "little") + (8000).to_bytes(4, "little") + slower[32:]
    for path, data in (
        (wav, wav.read_bytes()[:-2]), (wav, slower), (wav, b"<html>" + wav.read_bytes()[6:]),
        (whole, whole.read_bytes().replace(b'"in"', b'"out"')),
    ):  # fmt: skip
        good = path.read_bytes()
        assert data != good
        path.write_bytes(data)
        repair(bundled, case)
        assert "The opened files match the record" in check(bundled, case).stderr, path
        path.write_bytes(good)


def test_the_checker_requires_the_published_signers(bundled: BundleRig, case: Path) -> None:
    for more in ([], [str(bundled.rig.signers_file)]):  # a CA inside the bundle would vouch for itself
        words = [str(stock_path(bundled) / "bash"), str(CHECKER), str(case), *more]
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode != 0
        assert "bash check-bundle.sh FOLDER SIGNERS" in done.stderr
    other = bundled.root / "others"
    other.write_text(bundled.rig.signers_file.read_text().replace("closet-3f", "closet-4f"))
    assert check(bundled, case, other).returncode != 0


def test_a_key_that_was_replaced_since(bundled: BundleRig) -> None:
    """ssh-keygen would check the key's validity today; the time of the call counts."""
    text = bundled.rig.signers_file.read_text()
    old = text.replace("closet-3f ssh", 'closet-3f valid-after="20261101Z",valid-before="20261125Z" ssh', 1)
    assert old != text
    bundled.rig.signers_file.write_text(old)
    assert bundled.bundle() == 0
    case = unpacked(bundled.root / "case.zip", bundled.root / "case")
    assert check(bundled, case).returncode == 0
    bundled.rig.signers_file.write_text(old.replace("20261125Z", "20261110Z"))
    assert check(bundled, case).returncode != 0
    assert bundled.verify(bundled.root / "case.zip") == 1


def test_the_opening_in_the_report_opens(bundled: BundleRig, case: Path) -> None:
    """As two people would do it: with stock age."""
    text = (case / "report.en.html").read_text()
    recipe = text[text.rindex("<pre>") + 5 : text.rindex("</pre>")].replace("&quot;", '"').replace("&gt;", ">")
    for name, path in (("epoch.txt", bundled.rig.epoch_file), ("custodian.txt", bundled.rig.custodian_files[0])):
        recipe = recipe.replace(name, str(path))
    done = run(["bash", "-ec", recipe], cwd=case)
    assert done.returncode == 0, done.stderr
    assert not (case.parent / "call.key").exists()
    assert (case.parent / "call.au").read_bytes() == bundled.rig.joined(bundled.call())
    again = check(bundled, case)  # it is still the bundle that it was
    assert again.returncode == 0, again.stderr


def test_the_opening_by_a_group_in_the_report_opens(bundled: BundleRig, tmp_path: Path) -> None:
    """As members 1 and 3 of three officers and a custodian would do it, in the same folder."""
    shutil.copytree(bundled.root, tmp_path / "rig")
    rig, officers = BundleRig.at(tmp_path / "rig"), Members.make(tmp_path / "officers", 2, 3)
    call_id = "20261124T225800.000Z-L05"
    folder = CallFolder.create(rig.rig.vault, OfCall(UNIT, call_id), officers.text, rig.rig.custodians)
    folder.write(noise(SAMPLES))
    folder.seal(record(SAMPLES, call_id), rig.rig.sign)
    rig.rig.publish()
    assert rig.bundle(calls=(call_id,)) == 0
    case = unpacked(rig.root / "case.zip", rig.root / "case")
    page = html.unescape((case / "report.en.html").read_text())
    recipe, group = page[page.rindex("<pre>") + 5 : page.rindex("</pre>")], page[page.rindex("<code>") + 6 :]
    group = group[: group.index("</code>")]
    recipe = recipe.replace(f"age -d -i epoch.txt calls/{call_id}/key.age", group)
    for name, path in (
        ("member1.txt", officers.files[0]), ("member3.txt", officers.files[2]),
        ("custodian.txt", rig.rig.custodian_files[1]),
    ):  # fmt: skip
        recipe = recipe.replace(name, str(path))
    done = run(["bash", "-ec", recipe], cwd=case)
    assert done.returncode == 0, done.stderr
    assert (case.parent / "call.au").read_bytes() == MuLaw.header + noise(SAMPLES)


def test_what_comes_of_the_parts_is_named_after_its_codec() -> None:
    whole = record(8000)
    for codec, name in (("mulaw", "call.au"), ("opus", "call.opus"), ("of-tomorrow", "call.au")):
        whole.audio = Audio(codec=codec, samples=8000)
        assert f"> ../{name}\n" in recipe.opening(whole)
