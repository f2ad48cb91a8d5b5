# SPDX-License-Identifier: Apache-2.0
"""The ceremonies in the program: keys of the days from a button to the certificate of their end, and the authority's
signatures. Verified by stock age, ssh-keygen and jq.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from program_rig import Browser, InThread, OnWindows

import sealing_rig
from linetap_core.clock import NS_PER_DAY, SYSTEM, from_utc_ns, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_desk.accesslog.deskfolder import open_desk, read_authority
from linetap_desk.ceremony import certificate
from linetap_desk.custody.program import settings
from release_rig import CHOI, HAN, KIM, PEOPLE, Desk
from sealing_rig import UNIT

DAY, NEXT = "2026-01-06", "2026-01-07"
DAYS = {"first": DAY, "days": "3", "longest": "1", "custodians": "", "needed": "1"}
ENDED = {"day": DAY, "today": "2026-01-07", "rule": "office order 12"}


@pytest.fixture
def out(desk: Desk) -> Path:
    for name in ("out", "medium", "vaults", "holds"):
        (desk.root / name).mkdir(exist_ok=True)
    return desk.root / "out"


def chosen(desk: Desk) -> settings.Settings:
    return settings.Settings(
        name=HAN, signing=str(desk.root / HAN), output=str(desk.root / "out"), medium=str(desk.root / "medium"),
        vaults=str(desk.root / "vaults"), holds=str(desk.root / "holds"),
    )  # fmt: skip


@pytest.fixture
def run(desk: Desk, out: Path) -> Iterator[InThread]:
    assert out.is_dir()
    with InThread(desk, chosen(desk)) as run:
        yield run


def verified(path: Path, public: Path, namespace: str, sig: Path | None = None) -> bool:
    """Whether stock ssh-keygen accepts the signature."""
    signers = path.with_name("signers")
    signers.write_text(f"somebody {public.read_text()}")
    words = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "somebody", "-n", namespace]
    words += ["-s", str(sig or path.with_name(f"{path.name}.sig"))]
    return sealing_rig.run(words, stdin=path.read_bytes()).returncode == 0


def sign(run: InThread, path: Path, who: Path) -> str:
    """Signs as a person does: chooses the file, sees its content, and signs."""
    run.program.keep(signing=str(who))
    page = run.browser.choose("paper", path)
    found = re.search(r'name="sha256" value="(\w+)"', page)
    assert found, page
    return run.browser.do("/sign", sha256=found[1])


def made(run: InThread, out: Path, **more: str) -> Path:
    run.browser.do("/days", to="medium", **(DAYS | more))
    return out / "keylist.json"


def test_from_the_keys_of_the_days_to_their_end(run: InThread, desk: Desk, out: Path) -> None:
    browser, medium = run.browser, desk.root / "medium"
    key_list = made(run, out, custodians=keys.new_identity().recipient)
    assert {path.name for path in medium.iterdir()} > {f"{DAY}.txt", f"{DAY}.index.txt", "overflow-2.txt"}
    assert not namespaces_sig(key_list).exists(), "the authority signs elsewhere"
    page = sign(run, key_list, desk.root / "authority")
    assert "1 signed" in page
    assert verified(key_list, desk.root / "authority.pub", "linetap-keylist")
    authority = read_authority(desk.root / "authority.pub")
    keylist.read(key_list.read_bytes(), namespaces_sig(key_list).read_bytes(), authority)

    browser.do("/days", to="medium", **(DAYS | {"first": "", "days": "2", "overflow": "on"}))
    longer = keylist.sound((out / "keylist-2.json").read_bytes())
    assert (str(longer.last_day), [each.number for each in longer.overflow]) == ("2026-01-10", [2, 3])
    assert run.program.settings.keylist == str(out / "keylist-2.json")

    run.program.keep(signing=str(desk.root / HAN))
    for name in (f"{DAY}.txt", f"{DAY}.index.txt"):
        browser.choose("doomed", medium / name)
    assert f"{DAY} ends at" in browser.refused("/destroy/check", **ENDED)
    desk.clock.advance(2 * NS_PER_DAY)
    assert "nothing was destroyed" in browser.do("/destroy/check", **ENDED)
    assert (medium / f"{DAY}.txt").exists()
    browser.choose("second", desk.root / KIM)
    assert "destroyed, and the key of its index" in browser.do("/destroy", **ENDED)
    assert not list(medium.glob(f"{DAY}*"))
    paper = out / "certificates" / f"{DAY}.destroyed.json"
    assert verified(paper, desk.root / f"{HAN}.pub", "linetap-certificate")
    second = paper.with_name(f"{paper.name}.second.sig")
    assert verified(paper, desk.root / f"{KIM}.pub", "linetap-certificate", second)
    said = json.loads(paper.read_bytes())
    assert (said["epoch"], said["rule"]) == (DAY, "office order 12")
    assert said["second"] == keys.fingerprint(keys.load_unit_key((desk.root / KIM).read_bytes()).public_key())
    assert certificate.read(paper, None).second == said["second"]
    assert DAY in browser.get("/destroy")
    page = browser.do("/destroy/commands", certificate=paper.name)
    (made_commands,) = (out / "commands").iterdir()
    assert made_commands.name == f"{DAY}.commands"
    assert "1 commands signed" in page
    assert "/commands" in page
    (line,) = made_commands.read_bytes().splitlines()
    envelope = json.loads(line)
    order = json.loads(envelope["command"])
    assert (order["unit"], order["verb"], order["role"]) == (UNIT, "destroy", "vault")
    assert order["body"]["document"] == paper.read_text()
    signed = out / "signed.json"
    signed.write_text(envelope["command"])
    namespaces_sig(signed).write_text(envelope["sig"])
    assert verified(signed, desk.root / f"{HAN}.pub", "linetap-command")
    desk.clock.advance(NS_PER_DAY)
    browser.do("/destroy/commands", certificate=paper.name)
    assert made_commands.read_bytes().splitlines() != [line], "signed anew, for units that were away too long"
    assert "choose a certificate" in browser.refused("/destroy/commands", certificate="../roles.json")
    second.write_bytes(paper.with_name(f"{paper.name}.sig").read_bytes())
    with pytest.raises(Exception, match="second person"):
        certificate.read(paper, None)


def test_where_there_is_no_posix(desk: Desk, out: Path) -> None:
    """Made, signed and destroyed in the Windows-like environment, by this machine's clock."""
    settings.save(desk.folder, chosen(desk))
    with OnWindows(desk.root, desk.folder) as run:
        browser, medium = run.browser, desk.root / "medium"
        browser.do("/days", to="medium", **(DAYS | {"first": "2026-01-06"}))
        browser.choose("signing", desk.root / "authority")
        page = browser.choose("paper", out / "keylist.json")
        found = re.search(r'name="sha256" value="(\w+)"', page)
        assert found
        browser.do("/sign", sha256=found[1])
        assert verified(out / "keylist.json", desk.root / "authority.pub", "linetap-keylist")
        browser.choose("signing", desk.root / HAN)
        for name in (f"{DAY}.txt", f"{DAY}.index.txt"):
            browser.choose("doomed", medium / name)
        browser.choose("second", desk.root / KIM)
        today = from_utc_ns(SYSTEM.utc_ns()).astimezone(ZoneInfo("Asia/Seoul")).date().isoformat()
        assert "destroyed, and the key" in browser.do("/destroy", day=DAY, today=today, rule="retention")
        assert not list(medium.glob(f"{DAY}*"))
        run.end()


