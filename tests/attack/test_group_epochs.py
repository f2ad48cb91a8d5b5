# SPDX-License-Identifier: Apache-2.0
"""Vault officers as a group: any two of three open a day and search its index, one alone opens and destroys nothing,
and a day is closed when fewer are left than required.
"""

from __future__ import annotations

import io
import json
import re
import sys
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from epoch_desk import DAY, Desk
from linetap.provision import pack
from linetap.recorder.vault.commands import certificates
from linetap.recorder.vault.commands.certificates import Certificate
from linetap_core import cli
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import index, sealed
from linetap_core.evidence.calls.index import Entry
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import group, keylist, members
from linetap_core.evidence.sealing.keylist import KeyList
from linetap_core.evidence.signing import sshsig
from linetap_core.tomlfile.source import MAX_BYTES
from linetap_desk.ceremony import keygen
from linetap_desk.searching import indexsearch
from sealing_rig import CALL_ID, UNIT, run

LATE = "2026-12-03T15:00:00.001Z"  # more than 24 h after the first day and the second
GROUP = ("--officers", 3, "--needed", 2)
TWO = [(1, 2), (1, 3), (2, 3)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.make(tmp_path, 3, *GROUP)


def opens(desk: Desk, call_dir: Path, *officers: int) -> bool:
    """Whether the stock recipe opens the epoch's layer."""
    files = [path for path in desk.officers_keys(DAY, *officers)[: len(officers)] if path.exists()]
    if len(files) < 2:
        return False
    recipe = f"tar xOf {call_dir}/key.age {officers[0]}.age | age -d -i {files[0]} | age -d -i {files[1]}"
    inner = run(["bash", "-o", "pipefail", "-c", recipe]).stdout
    return inner.startswith(b"age-encryption.org/v1\n")


def test_any_two_officers_open_a_day_and_none_alone(desk: Desk) -> None:
    call = desk.call(DAY)
    assert all(opens(desk, call, *two) for two in TWO)
    key = (call / sealed.KEY).read_bytes()
    for officer in (1, 2, 3):
        with pytest.raises(Refusal):
            group.open_whole(key, partial(indexsearch.decrypt_segment, identities=desk.officers_keys(DAY, officer)))


def lay_index(desk: Desk) -> None:
    found: KeyList = keylist.sound(desk.key_list.read_bytes())
    path = desk.rig.vault / index.FOLDER / DAY / index.segment_name("2026-11-24", 1)
    path.parent.mkdir(parents=True)
    entry = Entry(call_id=CALL_ID, unit=UNIT, line=3, at="2026-11-24T22:56:00.123Z", number="01012345678")
    path.write_bytes(group.seal(index.encode([entry]), found.epochs[0].index))


@pytest.mark.parametrize("in_process", [True, False])
def test_two_officers_search_and_one_finds_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_process: bool
) -> None:
    if not in_process:
        monkeypatch.setattr(indexsearch, "pyrage", None)
    lay_index(desk)
    words = ["find", "--number", "5678", str(desk.rig.vault)]
    identities = [["--identity", str(desk.media / f"officer-{officer}")] for officer in (1, 2, 3)]
    assert cli.main([*words, *identities[2], *identities[0]]) == 0
    assert CALL_ID in capsys.readouterr().out
    assert cli.main([*words, *identities[1]]) == 1
    assert f"does not open: {DAY}" in capsys.readouterr().err


