# SPDX-License-Identifier: Apache-2.0
"""One person as two, by a name with a character that nobody sees: files that are there already are refused too, in one
line with file, line and character."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import pytest

from bundle_rig import CHECKER, BundleRig, members, pack, unpacked
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.roles import Person, Purpose, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, signers, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.vaultproofs.documents import DocumentCheck
from linetap_desk.vaultproofs.logclaims import LogClaims
from sealing_rig import run

KEYS = [keys.new_unit_key() for _ in range(3)]


def second_line(name: str) -> str:
    return f'{name} namespaces="linetap-certificate" {keys.public_line(KEYS[1].public_key())}\n'


def test_a_published_file_of_signers(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    published = bundled.rig.signers_file
    lines = published.read_text()
    published.write_text(lines + second_line("officer\u3164"))
    place = f"{published}: line {lines.count(chr(10)) + 1}: the name's character 8 is U+3164, which nobody sees"
    for words in ([str(bundled.rig.vault)], [str(bundled.call())]):
        assert bundled.verify(Path(words[0])) == 2
        assert place in capsys.readouterr().err
    assert bundled.bundle() == 2
    assert place in capsys.readouterr().err


def test_the_signers_in_a_bundle(bundled: BundleRig, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert bundled.bundle() == 0
    found = members(bundled.root / "case.zip")
    found["signers"] += second_line("officer\u200b").encode()
    capsys.readouterr()
    assert bundled.verify(pack(tmp_path / "forged.zip", found)) == 1
    said = capsys.readouterr().out
    assert f"signers: line {found['signers'].count(b'\n')}: the name's character 8 is U+200B, which nobody sees" in said


NAMES = [
    "officer\u3164",
    "officer\u200b",
    "officer\ufe0f",
    '"officer "',
    "officer\u00a0",
    "\u1100\u1161",
    "a\U000e0101",
    "a\u0301",  # composed, it is another character
    "q\u0301",  # there is no composed one
    "\u1100",
    "offi\u0441er",  # Cyrillic
    "\u041eльга-Kim",
    "\u03bffficer",  # Greek
    "closet-*,offi\u0441er",
    "\uff4bim",  # fullwidth
    "김\u3145라",  # a jamo that stands alone
    "\u2160officer",  # a Roman numeral
    "か\u3099",
]


MIXED = ["김소라-Kim3", "金-김소라", "Ольга,kim", "山田-たろう", "Ñandú"]  # what names in an office look like


@pytest.mark.parametrize("name", [*NAMES, "김소라", "Nguyễn", '"Park Min"', "closet-*,!closet-9", *MIXED])
def test_the_checker_of_stock_tools(bundled: BundleRig, tmp_path: Path, name: str) -> None:
    assert bundled.bundle() == 0
    published = tmp_path / "published"
    published.write_text(f"# people\u200b\n{bundled.rig.signers_file.read_text()}{second_line(name)}")
    done = run(["bash", str(CHECKER), str(unpacked(bundled.root / "case.zip", tmp_path / "case")), str(published)])
    assert (done.returncode == 0) is (name not in NAMES), done.stderr
    assert (b"has a character that nobody sees" in done.stderr) is (name in NAMES)
    with pytest.raises(BadInput) if name in NAMES else contextlib.nullcontext():  # `linetap verify` judges the same
        signers.parse(published.read_text())


@pytest.mark.parametrize(("name", "fault"), [("김소라", ""), ("김소라\u3164", "people[2].name: character 4 is U+3164")])
def test_the_roles_in_a_vault(tmp_path: Path, name: str, fault: str) -> None:
    line = [keys.public_line(key.public_key()) for key in KEYS]
    people = [Person("박민", "privacy", line[0]), Person(name, "legal", line[1])]
    data = document.encode(Roles(version=1, people=people, purposes=[Purpose("p", "가", "a", "b")]))
    (tmp_path / "roles.json").write_bytes(data)
    (tmp_path / "roles.json.sig").write_text(sshsig.sign(data, KEYS[2], namespaces.ROLES))
    named = LogClaims(roles=hashlib.sha256(data).hexdigest())
    named_signers = [Signer("authority", keys.public_blob(KEYS[2].public_key()))]
    found = DocumentCheck(tmp_path, "closet-3f", named_signers, named).roles(0)
    assert [problem.text.partition(", which")[0] for problem in found.problems] == [f"roles.json: {fault}"] * bool(
        fault
    )