def namespaces_sig(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def ready(run: InThread, desk: Desk, out: Path) -> Browser:
    """The day is over, its files are chosen, and nothing prevents its destruction."""
    made(run, out)
    desk.clock.advance(2 * NS_PER_DAY)
    for name in (f"{DAY}.txt", f"{DAY}.index.txt"):
        run.browser.choose("doomed", desk.root / "medium" / name)
    return run.browser


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (HAN, None, "choose the second"), (HAN, HAN, "same key"), (HAN, "authority", "neither another"),
        (HAN, "Yun Ho", "neither another"), (HAN, "stranger", "neither another"), (KIM, CHOI, "no vault officer"),
    ],
)  # fmt: skip
def test_one_person_alone_destroys_nothing(
    run: InThread, desk: Desk, out: Path, first: str, second: str | None, says: str
) -> None:
    browser = ready(run, desk, out)
    run.program.keep(signing=str(desk.root / first))
    if second is not None:
        browser.choose("second", desk.root / second)
    assert says in html.unescape(browser.refused("/destroy", **ENDED))
    assert len(list((desk.root / "medium").glob(f"{DAY}*"))) == 2
    assert not list((out / "certificates").glob("[!.]*"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"today": "2026-01-08"}, "only clocks show"), ({"day": NEXT}, "before that"),
        ({"day": "2027-01-01"}, "not an epoch"), ({"day": "overflow-2"}, "is in use"),
        ({"day": "--help"}, "not an epoch"),
        ({"sheets": "1"}, "sheet 1 is not"),
    ],
)  # fmt: skip
def test_what_is_typed_wrong_destroys_nothing(
    run: InThread, desk: Desk, out: Path, changes: dict[str, str], says: str
) -> None:
    browser = ready(run, desk, out)
    browser.choose("second", desk.root / KIM)
    assert says in browser.refused("/destroy", **(ENDED | changes))
    assert len(list((desk.root / "medium").glob(f"{DAY}*"))) == 2