def test_a_day_is_closed_when_too_few_are_left(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    call = desk.call(DAY)
    assert desk.destroy(DAY, media=desk.officers_keys(DAY, 2)) == 0
    assert "2 of 3 officers have their keys, and 2 open it" in capsys.readouterr().out
    assert opens(desk, call, 1, 3)
    assert not opens(desk, call, 1, 2)
    assert desk.overdue(at=LATE) == 1
    assert f"{DAY} ended at 2026-12-01T15:00Z: no certificate of officer 1, 3; 2 of 3" in capsys.readouterr().out
    assert desk.destroy(DAY, media=desk.officers_keys(DAY, 3)) == 0
    assert not any(opens(desk, call, *two) for two in TWO)
    desk.overdue(at=LATE)
    assert "no certificate of officer 1; nothing opens it" in capsys.readouterr().out
    assert desk.destroy(DAY, media=desk.officers_keys(DAY, 1)) == 0
    assert "of officer 1; nothing opens it" in capsys.readouterr().out
    desk.overdue(at=LATE)
    assert DAY not in capsys.readouterr().out
    said = json.loads((desk.certificates / f"{DAY}.officer-3.destroyed.json").read_text())
    assert (said["officers"], said["of"], said["needed"], len(said["canaries"])) == ([3], 3, 2, 2)
    assert desk.signature_is_good(desk.certificates / f"{DAY}.officer-3.destroyed.json", "linetap-certificate")


def test_a_certificate_that_names_no_officer_ends_no_day(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.destroy(DAY, media=desk.officers_keys(DAY, 2)) == 0
    path = desk.certificates / f"{DAY}.officer-2.destroyed.json"
    data = json.dumps(json.loads(path.read_text()) | {"officers": []}).encode()
    officer = keys.load_unit_key((desk.folder / "officer.key").read_bytes())
    path.write_bytes(data)
    path.with_name(f"{path.name}.sig").write_text(sshsig.sign(data, officer, "linetap-certificate"))
    capsys.readouterr()
    assert desk.overdue(at=LATE) == 1
    assert "no certificate of officer 1, 2, 3; 3 of 3" in capsys.readouterr().out


def test_all_officers_at_one_table_make_one_certificate(desk: Desk) -> None:
    assert desk.destroy(DAY, media=desk.officers_keys(DAY, 1, 2, 3)) == 0
    said = json.loads((desk.certificates / f"{DAY}.destroyed.json").read_text())
    assert (said["officers"], len(said["canaries"])) == ([1, 2, 3], 6)


def test_an_officer_destroys_both_keys_and_nobody_elses(desk: Desk) -> None:
    with pytest.raises(Refusal, match=rf"{DAY}\.index\.officer-2\.age: no medium opens it"):
        desk.destroy(DAY, media=desk.officers_keys(DAY, 2)[:1])
    with pytest.raises(Refusal, match="the key of another epoch"):
        desk.destroy(DAY, "--officer", 1, media=desk.officers_keys(DAY, 1, 2))
    with pytest.raises(BadInput, match="whose sheets they are"):
        desk.destroy(DAY, "--sheets", 2, media=[])
    with pytest.raises(BadInput, match="1 to 3 expected"):
        desk.destroy(DAY, "--officer", 4, media=desk.officers_keys(DAY, 2))
    assert not list(desk.certificates.glob("*.json"))
    assert all(path.exists() for path in desk.officers_keys(DAY, 1, 2, 3))


def test_an_officers_sheets_are_typed_and_confirmed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [path.read_text().splitlines()[-1] for path in desk.officers_keys(DAY, 2)]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in [*secrets, DAY, DAY])))
    assert desk.destroy(DAY, "--officer", 2, "--sheets", 2, media=[]) == 0
    said = json.loads((desk.certificates / f"{DAY}.officer-2.destroyed.json").read_text())
    assert (said["sheets"], said["copies"], said["officers"]) == (2, 2, [2])


def test_each_officer_has_sheets_of_their_own(tmp_path: Path) -> None:
    words = ["keygen", "epochs", "--from", DAY, "--days", "2", "--officers", "3", "--needed", "2"]
    text = run(["sh", "-c", f"{sys.executable} -m linetap {' '.join(words)} | cat"], cwd=tmp_path).stdout.decode()
    heads = [sheet.splitlines()[0] for sheet in text.split("\f")[:-1]]
    names = (DAY, "2026-12-02", "overflow-2")
    assert heads == [
        f"linetap  EPOCH {name}    COPY {copy} OF 2    OFFICER {officer}, 2 OF 3 OPEN"
        for officer in (1, 2, 3) for copy in (1, 2) for name in names
    ]  # fmt: skip
    assert all(len(line) <= 80 for line in text.splitlines())
    secrets = re.findall("AGE-SECRET-KEY-1[0-9A-Z]+", text)
    assert (len(secrets), len(set(secrets))) == (30, 15)
    assert f"linetap epoch destroy {DAY} --sheets 2 --officer 3" in text


def test_officers_make_their_keys_alone_and_the_lists_are_merged(tmp_path: Path) -> None:
    """No dealer: no person and no machine had two people's keys."""
    lists = []
    for officer in (1, 2, 3):
        home = tmp_path / f"home-{officer}"
        home.mkdir()
        words = [
            "--from",
            DAY,
            "--days",
            "3",
            "--all-on-one-medium",
            str(home / "media"),
            "-o",
            str(home / "list.json"),
        ]
        assert cli.main(["keygen", "epochs", *words]) == 0
        lists.append(home / "list.json")
    merged = tmp_path / "keylist.json"
    words = ["keygen", "epochs", "--merge", *map(str, lists), "--needed", "2", "-o", str(merged)]
    assert cli.main(words) == 0
    found = keylist.sound(merged.read_bytes())
    assert members.parse(found.epochs[0].recipient).in_words() == "2 of 3"
    data = group.seal(b"x", found.epochs[2].recipient)
    mine = [tmp_path / f"home-{officer}" / "media" / f"{found.epochs[2].day}.txt" for officer in (1, 3)]
    assert indexsearch.decrypt_segment(data, mine) == b"x"
    assert len(list((tmp_path / "canary").glob(f"{DAY}.*"))) == 6
    other = tmp_path / "home-3" / "more.json"
    assert cli.main(["keygen", "epochs", "--extend", str(lists[2]), "--days", "1", "--all-on-one-medium",
                     str(tmp_path / "home-3" / "media"), "-o", str(other)]) == 0  # fmt: skip
    assert cli.main(["keygen", "epochs", "--merge", str(lists[0]), str(other), "--needed", "2"]) == 2


