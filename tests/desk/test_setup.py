# SPDX-License-Identifier: Apache-2.0
"""`linetap desk setup` without changes to the machine; tests/deb/test_install.py tests the whole."""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.enrolment.request import PkiFault
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_desk.config import desk as desksettings
from linetap_desk.config import pages
from linetap_desk.pki import authority
from linetap_desk.setup import answers, certificates, command, machine, options, services
from linetap_desk.setup.answers import Answers
from pki_rig import DAY_NS, openssl

NAME = "desk.city.example"
NOW_NS = parse_rfc3339("2026-11-24T01:00:00Z")
ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "systemd/mosquitto"
FOLDERS = (ROOT / "firmware/debian/linetap-desk.tmpfiles").read_text().splitlines()


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_setup_action(parser.add_subparsers())
    return parser.parse_args(["setup", *words])


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """The answers of a setup with all paths in a folder of the test, owned by the test's own user."""
    monkeypatch.setattr(machine, "FOLDER", tmp_path / "etc")
    monkeypatch.setattr(machine, "MOSQUITTO_FILES", tmp_path / "mosquitto")
    monkeypatch.setattr(certificates, "set_owner", lambda path, _user, _group, mode: path.chmod(mode))
    for folder in (machine.FOLDER, machine.MOSQUITTO_FILES):
        folder.mkdir()
    return Answers(name=NAME, addresses=("10.20.0.5",), domain="city.example", pki=tmp_path / "pki")


def made(given: Answers, clock: ManualClock) -> list[str]:
    said: list[str] = []
    certificates.renew_certificates(given, clock, said.append)
    return said