def test_a_folder_that_is_none_is_named_on_the_page(run: InThread, desk: Desk, out: Path) -> None:
    browser = ready(run, desk, out)
    browser.choose("second", desk.root / KIM)
    (out / "certificates").write_bytes(b"")
    assert "certificates: File exists" in browser.refused("/destroy", **ENDED)
    (desk.root / "medium").rename(desk.root / "unplugged")
    (desk.root / "medium").symlink_to(desk.root / "unplugged" / "nothing")
    assert "medium: " in browser.refused("/days", to="medium", **(DAYS | {"first": ""}))


def test_sheets_are_on_one_page_and_nowhere_else(run: InThread, desk: Desk, out: Path) -> None:
    answer = run.browser.post("/days", to="paper", **DAYS)
    assert answer.status_code == 200
    sheets = re.findall(r'<pre class="sheet"[^>]*>(.*?)</pre>', answer.text, re.DOTALL)
    assert len(sheets) == 2 * (3 + 1), "two copies of three days and of an overflow key"
    assert answer.headers["cache-control"] == "no-store"
    assert not list((desk.root / "medium").iterdir())
    assert "SECRET" not in run.browser.get("/days")
    for path in (each for folder in (out, run.program.work, desk.folder) for each in folder.rglob("*")):
        assert path.is_dir() or b"AGE-SECRET-KEY" not in path.read_bytes(), path

    desk.clock.advance(2 * NS_PER_DAY)
    key, index = (one.strip() for one in re.findall(r"AGE-SECRET-KEY-1\S+", sheets[0]))
    run.browser.choose("second", desk.root / KIM)
    fields = ENDED | {"sheets": "2", "key": key, "index": index}
    assert "does not open" in run.browser.refused("/destroy", **(fields | {"key": index, "shredded": DAY}))
    assert "sheet 1 is not confirmed" in run.browser.refused("/destroy", shredded=DAY, **fields), "not yet proven"
    assert "destroyed" in run.browser.do("/destroy", shredded=DAY, **(fields | {"key": "", "index": ""}))
    said = json.loads((out / "certificates" / f"{DAY}.destroyed.json").read_bytes())
    assert (said["sheets"], said["files"]) == (2, [])


