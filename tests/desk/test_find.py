# SPDX-License-Identifier: Apache-2.0
"""`linetap find`: by number, time and line, with the keys; and its message about segments that it could not open."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from epoch_rig import Authority
from linetap_core import cli
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.calls import amendment, index, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.calls.index import Entry
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.evidence.sealing.keylist import KeyList
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.searching import find, indexsearch
from release_rig import Desk
from sealing_rig import run

NUMBER = "01012345678"
NOON = "20261124T040000.000Z"  # 13:00 in Seoul


@dataclass
class Vaults:
    """A desk's copy of a vault with an index of three days of expiry, and the keys."""

    folder: Path
    authority: Authority
    key_list: KeyList

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    def lay(self, epoch: str, day: str, *entries: Entry, name: str = "", number: int = 1) -> Path:
        named = {each.day: each.index for each in self.key_list.epochs} | {
            "overflow-2": self.key_list.overflow[0].recipient
        }
        path = self.vault / index.FOLDER / (name or epoch) / index.segment_name(day, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(age.encrypt(index.encode(entries), [named[epoch]]))
        return path

    def keys(self, *epochs: str) -> Path:
        """A folder as made by `keygen epochs --all-on-one-medium`: it also contains the calls' keys."""
        folder = self.folder / "medium"
        folder.mkdir(exist_ok=True)
        for epoch in epochs:
            for name in {epoch, epoch if epoch.startswith("overflow") else f"{epoch}.index"}:
                self.authority.identity(name).rename(folder / f"{name}.txt")
        return folder

    def find(self, *words: object, number: str = NUMBER, beside: Path | None = None) -> int:
        """`beside`: another vault."""
        folders = [self.vault] if beside is None else [self.vault, beside]
        return cli.main(["find", "--number", number, *map(str, [*folders, *words])])


@pytest.fixture
def vaults(tmp_path: Path) -> Vaults:
    authority = Authority(tmp_path)
    found = Vaults(tmp_path, authority, authority.make("2027-01-22", 3))
    found.vault.mkdir()
    return found


@pytest.fixture(autouse=True)
def nobodys_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LINETAP_DESK", raising=False)


def call(at: str = NOON, line: int = 3, number: str = NUMBER, **more: object) -> Entry:
    call_id = f"{at}-L{line:02d}"
    text = sealed.call_time(call_id).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = Entry(call_id=call_id, unit="floor-03", line=line, at=text, direction="in", number=number)
    return msgspec.structs.replace(entry, **more)


def lines(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, object]], list[str]]:
    """Standard output as JSON, and standard error."""
    said = capsys.readouterr()
    err = [line for line in said.err.splitlines() if not line.endswith(": no log")]  # these vaults have none
    return [json.loads(line) for line in said.out.splitlines()], err


def test_a_number_that_afternoon(vaults: Vaults, capsys: pytest.CaptureFixture[str]) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call(), call(line=4, number="0212340000"), call("20261124T093000.000Z", 5))
    folder = vaults.vault / sealed.call_path(f"{NOON}-L03")
    folder.mkdir(parents=True)
    (folder / sealed.RECORD).write_bytes(b"{}")
    keys = vaults.keys("2027-01-23")
    asked = ["--from", "2026-11-24 13:00", "--to", "2026-11-24 18:00", "--identity", keys]
    assert vaults.find(*asked) == 0
    said = capsys.readouterr()
    assert said.out == (f"2026-11-24 13:00:00 KST\tfloor-03\tline 3\t-\t-\tin\t{NUMBER}\t{NOON}-L03\t{folder}\n")
    assert said.err == f"not vouched for: {vaults.vault}: no log\n"
    assert vaults.find("--identity", keys, "--json", number="+82 10-1234-5678") == 0
    found, err = lines(capsys)
    assert [each["line"] for each in found] == [3, 5]
    assert [each["path"] for each in found] == [str(folder), None]
    assert (found[0]["at"], found[0]["local"]) == ("2026-11-24T04:00:00.000Z", "2026-11-24 13:00:00 KST")
    assert err == []
    assert vaults.find("--identity", keys, "--line", 5, number="5678") == 0
    assert "line 5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        ("2026-11-24T04:00:00Z", "2026-11-24T04:00:00Z", 0),
        ("2026-11-24", "2026-11-24", 0),
        ("2026-11-24 13:00:01", "2026-11-24", 1),
        ("2026-11-23", "2026-11-24 12:59", 1),
        ("2026-11-24", "2026-11-24 13:00", 0),
        ("2026-11-25", "2026-11-26", 1),
    ],
)
def test_both_ends_count(vaults: Vaults, first: str, last: str, status: int) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    keys = vaults.keys("2027-01-23")
    assert vaults.find("--from", first, "--to", last, "--identity", keys) == status


