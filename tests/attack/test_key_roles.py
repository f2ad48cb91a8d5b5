# SPDX-License-Identifier: Apache-2.0
"""A stolen unit key, and a signers' file without restrictions: the other signatures possible with that key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from linetap_core import cli
from linetap_core.enrolment import request
from linetap_core.enrolment.request import PkiFault
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, signers, unitnames
from linetap_core.evidence.signing.signers import ReservedUnit, SignerIsUnit
from linetap_core.evidence.signing.sshsig import SignatureFault
from linetap_desk.proofs import callfolder, verifycall
from sealing_rig import UNIT, Rig, record

AT = datetime(2026, 11, 24, 22, 56, tzinfo=UTC)
OFFICIAL = (
    "linetap-certificate",
    "linetap-hold",
    "linetap-release",
    "linetap-keylist",
    "linetap-roles",
    "linetap-command",
)
STOLEN, OFFICER = keys.new_unit_key().public_key(), keys.new_unit_key().public_key()
UNITS_LINES = [
    "closet-3f {}",
    "closet-* {}",
    "* {}",
    'closet-3f namespaces="linetap-record,linetap-event,linetap-head,linetap-certificate,linetap-walk" {}',  # of 0.1
    'closet-3f namespaces="linetap-*" {}',
    'closet-3f namespaces="linetap-head,linetap-certificate,linetap-hold" {}',
    'closet-3f namespaces="linetap-event" {0}\nofficer,vault {0}',
    "closet-3f,officer {}",
    "closet-3f,witness {}",
    "closet-3f {0}\nofficer {0}",
    'closet-3f {0}\nofficer namespaces="linetap-certificate,linetap-hold" {0}',
    'closet-3f valid-before="20200101Z" {0}\nwitness {0}',
]


def parsed(lines: str) -> list[signers.Signer]:
    return signers.parse(lines.format(keys.public_line(STOLEN)) + f"\nofficer {keys.public_line(OFFICER)}\n")


@pytest.mark.parametrize("namespace", OFFICIAL)
@pytest.mark.parametrize("lines", UNITS_LINES)
def test_a_units_key_signs_nothing_official(lines: str, namespace: str) -> None:
    with pytest.raises(SignatureFault):
        signers.require_named(STOLEN, namespace, parsed(lines), AT)
    for office in ("officer", "vault", "witness", "closet-3f"):
        with pytest.raises(SignatureFault):
            signers.require_trust(STOLEN, namespace, parsed(lines), office, AT)
    assert signers.require_named(OFFICER, namespace, parsed(lines), AT) == "officer"


@pytest.mark.parametrize("lines", UNITS_LINES)
def test_a_units_key_is_no_witness(lines: str) -> None:
    with pytest.raises(SignatureFault):
        signers.require_trust(STOLEN, "linetap-head", parsed(lines), "witness", AT)


def test_a_units_key_signs_for_its_own_unit_alone() -> None:
    for namespace in namespaces.BY_UNIT:
        signers.require_trust(STOLEN, namespace, parsed("closet-3f {}"), "closet-3f", AT)
        with pytest.raises(SignatureFault):
            signers.require_trust(STOLEN, namespace, parsed("closet-3f {}"), "closet-4f", AT)


@pytest.mark.parametrize("office", sorted(unitnames.OFFICES))
def test_an_officers_key_signs_for_no_unit(office: str) -> None:
    named = parsed(f"{office} {{}}")
    for namespace in set(namespaces.BY_UNIT) - {namespaces.HEAD}:
        with pytest.raises(ReservedUnit):
            signers.require_trust(STOLEN, namespace, named, office, AT)
        with pytest.raises(SignatureFault):
            signers.require_trust(STOLEN, namespace, named, "closet-3f", AT)


def test_a_person_is_named_for_what_they_sign() -> None:
    """Without namespaces= a name outside the offices is a unit's."""
    assert signers.require_named(STOLEN, "linetap-hold", parsed('kim namespaces="linetap-hold" {}'), AT) == "kim"
    with pytest.raises(SignerIsUnit, match='namespaces="linetap-hold" expected'):
        signers.require_named(STOLEN, "linetap-hold", parsed("kim {}"), AT)


@pytest.mark.parametrize("name", ["witness", "desk", "holds", "log", "con", "2026", "authority", "com1"])
def test_a_reserved_name_is_refused_wherever_a_unit_gets_one(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    epoch, custodian = keys.new_identity().recipient, keys.new_identity().recipient
    words = ["--lines", "8", "--custodian", custodian, "--epoch", epoch, "-o", str(tmp_path / "unit.toml")]
    assert cli.main(["config", "init", name, *words]) == 2
    assert f"UNIT_ID {name!r} is reserved" in capsys.readouterr().err
    assert cli.main(["config", "init", "floor-03", *words]) == 0
    path = tmp_path / "unit.toml"
    path.write_text(path.read_text().replace('unit = "floor-03"', f'unit = "{name}"'))
    assert cli.main(["config", "check", str(path)]) == 2
    assert f"unit = {name!r} is reserved" in capsys.readouterr().err
    asked = request.make(name, ec.generate_private_key(ec.SECP256R1()), keys.new_unit_key())
    with pytest.raises(PkiFault, match="is reserved"):
        request.check(asked)


def test_records_of_a_unit_with_a_reserved_name_are_not_trusted(tmp_path: Path) -> None:
    """The message names its key in full; likewise for a witness's or an officer's."""
    rig = Rig.make(tmp_path)
    folder = rig.create()
    folder.write(bytes(8000))
    made = record(8000)
    made.unit = "witness"
    folder.seal(made, rig.sign)
    rig.signers_file.write_text(rig.signers_file.read_text().replace(UNIT, "witness"))
    verdict = verifycall.verify_call(folder.path, callfolder.load_signers(rig.signers_file))
    assert [problem.code for problem in verdict.problems] == ["unit_reserved"]
    assert not verdict.trusted


def test_no_unit_of_ours_has_a_reserved_name() -> None:
    for name in ("floor-03", "closet-3f", "test", "west-01", "bench", "u1", "unit-2026"):
        assert not unitnames.is_reserved(name)