def test_certificates_are_those_that_openssl_takes(given: Answers) -> None:
    made(given, ManualClock(NOW_NS))
    trusted = ["-attime", str(NOW_NS // 10**9), "-CAfile", str(machine.FOLDER / "ca.pem"), "-crl_check"]
    trusted += ["-CRLfile", str(machine.FOLDER / "crl.pem"), "-x509_strict"]
    for name in (NAME, "10.20.0.5", machine.LOOPBACK):
        kind = "-verify_hostname" if name == NAME else "-verify_ip"
        for path in (machine.MOSQUITTO_FILES / "broker.pem", machine.FOLDER / "serve-tls.pem"):
            ended = openssl("verify", *trusted, "-purpose", "sslserver", kind, name, str(path))
            assert ended.returncode == 0, ended.stderr
    for one in certificates.server_certificates(given):
        mode = one.path.with_suffix(".key").stat().st_mode & 0o777
        assert mode == (0o640 if one.group else 0o600), one.path


def test_a_renewal_keeps_the_addresses_by_which_units_find_the_broker(given: Answers) -> None:
    """The doctor's cure for a certificate near its end is `linetap desk setup`, without --address."""
    made(given, ManualClock(NOW_NS))
    plain = msgspec.structs.replace(given, addresses=())
    assert made(plain, ManualClock(NOW_NS)) == []
    assert made(plain, ManualClock(NOW_NS + 350 * DAY_NS))
    assert names_of(machine.MOSQUITTO_FILES / "broker.pem") == {NAME, "10.20.0.5", machine.LOOPBACK}


def test_a_further_address_makes_another_certificate_of_the_broker_and_the_pages(given: Answers) -> None:
    made(given, ManualClock(NOW_NS))
    more = msgspec.structs.replace(given, addresses=("mqtt.city.example",))
    said = made(more, ManualClock(NOW_NS))
    assert [Path(line.partition(":")[0]).name for line in said if "certificate of" in line] == [
        "serve-tls.pem", "broker.pem",
    ]  # fmt: skip
    for path in (machine.MOSQUITTO_FILES / "broker.pem", machine.FOLDER / "serve-tls.pem"):
        assert names_of(path) == {NAME, "mqtt.city.example", "10.20.0.5", machine.LOOPBACK}
    assert made(more, ManualClock(NOW_NS)) == []


def names_of(path: Path) -> set[str]:
    made = x509.load_pem_x509_certificate(path.read_bytes())
    return {str(name.value) for name in made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value}


def test_a_second_time_makes_none_and_the_end_of_one_makes_all_anew(given: Answers) -> None:
    assert made(given, ManualClock(NOW_NS))
    key = (machine.FOLDER / "ingest-tls.key").read_bytes()
    assert made(given, ManualClock(NOW_NS + 300 * DAY_NS)) == []
    assert (
        len(made(given, ManualClock(NOW_NS + 350 * DAY_NS))) == len(certificates.server_certificates(given)) + 2
    )  # and crl.pem, twice
    assert (machine.FOLDER / "ingest-tls.key").read_bytes() != key


def test_a_renewal_that_a_power_cut_ended_is_made_anew(given: Answers) -> None:
    """The key is renamed first; its certificate is still the old one."""
    made(given, ManualClock(NOW_NS))
    key = machine.FOLDER / "serve-tls.key"
    key.write_bytes((machine.FOLDER / "pages-tls.key").read_bytes())
    assert f"{key.with_suffix('.pem')}: certificate of broker:{NAME}" in made(given, ManualClock(NOW_NS))
    assert made(given, ManualClock(NOW_NS)) == []


@pytest.mark.usefixtures("given")
def test_a_key_that_a_power_cut_left_without_its_owner_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    owners: list[str] = []
    monkeypatch.setattr(command, "set_owner", lambda path, user, *_: owners.append(f"{path.name} {user}"))
    monkeypatch.setattr(command, "write_file", lambda path, data: path.write_bytes(data))
    assert command._make_key("desk.key")
    made = (machine.FOLDER / "desk.key").read_bytes()
    (machine.FOLDER / "desk.key.pub").unlink()
    assert command._make_key("desk.key")
    assert not command._make_key("desk.key")
    assert (machine.FOLDER / "desk.key").read_bytes() == made
    assert owners == [f"desk.key {machine.DESK}"] * 2
    assert keys.public_line(keys.load_unit_key(made).public_key()) in (machine.FOLDER / "desk.key.pub").read_text()


def test_without_the_authoritys_medium_nothing_is_made_up(given: Answers, tmp_path: Path) -> None:
    made(given, ManualClock(NOW_NS))
    given.pki.rename(tmp_path / "away")
    assert made(given, ManualClock(NOW_NS)) == []
    (machine.FOLDER / "pages-tls.pem").unlink()
    with pytest.raises(BadInput, match=r"pki: there is no ca\.key: bring the authority's medium"):
        made(given, ManualClock(NOW_NS))
    assert not given.pki.exists()


def test_an_authority_of_another_network_has_the_broker_called_by_its_name(given: Answers) -> None:
    authority.make(given.pki, "city", ["city.example"], [], ManualClock(NOW_NS))
    with pytest.raises(PkiFault, match=r"^10\.20\.0\.5: this authority was made for city\.example \["):
        made(given, ManualClock(NOW_NS))  # 10.20.0.5 is not its own
    named = Answers(name=NAME, domain="city.example", pki=given.pki)
    made(named, ManualClock(NOW_NS))
    assert certificates.broker_host(named) == NAME
    found = x509.load_pem_x509_certificate((machine.MOSQUITTO_FILES / "broker.pem").read_bytes())
    assert "127.0.0.1" not in str(found.extensions)


@pytest.mark.parametrize("database", machine.DATABASES)
def test_ingest_and_pages_read_its_configuration(given: Answers, tmp_path: Path, database: str) -> None:
    made(given, ManualClock(NOW_NS))
    text = command.config_text(
        Answers(name=NAME, domain="city.example", database=database), certificates.broker_host(given)
    )
    (tmp_path / "etc/desk.toml").write_text(text)
    assert pages.read_settings(tmp_path / "etc/desk.toml").desk.outgoing is None
    with_roles = re.sub("^# (outgoing|roles|authority) = ", r"\1 = ", text, flags=re.MULTILINE)
    (tmp_path / "etc/desk.toml").write_text(with_roles)
    settings = pages.read_settings(tmp_path / "etc/desk.toml")
    assert (settings.url, settings.desk.broker.host) == (f"https://{NAME}:8443", "127.0.0.1")
    assert settings.desk.copy is not None
    for folder in (settings.desk.outgoing, settings.desk.copy.holds):  # the pages complete a hold and an overflow call
        assert f"d {folder} 2770 {machine.PAGES} {machine.DESK} -" in FOLDERS
    ingest = argparse.Namespace(
        config=tmp_path / "etc/desk.toml", broker=None, signers=None, db=None, key=None, client_id=None, copy=None
    )
    assert desksettings.ingest_settings(ingest).db.startswith(database)


def test_the_acl_has_this_desks_names_and_no_example() -> None:
    text = services.acl_of((SHIPPED / "acl").read_text())
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    at = rules.index("user desk:ingest")
    assert rules[at : at + 3] == ["user desk:ingest", "topic read linetap/v1/#", "topic write linetap/v1/+/cmd/+"]
    at = rules.index("user desk:send")
    assert rules[at : at + 3] == ["user desk:send", "topic read linetap/v1/+/reply/+", "topic write linetap/v1/+/cmd/+"]
    at = rules.index("user desk:doctor")
    assert rules[at:] == ["user desk:doctor", "topic read linetap/v1/#"]
    assert "seoul" not in text


def test_what_is_missing_is_named_where_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(BadInput, match=r"--name: .* desk\.city\.example expected"):
        answers.from_options(asked(), None)
    with pytest.raises(BadInput, match=r"--admin: .* kim expected"):
        answers.from_options(asked("--name", NAME), None)
    for wrong in (("--name", "10.0.0.1"), ("--name", "Desk!"), ("--name", NAME, "--address", "a b")):
        with pytest.raises(BadInput):
            answers.from_options(asked(*wrong, "--admin", "kim"), None)
    found = answers.from_options(asked("--name", NAME, "--admin", "kim"), None)
    assert (found.domain, found.shown) == ("city.example", "kim")


@pytest.mark.parametrize(("name", "domain"), [("desk.a.b.c", "a.b.c"), ("desk.city", "desk.city"), ("desk", "desk")])
def test_the_authority_speaks_for_the_domain(name: str, domain: str) -> None:
    assert answers.from_options(asked("--name", name, "--admin", "kim"), None).domain == domain


def test_a_desk_that_is_there_keeps_its_name_and_its_broker(tmp_path: Path) -> None:
    text = command.config_text(Answers(name=NAME, domain="city.example"), "mqtt.city.example")
    (tmp_path / "desk.toml").write_text(text)
    found = desksettings.read_config(argparse.Namespace(config=tmp_path / "desk.toml", broker=None))[0]
    again = answers.from_options(asked(), found)
    assert (again.name, again.broker, again.admin) == (NAME, "mqtt.city.example", None)
    with pytest.raises(BadInput, match="change it there"):
        answers.from_options(asked("--name", "other.city.example"), found)


@pytest.mark.parametrize("words", [
    ("--database", "postgresql"), ("--store", "/srv/other"), ("--broker", "mqtt.city.example"),
    ("--name", "other.city.example"),
])  # fmt: skip
def test_an_option_that_a_desk_that_is_there_does_not_have_is_refused(tmp_path: Path, words: tuple[str, str]) -> None:
    """An option that is ignored lets the administrator believe in a database, a store or a broker that is not used."""
    (tmp_path / "desk.toml").write_text(command.config_text(Answers(name=NAME, domain="city.example"), "127.0.0.1"))
    found = desksettings.read_config(argparse.Namespace(config=tmp_path / "desk.toml", broker=None))[0]
    with pytest.raises(BadInput, match=f"^{' '.join(words)}: "):
        answers.from_options(asked(*words), found)


@pytest.mark.parametrize("where", ["etc", "pki"])
def test_another_domain_than_the_authority_was_made_for_is_refused(given: Answers, tmp_path: Path, where: str) -> None:
    """Of an authority on this server, or of one on a medium before this server has its certificate."""
    made(given, ManualClock(NOW_NS))
    pki = given.pki
    if where == "pki":
        (machine.FOLDER / "ca.pem").unlink()
    else:
        pki = tmp_path / "not-mounted"
    found = _desk_of(given, tmp_path) if where == "etc" else None
    words = ("--name", NAME, "--admin", "kim", *(("--pki", str(pki)) if where == "pki" else ()))
    path = tmp_path / where / "ca.pem"
    with pytest.raises(BadInput) as refused:
        answers.from_options(asked(*words, "--domain", "town.example"), found)
    text = f"--domain town.example: the authority {path} is for city.example and stays so; leave the option out"
    assert str(refused.value) == text
    assert answers.from_options(asked(*words, "--domain", "City.Example"), found).name == NAME


def test_a_damaged_certificate_of_the_authority(given: Answers, tmp_path: Path) -> None:
    (machine.FOLDER / "ca.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(BadInput, match=r"ca\.pem: not a certificate of an authority in PEM$"):
        answers.from_options(asked("--domain", "city.example"), _desk_of(given, tmp_path))


def test_a_shown_name_of_nobody_is_refused(given: Answers, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^--shown 김민지: --admin with the login name of that person is missing$"):
        answers.from_options(asked("--shown", "김민지"), _desk_of(given, tmp_path))


def test_another_shown_name_of_an_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "run_checked", lambda *_: "park\t박지훈\tvault\nkim\t김민지\tofficer\tpassword\topen")
    with pytest.raises(BadInput, match=r"^--shown 김민수: kim has an account, which is shown as 김민지 and stays so$"):
        services.invite("kim", "김민수")
    for shown in ("kim", "김민지"):
        assert services.invite("kim", shown).startswith("kim: has an account; another link: ")


def test_a_relative_folder_of_the_copies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The services have another working directory, and a URL needs an absolute path."""
    monkeypatch.chdir(tmp_path)
    words = ("--name", NAME, "--admin", "kim", "--store", "copies")
    assert answers.from_options(asked(*words), None).store == tmp_path / "copies"


def test_the_options_that_made_a_desk_may_be_given_again(tmp_path: Path) -> None:
    words = ("--name", NAME, "--database", "postgresql", "--store", "/srv/other")
    first = answers.from_options(asked(*words, "--admin", "kim"), None)
    (tmp_path / "desk.toml").write_text(command.config_text(first, "127.0.0.1"))
    found = desksettings.read_config(argparse.Namespace(config=tmp_path / "desk.toml", broker=None))[0]
    assert answers.from_options(asked(*words), found).name == NAME


def test_a_folder_of_the_authority_that_has_none_is_refused(given: Answers, tmp_path: Path) -> None:
    """A medium that is not mounted: nothing of it would be copied, and a revocation not be in force."""
    with pytest.raises(BadInput, match=r"^--pki /nowhere: "):
        answers.from_options(asked("--pki", "/nowhere"), _desk_of(given, tmp_path))
    assert answers.from_options(asked(), _desk_of(given, tmp_path)).pki == machine.PKI


def _desk_of(given: Answers, folder: Path) -> desksettings.DeskConfig:
    (folder / "desk.toml").write_text(command.config_text(given, machine.LOOPBACK))
    return desksettings.read_config(argparse.Namespace(config=folder / "desk.toml", broker=None))[0]