def test_a_minute_counts_to_its_last_second(vaults: Vaults) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call("20261124T040059.999Z"))
    keys = vaults.keys("2027-01-23")
    assert vaults.find("--to", "2026-11-24 13:00", "--identity", keys) == 0
    assert vaults.find("--to", "2026-11-24 13:00:59", "--identity", keys) == 1


def test_only_segments_of_these_days_are_opened(vaults: Vaults, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 29):
        vaults.lay("2027-01-23", f"2026-11-{number:02d}", call(f"202611{number:02d}T040000.000Z"))
    opened, decrypt = list[int](), indexsearch.decrypt_segment

    def counted(ciphertext: bytes, identities: list[Path]) -> bytes:
        opened.append(len(ciphertext))
        return decrypt(ciphertext, identities)

    monkeypatch.setattr(indexsearch, "decrypt_segment", counted)
    asked = ["--identity", vaults.keys("2027-01-23"), "--from", "2026-11-14", "--to", "2026-11-14"]
    assert vaults.find(*asked) == 0
    assert len(opened) == 4  # a call ends a day later at most, and days may be of another zone


def test_a_call_that_began_before_midnight_is_in_the_segment_of_the_day_after(vaults: Vaults) -> None:
    vaults.lay("2027-01-24", "2026-11-25", call("20261124T145959.000Z"))
    keys = vaults.keys("2027-01-24")
    assert vaults.find("--from", "2026-11-24 23:59", "--to", "2026-11-24", "--identity", keys) == 0


def test_none_found_is_reported_and_where_nobody_looked(vaults: Vaults, capsys: pytest.CaptureFixture[str]) -> None:
    for day in ("2027-01-22", "2027-01-23", "2027-01-24"):
        vaults.lay(day, "2026-11-24", call(number="0212340000"))
    keys = vaults.keys("2027-01-22", "2027-01-23", "2027-01-24")
    assert vaults.find("--identity", keys) == 1
    certain = "none found. Nothing is kept of calls whose epoch has ended"
    assert lines(capsys)[1] == [certain]
    (keys / "2027-01-22.index.txt").unlink()
    (keys / "2027-01-23.index.txt").unlink()
    assert vaults.find("--identity", keys) == 1
    assert lines(capsys)[1] == [
        "not searched: no key given: 2027-01-22 to 2027-01-23",
        certain.replace("found", "found in the calls that could be searched, which are not all"),
    ]


def test_a_destroyed_index_key_is_said_even_when_something_is_found(
    vaults: Vaults, capsys: pytest.CaptureFixture[str]
) -> None:
    vaults.lay("2027-01-22", "2026-11-23", call("20261123T040000.000Z"))
    vaults.lay("2027-01-23", "2026-11-24", call())
    keys = vaults.keys("2027-01-22", "2027-01-23")
    (keys / "2027-01-22.index.txt").unlink()  # what `epoch destroy` does
    (vaults.vault / "certificates").mkdir()
    (vaults.vault / "certificates/2027-01-22.json").write_bytes(b"{}")
    assert vaults.find("--identity", keys, "--json") == 0
    found, err = lines(capsys)
    assert [each["call_id"] for each in found] == [f"{NOON}-L03"]
    assert err == ["not searched: key destroyed: 2027-01-22"]