def test_a_groups_list_of_those_that_its_officers_made(run: InThread, desk: Desk, out: Path) -> None:
    """Each at their own computer, with their own medium."""
    lists = []
    for officer in ("1", "2", "3"):
        own, medium = desk.root / f"out-{officer}", desk.root / f"medium-{officer}"
        own.mkdir()
        medium.mkdir()
        run.program.keep(output=str(own), medium=str(medium), keylist="")
        lists.append(made(run, own))
    run.program.keep(output=str(out), keylist="")
    assert "2 or more" in run.browser.refused("/merge", needed="2")
    for path in lists:
        run.browser.choose("officers", path)
    run.browser.do("/merge", needed="2")
    found = keylist.sound((out / "keylist.json").read_bytes())
    assert found.epochs[0].recipient.count("age1") == 3
    assert {path.name for path in (out / "canary").glob(f"{DAY}.officer-*")} == {
        f"{DAY}.officer-{number}.age" for number in (1, 2, 3)
    }

    desk.clock.advance(2 * NS_PER_DAY)  # the second officer has sheets
    run.browser.choose("second", desk.root / KIM)
    secrets = [(desk.root / "medium-2" / f"{DAY}{kind}.txt").read_text().split()[-1] for kind in ("", ".index")]
    fields = {"officers": "2", "sheets": "2", "key": secrets[0], "index": secrets[1], "shredded": DAY}
    assert "sheet 1 is not confirmed" in run.browser.refused("/destroy", **fields, **ENDED)
    assert "of officer 2; 2 of 3" in run.browser.do("/destroy", **fields, **ENDED)


# --- what the authority signs -----------------------------------------------------------------------------------------

RULE = {
    "section": "rules", "purpose": "dispute", "party": "court", "approvals": "privacy; legal, manager; audit",
    "max_age_days": "1095", "may": "copy", "expires_days": "10",
}  # fmt: skip


def test_the_next_roles_with_a_rule(run: InThread, desk: Desk, out: Path) -> None:
    browser = run.browser
    desk.ssh_key("audit")
    new = {"section": "people", "name": "Oh Sun", "role": "audit", "key": (desk.root / "audit.pub").read_text().strip()}
    browser.do("/draft/add", **new)
    assert "once more" in browser.refused("/draft/add", **(new | {"name": KIM}))
    browser.do("/draft/add", **RULE)
    for wrong in ({"purpose": "none"}, {"approvals": "privacy;"}, {"max_age_days": "x"}, {"approvals": "vault; legal"}):
        browser.refused("/draft/add", **(RULE | {"party": "citizen"} | wrong))
    assert "legal, manager" in browser.get("/draft")
    browser.do("/draft/add", **(RULE | {"party": "other_office"}))
    browser.do("/draft/remove", section="rules", number="1")
    page = browser.do("/draft/write")
    path = out / "roles-2" / "roles.json"
    assert "other rules of releases" in page
    assert "new audit SHA256:" in page
    stated = json.loads(path.read_bytes())
    assert [rule["party"] for rule in stated["rules"]] == ["court"]
    assert stated["rules"][0]["approvals"] == [["privacy"], ["legal", "manager"], ["audit"]]
    assert sealing_rig.run(["jq", "-cS", "."], stdin=path.read_bytes()).stdout == path.read_bytes()
    sign(run, path, desk.root / "authority")
    assert verified(path, desk.root / "authority.pub", "linetap-roles")
    browser.choose("roles", path)
    assert "ok: version 2" in browser.do("/roles")
    opened = open_desk(desk.folder, desk.clock)
    assert opened.roles(opened.access.entries()).person("Oh Sun") is not None
    assert "version 2 is in force" in html.unescape(browser.client.get(f"{browser.room}/sign").text)


