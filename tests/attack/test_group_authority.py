# SPDX-License-Identifier: Apache-2.0
"""The authority as 2 of 3: one of its people, or a stolen key of one, makes no list, no roles and no command."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from epoch_rig import Authority as Rig
from linetap.commission.configcheck import check_config
from linetap_core import cli
from linetap_core.durable import signedfile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.authorization.command import Command, CommandFault
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.authorization.roles import Person, Roles, RolesFault
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.signing import authority, document, namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority
from linetap_desk.accesslog import deskfolder
from sealing_rig import run

PEOPLE = [keys.new_unit_key() for _ in range(3)]
STRANGER = keys.new_unit_key()
LINES = [keys.public_line(key.public_key()) for key in PEOPLE]
BOTH = authority.from_lines(LINES, 2)
UNIT = "floor-03"


def by(*signers: SigningKey, data: bytes, namespace: str) -> bytes:
    return "".join(sshsig.sign(data, key, namespace) for key in signers).encode()


@pytest.fixture
def made(tmp_path: Path) -> bytes:
    return keylist.encode(Rig(tmp_path).make("2026-12-01", 3))


FEWER: list[tuple[str, list[SigningKey]]] = [
    ("one alone", [PEOPLE[0]]),
    ("one and a stranger", [PEOPLE[0], STRANGER]),
    ("two and a stranger", [PEOPLE[0], PEOPLE[1], STRANGER]),
    ("strangers", [STRANGER, keys.new_unit_key()]),
]


@pytest.mark.parametrize("signers", [each for _, each in FEWER], ids=[name for name, _ in FEWER])
def test_fewer_than_two_sign_nothing(made: bytes, signers: list[SigningKey]) -> None:
    with pytest.raises(keylist.Stranger):
        keylist.read(made, by(*signers, data=made, namespace=namespaces.KEY_LIST), BOTH)
    text = document.encode(Roles(version=1, people=[], purposes=[]))
    with pytest.raises(RolesFault) as found:
        roles.check(text, by(*signers, data=text, namespace=namespaces.ROLES), BOTH)
    assert found.value.code == "roles_signer"
    with pytest.raises(CommandFault) as fault:
        checked(*signers)
    assert fault.value.code == "command_signer"


@pytest.mark.parametrize("two", list(itertools.permutations(PEOPLE, 2)))
def test_any_two_sign_in_any_order(made: bytes, two: tuple[SigningKey, SigningKey]) -> None:
    assert keylist.read(made, by(*two, data=made, namespace=namespaces.KEY_LIST), BOTH).version == 1
    text = document.encode(Roles(version=1, people=[], purposes=[]))
    assert roles.check(text, by(*two, data=text, namespace=namespaces.ROLES), BOTH).version == 1
    assert checked(*two).verb == "roles"


def test_one_persons_signature_twice_is_one_person(made: bytes) -> None:
    with pytest.raises(keylist.NotSigned, match="signed already"):
        keylist.read(made, by(PEOPLE[0], PEOPLE[0], data=made, namespace=namespaces.KEY_LIST), BOTH)


def checked(*signers: SigningKey, people: Roles | None = None) -> Command:
    told = Command(unit=UNIT, verb="roles", role="authority", counter=1, expires="2026-12-01T00:00:00.000Z")
    data = envelopes.seal(told, lambda text: sshsig.sign(text, signers[0], namespaces.COMMAND))
    for key in signers[1:]:
        data = envelopes.cosign(data, lambda text, key=key: sshsig.sign(text, key, namespaces.COMMAND))
    return envelopes.check(data, UNIT, BOTH, people, Counters(), 0)


def test_a_cosigner_of_another_role_is_no_second_authority() -> None:
    officer = Roles(version=1, people=[Person("Kim", "vault", keys.public_line(STRANGER.public_key()))], purposes=[])
    with pytest.raises(CommandFault, match="2 of 3 are needed"):
        checked(PEOPLE[0], STRANGER, people=officer)
    assert checked(PEOPLE[0], PEOPLE[2], STRANGER, people=officer).role == "authority"


def test_each_signature_is_good_for_stock_ssh_keygen(made: bytes, tmp_path: Path) -> None:
    """Signatures by stock ssh-keygen, one after the other, are accepted too."""
    (tmp_path / "keylist.json").write_bytes(made)
    for number, key in enumerate(PEOPLE, 1):
        (tmp_path / f"key{number}").write_bytes(keys.unit_key_file(key))
        (tmp_path / f"key{number}").chmod(0o600)
    (tmp_path / "signers").write_text("".join(f"authority {line}\n" for line in LINES))
    script = """
        for n in 1 3; do ssh-keygen -q -Y sign -n linetap-keylist -f key$n < keylist.json > part.$n.sig; done
        cat part.1.sig part.3.sig > keylist.json.sig
        csplit -sz -f one. keylist.json.sig '/BEGIN SSH SIGNATURE/' '{*}'
        for s in one.*; do
            ssh-keygen -Y verify -f signers -I authority -n linetap-keylist -s $s < keylist.json
        done"""
    done = run(["bash", "-ec", script], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"Good") == 2
    assert keylist.read(made, (tmp_path / "keylist.json.sig").read_bytes(), BOTH).version == 1


def test_a_unit_is_made_with_it_and_takes_only_what_two_have_signed(tmp_path: Path) -> None:
    (tmp_path / "authority.pub").write_text(BOTH.text())
    for number, key in enumerate(PEOPLE, 1):
        (tmp_path / f"key{number}").write_bytes(keys.unit_key_file(key))
    words = ["keygen", "epochs", "--from", "2026-12-01", "--days", "3", "--all-on-one-medium", str(tmp_path / "media")]
    listed = tmp_path / "keylist.json"
    words += ["--authority", str(tmp_path / "key1"), "--authority", str(tmp_path / "key3"), "-o", str(listed)]
    assert cli.main(words) == 0
    some = [keys.new_identity().recipient for _ in range(2)]
    init = ["config", "init", UNIT, "--lines", "8", "--custodian", some[0], "--epoch", some[1], "--board", "simulated"]
    init += [
        "--authority",
        str(tmp_path / "authority.pub"),
        "--key-list",
        str(listed),
        "-o",
        str(tmp_path / "unit.toml"),
    ]
    assert cli.main(init) == 0
    config = check_config(tmp_path / "unit.toml")
    assert (len(config.keys.authority_lines), config.keys.authority_needed) == (3, 2)
    signature = signedfile.signature_of(listed)
    alone = sshsig.sign(listed.read_bytes(), PEOPLE[0], namespaces.KEY_LIST)
    signature.write_text(alone)
    with pytest.raises(BadInput, match="signed by 1 of the authority's keys, 2 of 3 are needed"):
        check_config(tmp_path / "unit.toml")


def test_a_desk_keeps_the_authority_it_began_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, other = tmp_path / "authority.pub", tmp_path / "other.pub"
    path.write_text(BOTH.text())
    other.write_text(authority.from_lines(LINES, 1).text())  # the same people, with one signature sufficient
    text = document.encode(Roles(version=1, people=[], purposes=[]))
    file = tmp_path / "roles.json"
    file.write_bytes(text)
    signature = file.with_name("roles.json.sig")
    signature.write_bytes(by(PEOPLE[1], data=text, namespace=namespaces.ROLES))
    use = ["roles", "use", str(file), "--desk", str(tmp_path / "desk"), "--authority"]
    assert cli.main([*use, str(path)]) == 1
    assert not (tmp_path / "desk").exists()
    signature.write_bytes(by(PEOPLE[1], PEOPLE[0], data=text, namespace=namespaces.ROLES))
    assert cli.main([*use, str(path)]) == 0
    assert deskfolder.read_authority(tmp_path / "desk" / "authority.pub") == BOTH
    capsys.readouterr()
    assert cli.main([*use, str(other)]) == 1
    assert "authority_differs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{0}\n{1}\n", "2 keys: a first line"),
        ("# 2 of 3\n{0}\n{1}\n", "there are 2 keys"),
        ("# 3 of 2\n{0}\n{1}\n", "1 to 2 expected"),
        ("# 2 of 2\n{0}\n{0}\n", "twice"),
        ("# 1 of 9\n{0}\n{1}\n{2}\n{0}\n{0}\n{0}\n{0}\n{0}\n{0}\n", "1 to 8"),
        ("", "not an authority's public key"),
        ("# 2 of 2\n{0}\nssh-rsa AAAA\n", "not an authority's public key"),
    ],
)
def test_an_authority_that_nobody_could_be_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        authority.from_text(text.format(*LINES))


def test_its_text_is_read_back() -> None:
    for whole in (BOTH, authority.from_lines(LINES[0]), authority.from_lines(LINES, 3)):
        assert authority.from_text(whole.text()) == whole
    assert isinstance(authority.of(PEOPLE[0].public_key()), Authority)
    assert msgspec.json.encode(LINES)  # stored unchanged in unit.toml