def test_a_segment_that_is_damaged_or_anothers_hides_nothing(
    vaults: Vaults, capsys: pytest.CaptureFixture[str]
) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    torn = vaults.lay("2027-01-24", "2026-11-24", call(line=4))
    torn.write_bytes(torn.read_bytes()[:-20])
    other = vaults.lay("2027-01-22", "2026-11-24", call(line=5), name="overflow-2")
    no_index = vaults.lay("2027-01-23", "2026-11-24", number=2)
    no_index.write_bytes(age.encrypt(b"not json\n", [vaults.key_list.epochs[1].index]))
    assert vaults.find("--identity", vaults.keys("2027-01-22", "2027-01-23", "2027-01-24", "overflow-2"), "--json") == 0
    found, err = lines(capsys)
    assert [each["line"] for each in found] == [3]
    assert err == [
        "not searched: damaged: 2027-01-23",
        f"not searched: does not open: 2027-01-24, {other.parent.name}",
    ]


def test_an_overflow_epochs_own_key_opens_both_its_indexes(vaults: Vaults) -> None:
    vaults.lay("overflow-2", "2026-11-24", call())
    vaults.lay("overflow-2", "2026-11-25", call("20261125T040000.000Z"), name="overflow-2.2027-01-24")
    keys = vaults.keys("overflow-2")
    assert vaults.find("--identity", keys, "--from", "2026-11-25") == 0
    assert vaults.find("--identity", keys, "--to", "2026-11-24") == 0
    named = (keys / "overflow-2.txt").rename(vaults.folder / "epoch.txt")  # any other name: it is tried
    assert vaults.find("--identity", named) == 0


def test_a_call_that_stands_there_twice_is_one(vaults: Vaults, capsys: pytest.CaptureFixture[str]) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    vaults.lay("2027-01-23", "2026-11-24", call(extension="2301"), number=2)
    vaults.lay("2027-01-24", "2026-11-24", call(unit="floor-04"))
    keys = vaults.keys("2027-01-23", "2027-01-24")
    assert vaults.find("--identity", keys, "--json", beside=vaults.vault) == 0
    assert [(each["unit"], each["extension"]) for each in lines(capsys)[0]] == [("floor-03", "2301"), ("floor-04", "")]


def test_a_vault_without_an_index_makes_nothing_certain(vaults: Vaults, capsys: pytest.CaptureFixture[str]) -> None:
    assert vaults.find("--identity", vaults.keys("2027-01-23")) == 1
    assert "not searched: no index: " in capsys.readouterr().err


# --- the table --------------------------------------------------------------------------------------------------