def test_a_list_of_groups_is_refused_by_whoever_knows_none() -> None:
    """An earlier version reads `recipient` as one key: it must not find one, and keeps the list in use."""
    from linetap_core.evidence.keys import publickeys

    with pytest.raises(BadInput):
        publickeys.decode_recipient("2:age1x,age1y")


def test_a_list_with_one_key_twice_in_its_groups_is_refused(desk: Desk) -> None:
    found: KeyList = keylist.sound(desk.key_list.read_bytes())
    first, second = found.epochs[:2]
    stolen = members.parse(first.recipient).recipients[0]
    mixed = members.Group((stolen, *members.parse(second.recipient).recipients[1:]), 2)
    bad = msgspec.structs.replace(
        found, epochs=[first, msgspec.structs.replace(second, recipient=str(mixed)), *found.epochs[2:]]
    )
    with pytest.raises(keylist.UsedTwice):
        keylist.sound(keylist.encode(bad))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Certificate(DAY, [], 1, 1), "have to be named"),  # one officer claims that there was one key
        (Certificate(DAY, [4], 4, 2), "1 to 3"),
    ],
)
def test_one_officers_certificate_cannot_say_that_there_were_no_others(found: Certificate, why: str) -> None:
    known = members.Group(("a", "b", "c"), 2)
    with pytest.raises(ValueError, match=why):
        certificates.sound_certificate(found, known)


def test_the_unit_counts_the_officers_of_its_own_list(tmp_path: Path) -> None:
    known = members.Group(("a", "b", "c"), 2)
    one = certificates.sound_certificate(Certificate(DAY, [2], 3, 3), known)  # with `needed` 3 one would suffice
    assert certificates.still_open(tmp_path, one) == f"2 of 3 officers have their keys of epoch {DAY}, and 2 open it"
    (tmp_path / certificates.certificate_name(one)).write_bytes(b"{}")
    again = certificates.sound_certificate(Certificate(DAY, [2, 2]), known)
    assert certificates.still_open(tmp_path, again) is not None
    other = certificates.sound_certificate(Certificate(DAY, [1]), known)
    assert certificates.still_open(tmp_path, other) is None
    everybody = certificates.sound_certificate(Certificate(DAY, [1, 2, 3]), known)
    assert certificates.certificate_name(everybody) == f"{DAY}.json"
    assert certificates.still_open(tmp_path, certificates.sound_certificate(Certificate(DAY), None)) is None


def test_a_list_that_needs_fewer_people_states_it(desk: Desk) -> None:
    """Such a change requires two signatures of different roles, because it weakens."""
    old: KeyList = keylist.sound(desk.key_list.read_bytes())
    output = desk.folder / "next.json"
    words = ["--extend", desk.key_list, "--days", 2, "--overflow", 3, "--all-on-one-medium", desk.folder / "more"]
    desk.run(keygen, "epochs", *words, "-o", output)
    new = keylist.sound(output.read_bytes())
    assert keylist.needs_fewer(new, old) == [
        "days from 2026-12-04 on 2 of 3 -> 1 of 1",
        "overflow from overflow-3 on 2 of 3 -> 1 of 1",
    ]
    assert keylist.needs_fewer(old, old) == []
    three = [keys.new_identity().recipient for _ in range(3)]
    held = msgspec.structs.replace(old, custodians=[f"2:{','.join(three)}"])
    assert keylist.needs_fewer(held, old) == []
    one = msgspec.structs.replace(old, custodians=three)
    assert keylist.needs_fewer(one, held) == ["custodians 2 of 3 -> 1 of 3"]
    assert keylist.needs_fewer(old, held) == ["custodians 2 of 3 -> as the unit's configuration has them"]


def test_extending_a_list_without_new_keys_keeps_its_groups(desk: Desk) -> None:
    output = desk.folder / "next.json"
    desk.run(keygen, "epochs", "--extend", desk.key_list, "--days", 0, "-o", output)
    before, after = keylist.sound(desk.key_list.read_bytes()), keylist.sound(output.read_bytes())
    assert after.epochs == before.epochs


def test_the_list_of_a_group_of_five_for_two_years_fits_onto_a_card(tmp_path: Path) -> None:
    """It is four times as long as that of one officer."""

    def five() -> str:
        return f"2:{','.join(keys.new_identity().recipient for _ in range(5))}"

    first = date(2026, 12, 1)
    days = [keylist.Epoch((first + timedelta(days=n)).isoformat(), five(), five()) for n in range(765)]
    made = KeyList(
        version=1, made_at="2026-11-28T00:00:00.000Z", zone="Asia/Seoul", epochs=days,
        overflow=[keylist.Overflow(2, five())], custodians=[],
    )  # fmt: skip
    (tmp_path / "keylist.json").write_bytes(keylist.encode(made))
    text = pack._text(tmp_path / "keylist.json")
    assert keylist.sound(text.encode()) == made
    assert len(text) < MAX_BYTES // 2