def test_two_of_the_authority_sign_one_file(run: InThread, desk: Desk, out: Path) -> None:
    path = made(run, out)
    sign(run, path, desk.root / "authority")
    assert "2 signed" in sign(run, path, desk.root / KIM)
    armored = namespaces_sig(path).read_bytes()
    assert armored.count(b"BEGIN SSH SIGNATURE") == 2
    assert "has signed it already" in run.browser.refused("/sign", sha256=_shown(run))
    assert namespaces_sig(path).read_bytes() == armored


def _shown(run: InThread) -> str:
    found = re.search(r'name="sha256" value="(\w+)"', run.browser.get("/sign"))
    assert found
    return found[1]


def test_what_is_signed_is_what_was_shown(run: InThread, desk: Desk, out: Path) -> None:
    """A person with access to the medium replaces the file."""
    path = made(run, out)
    run.program.keep(signing=str(desk.root / "authority"))
    run.browser.choose("paper", path)
    shown = _shown(run)
    found = json.loads(path.read_bytes())
    found["custodians"] = [keys.new_identity().recipient]
    path.write_text(json.dumps(found, separators=(",", ":")))
    assert "changed since it was shown" in run.browser.refused("/sign", sha256=shown)
    for sha256 in ("", "0" * 64):
        run.browser.refused("/sign", sha256=sha256)
    assert not namespaces_sig(path).exists()


LATER = b""  # made by the test
BAD = {
    "no roles": b'{"people":[]}\n', "an older version": LATER, "a day less": LATER, "no JSON": b"{",
    "a JSON list": b"[]", "no order": b"[files]\n",
    "an order that is shown otherwise": '[files]\n"unit.toml" = "\u2066"\n'.encode(),
    "an order of a clock that is ahead": b'made_at = "2099-01-01T00:00:00.000Z"\n[files]\n"unit.toml" = ""\n',
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_nothing_is_signed_that_nobody_would_take(run: InThread, desk: Desk, out: Path, what: str) -> None:
    path = out / ("linetap.toml" if "order" in what else "file.json")
    data = BAD[what]
    if what == "an older version":
        data = (desk.root / "roles.json").read_bytes()  # already in force here
    if what == "a day less":
        found = json.loads(made(run, out).read_bytes())
        data = json.dumps(found | {"epochs": found["epochs"][::2]}, separators=(",", ":")).encode()
    path.write_bytes(data)
    run.program.keep(signing=str(desk.root / "authority"))
    run.browser.post("/choose", what="paper", path=str(path))
    page = run.browser.client.get(f"{run.browser.room}/sign")
    assert page.status_code == 409
    assert 'name="sha256"' not in page.text
    assert ("one of the two clocks is wrong" in page.text) == ("ahead" in what)
    run.browser.refused("/sign", sha256="0" * 64)
    assert not namespaces_sig(path).exists()


def test_an_order_is_signed_whose_time_is_this_clocks(run: InThread, desk: Desk, out: Path) -> None:
    path = out / "linetap.toml"
    path.write_text(f'made_at = "{rfc3339(desk.clock.utc_ns())}"\n[files]\n"unit.toml" = ""\n')
    run.program.keep(signing=str(desk.root / "authority"))
    run.browser.choose("paper", path)
    run.browser.do("/sign", sha256=_shown(run))
    assert namespaces_sig(path).exists()


def test_the_keys_that_a_form_alone_names(run: InThread, desk: Desk, out: Path) -> None:
    """Files are only accepted through the file dialog: a path in a form is refused."""
    made(run, out)
    desk.clock.advance(2 * NS_PER_DAY)
    medium = str(desk.root / "medium" / f"{DAY}.txt")
    run.browser.choose("second", desk.root / KIM)
    assert "no medium opens it" in run.browser.refused("/destroy", doomed=medium, medium=medium, **ENDED)
    assert run.browser.post("/draft/add", section="witnesses", version="3").status_code == 400
    assert run.browser.post("/put-away", back="https://evil.example").status_code == 400
    assert set(PEOPLE) == {person.name for person in open_desk(desk.folder, desk.clock).roles([]).people}