def test_the_department_is_that_of_the_day(vaults: Vaults, capsys: pytest.CaptureFixture[str]) -> None:
    table = vaults.folder / "lines.csv"
    table.write_text(
        "\ufeffunit,line,extension,department,from\n"
        'floor-03,3,2301,"민원, 1팀",2026-01-01\n'
        "floor-03,3,2303,Roads,2026-11-24 13:00:01\n"
        "\n"
        "floor-03,3,2302,Water,2026-11-24T04:00:00Z\n"
        "floor-04,3,2304,Parks,2026-01-01\n"
        "floor-03,,2477,Taxes,2026-01-01\n",
        encoding="utf-8",
    )
    vaults.lay(
        "2027-01-23", "2026-11-24", call("20261124T035959.999Z"), call(), call("20261124T040001.000Z"),
        call("20261124T050000.000Z", 8, extension="2477"), call("20261124T060000.000Z", 7),
        call("20251124T040000.000Z"),
    )  # fmt: skip
    assert vaults.find("--identity", vaults.keys("2027-01-23"), "--table", table, "--json") == 0
    assert [(each["extension"], each["department"]) for each in lines(capsys)[0]] == [
        ("", ""), ("2301", "민원, 1팀"), ("2302", "Water"), ("2303", "Roads"), ("2477", "Taxes"), ("", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ":1: unit,line,extension,department,from expected"),
        ("unit,line,department\n", ":1: "),
        ("unit,line,extension,department,from\nfloor-03,3,2301,Water\n", ":2: 4 fields; 5 expected"),
        ("unit,line,extension,department,from\n\nfloor-03,x,2301,Water,2026-01-01\n", ":3: line 'x'"),
        ("unit,line,extension,department,from\nfloor-03,129,2301,Water,2026-01-01\n", ":2: line '129'"),
        ("unit,line,extension,department,from\nfloor-03,01289,2301,Water,2026-01-01\n", ":2: line '01289'"),
        ("unit,line,extension,department,from\nfloor-03,,,Water,2026-01-01\n", ":2: a unit, and a line"),
        ("unit,line,extension,department,from\nfloor-03,3,2301,Water,yesterday\n", ":2: 'yesterday': no time"),
        ("unit,line,extension,department,from\na,3,1,W,2026-01-01\na,3,2,X,2026-01-01\n", ":3: an earlier row"),
        ('unit,line,extension,department,from\na,3,1,"W,2026-01-01\n', ":2: unexpected end"),
    ],
)
def test_a_bad_table_is_reported_with_its_line(
    vaults: Vaults, capsys: pytest.CaptureFixture[str], text: str, place: str
) -> None:
    table = vaults.folder / "lines.csv"
    table.write_text(text)
    assert vaults.find("--identity", vaults.keys("2027-01-23"), "--table", table) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{table}{place}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--number", "678"], "--number: 3 digits"),
        (["--from", "noon"], "--from, --to: 'noon': no time"),
        (["--to", "9999-12-31"], "--from, --to: '9999-12-31': no time"),
        (["--from", "2026-11-25", "--to", "2026-11-24"], "--to is before --from"),
        (["--zone", "Asia/Soul"], "'Asia/Soul': no time zone"),
        (["--zone", "/etc/passwd"], "'/etc/passwd': no time zone"),
    ],
)
def test_bad_input_is_one_line(vaults: Vaults, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert vaults.find("--identity", vaults.keys("2027-01-23"), *words) == 2
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.count("\n") == 1


def test_a_vault_that_is_none_is_bad_input(vaults: Vaults, capsys: pytest.CaptureFixture[str]) -> None:
    assert vaults.find("--identity", vaults.keys("2027-01-23"), beside=Path("/nowhere")) == 2
    assert capsys.readouterr().err == "/nowhere: not a folder; a vault expected\n"


def test_keys_that_open_no_index_are_bad_input(vaults: Vaults, capsys: pytest.CaptureFixture[str]) -> None:
    empty = vaults.folder / "empty"
    empty.mkdir()
    for path, said in [
        (vaults.keys("2027-01-23") / "2027-01-23.txt", "2027-01-23.index.txt expected"),
        (empty, "2027-01-24.index.txt expected"),
        (vaults.folder / "none.txt", "No such file"),
    ]:
        assert vaults.find("--identity", path) == 2
        assert said in capsys.readouterr().err


def test_what_the_document_says_of_stock_tools(vaults: Vaults) -> None:
    """The last recipe of docs/finding.md, unchanged."""
    vaults.lay("2027-01-23", "2026-11-24", call(), call(line=4, number="0212340000"))
    vaults.lay("overflow-2", "2026-11-25", call(line=5))
    document = (Path(__file__).parents[2] / "docs/finding.md").read_text()
    recipe = document.split("```sh\n")[-1].partition("```")[0]
    keys = vaults.keys("2027-01-23", "overflow-2")
    done = run(["bash", "-c", recipe.replace("vaults/floor-03", str(vaults.vault)).replace("/media/a", str(keys))])
    assert done.returncode == 0, done.stderr
    assert index.decode(done.stdout) == [call(), call(line=5)]


# --- the access log ---------------------------------------------------------------------------------------------


def test_a_search_stands_in_the_access_log_before_the_first_index_is_opened(
    vaults: Vaults, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    steps, decrypt = list[tuple[str, str, str]](), indexsearch.decrypt_segment

    def seen(ciphertext: bytes, identities: list[Path]) -> bytes:
        steps.append(desk.steps()[-1])
        return decrypt(ciphertext, identities)

    monkeypatch.setattr(indexsearch, "decrypt_segment", seen)
    asked = ["--number", NUMBER, vaults.vault, "--identity", vaults.keys("2027-01-23"), "--line", 3,
             "--from", "2026-11-24", "--purpose", "dispute", "--case", "2026-117", "--desk", desk.folder]  # fmt: skip
    assert desk.run(find, *asked)[0] == 0
    assert steps == [("find", "granted", "")]
    entry = desk.log()[-1]
    assert (entry.number, entry.purpose, entry.case, entry.lines) == ("010-****-5678", "dispute", "2026-117", [3])
    assert entry.span == "2026-11-23T15:00:00.000Z/"
    assert NUMBER not in (desk.folder / "access/leaves.jsonl").read_text()
    assert "number=010-****-5678" in desk.access("show")[1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "purpose_needed"),
        (["--purpose", "dispute"], "purpose_needed"),
        (["--purpose", "curiosity", "--case", "1"], "purpose_unknown"),
    ],
)
def test_without_a_lawful_purpose_nothing_is_opened_and_that_is_logged(
    vaults: Vaults, desk: Desk, monkeypatch: pytest.MonkeyPatch, words: list[str], code: str
) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    monkeypatch.setattr(indexsearch, "decrypt_segment", lambda *_: pytest.fail("opened"))
    asked = ["--number", NUMBER, vaults.vault, "--identity", vaults.keys("2027-01-23"), "--desk", desk.folder]
    with pytest.raises(NotReleased):
        desk.run(find, *asked, *words)
    assert desk.steps()[-1] == ("find", "refused", code)
    assert desk.log()[-1].number == "010-****-5678"


def test_a_bad_case_or_number_is_logged_as_refused(vaults: Vaults, desk: Desk) -> None:
    asked = [vaults.vault, "--identity", vaults.keys("2027-01-23"), "--purpose", "dispute", "--desk", desk.folder]
    for words in (["--number", NUMBER, "--case", "a\nb"], ["--number", "12", "--case", "2026-117"]):
        with pytest.raises(BadInput):
            desk.run(find, *words, *asked)
        assert desk.steps()[-1] == ("find", "refused", "bad_input")


def amend(vaults: Vaults, call_id: str, began_at: str) -> None:
    """Writes an amendment beside a record of that call, like its unit."""
    document = amendment.encode(Amendment(
        suite=amendment.SUITE, unit="floor-03", call_id=call_id, number=1, record_sha256="5f" * 32, began_at=began_at,
        ended_at=began_at, uncertainty_s=40, until=max("2027-01-23T15:00:00.000Z", began_at), made_at=began_at,
    ))  # fmt: skip
    place = vaults.vault / amendment.FOLDER / amendment.name(call_id, 1)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(document)
    signature = sshsig.sign(document, keys.new_unit_key(), namespaces.RECORD)
    place.with_name(place.name + namespaces.SUFFIX).write_text(signature)


def test_a_call_by_a_clock_of_1970_is_found_on_its_day(vaults: Vaults, capsys: pytest.CaptureFixture[str]) -> None:
    of_1970, of_2034 = "19700101T000040.000Z", "20341124T040000.000Z"
    vaults.lay("overflow-2", "1970-01-01", call(of_1970), call("19700101T000900.000Z", 5))
    vaults.lay("overflow-2", "2034-11-24", call(of_2034, 4))
    folder = vaults.keys("overflow-2")
    asked = ["--from", "2026-11-24", "--to", "2026-11-24", "--identity", folder, "--json"]
    assert vaults.find(*asked) == 1
    capsys.readouterr()
    amend(vaults, f"{of_1970}-L03", "2026-11-24T04:00:00.000Z")
    amend(vaults, f"{of_2034}-L04", "2026-11-24T05:00:00.000Z")
    assert vaults.find(*asked) == 0
    found, _ = lines(capsys)
    assert [(each["line"], each["at"]) for each in found] == [
        (3, "2026-11-24T04:00:00.000Z"), (4, "2026-11-24T05:00:00.000Z"),
    ]  # fmt: skip
    assert vaults.find("--to", "1970-01-02", "--identity", folder, "--json") == 0
    assert [each["line"] for each in lines(capsys)[0]] == [5], "one that nobody has dated is found under its name"
    assert vaults.find("--from", "2034-11-24", "--to", "2034-11-25", "--identity", folder) == 1


def test_an_amendment_that_was_changed_moves_no_call(vaults: Vaults) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    amend(vaults, f"{NOON}-L03", "2026-11-20T04:00:00.000Z")
    path = vaults.vault / amendment.FOLDER / amendment.name(f"{NOON}-L03", 1)
    path.write_bytes(path.read_bytes().replace(b"2026-11-20", b"2026-11-19"))
    assert vaults.find("--from", "2026-11-24", "--to", "2026-11-24", "--identity", vaults.keys("2027-01-23")) == 0


IMPOSSIBLE = ("20261399T000000.000Z-L03", "00010101T000000.000Z-L03", "99991231T235959.999Z-L03")


@pytest.mark.parametrize("call_id", IMPOSSIBLE)
def test_an_amendment_of_an_impossible_time_stops_no_search(vaults: Vaults, call_id: str) -> None:
    """Anybody's key signs one: the search trusts none before the record is read."""
    vaults.lay("2027-01-23", "2026-11-24", call())
    amend(vaults, call_id, "2026-11-24T04:30:00.000Z")
    assert vaults.find("--from", "2026-11-24", "--to", "2026-11-24", "--identity", vaults.keys("2027-01-23")) == 0


@pytest.mark.parametrize("call_id", IMPOSSIBLE)
def test_an_entry_of_an_impossible_time_stops_no_search(
    vaults: Vaults, capsys: pytest.CaptureFixture[str], call_id: str
) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    vaults.lay("2027-01-23", "2026-11-24", msgspec.structs.replace(call(), call_id=call_id), number=2)
    assert vaults.find("--identity", vaults.keys("2027-01-23"), "--json") == 0
    found, _ = lines(capsys)
    assert f"{NOON}-L03" in {each["call_id"] for each in found}


def test_what_is_no_amendment_is_passed_over(vaults: Vaults, tmp_path: Path) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    folder = vaults.vault / amendment.FOLDER
    (folder / f"{NOON}-L03.001.json").mkdir(parents=True)
    (folder / ".001.json").write_text("{}")
    (folder / ".." / "x.001.json").write_text("{}")
    (folder / "link.001.json").symlink_to("/dev/zero")
    (folder / "dangling.001.json").symlink_to(tmp_path / "nowhere")
    (folder / f"{'가' * 80}.001.json").write_bytes(b"\xff" * 9000)
    asked = ["--from", "2026-11-24", "--to", "2026-11-24", "--identity", vaults.keys("2027-01-23")]
    assert vaults.find(*asked) == 0


@pytest.mark.parametrize("by", ["amendment", "record"])
def test_a_begin_in_the_last_hours_of_all_times_stops_no_search(vaults: Vaults, by: str) -> None:
    last = "9999-12-31T23:59:59.000Z"
    vaults.lay("2027-01-23", "2026-11-24", call())
    if by == "amendment":
        amend(vaults, f"{NOON}-L03", last)
    else:
        folder = vaults.vault / sealed.call_path(f"{NOON}-L03")
        folder.mkdir(parents=True)
        (folder / sealed.RECORD).write_text(json.dumps({"actual": {"began_at": last}}))
    assert vaults.find("--identity", vaults.keys("2027-01-23")) == 0


def test_amendments_that_cannot_be_read_are_said(
    vaults: Vaults, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vaults.lay("2027-01-23", "2026-11-24", call())
    amend(vaults, f"{NOON}-L03", "2026-11-20T04:00:00.000Z")
    assert vaults.find("--from", "2026-11-20", "--to", "2026-11-20", "--identity", vaults.keys("2027-01-23")) == 0
    listdir = os.listdir

    def failing(path: str | Path = ".") -> list[str]:
        if path == vaults.vault / amendment.FOLDER:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return listdir(path)

    with monkeypatch.context() as medium:
        medium.setattr(os, "listdir", failing)
        vaults.find("--from", "2026-11-20", "--to", "2026-11-20", "--identity", vaults.folder / "medium")
    said = capsys.readouterr().err
    assert f"not searched: {vaults.vault / amendment.FOLDER}: Input/output error" in said
