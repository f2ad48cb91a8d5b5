# SPDX-License-Identifier: Apache-2.0
"""The desk alone suffices for the custodian's evidence bundle: a real `desk serve`, a package by ticket, and no --log.
And a call whose key was wrapped again opens from the same pages.
"""

from __future__ import annotations

import html
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import msgspec
import pytest
from custody_rig import Helper
from release_house import NOW_NS, ReleaseHouse, refusal, served_at

from linetap_core.cli import main
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_desk.ceremony import hold
from linetap_desk.release import unwrap
from linetap_desk.unitcommands import command
from release_rig import HAN, KIM, Desk
from sealing_rig import CALL_ID, UNIT, run

BASIS = "Criminal Procedure Act 215"
PROOF = f"closing/{CALL_ID}.json"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def house(desk: Desk, clock: ManualClock) -> Iterator[ReleaseHouse]:
    with served_at(desk, clock) as house:
        yield house


def members_of(answer: httpx.Response) -> dict[str, bytes]:
    """The archive's members, read by the stock library."""
    assert answer.status_code == 200
    with tarfile.open(fileobj=BytesIO(answer.content), mode="r:") as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def helper_over(house: ReleaseHouse, request_id: str, package: dict[str, bytes], logs: bool = False) -> Helper:
    identities = [house.desk.rig.custodian_files[0], house.desk.one_time_file(request_id)]
    return Helper(house.desk, package, identities, logs=logs)


def alerts_of(page: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'role="alert"[^>]*>(.*?)</div>', page, re.DOTALL)]


def shown(house: ReleaseHouse, request_id: str, role: str = "custodian") -> str:
    return html.unescape(house.client(role).get(f"/release/{request_id}").text)


# --- the log --------------------------------------------------------------------------------------------------------


def test_from_the_desk_to_a_bundle_that_verifies(house: ReleaseHouse) -> None:
    path = house.close_in_log(house.desk.call)
    request_id = house.unwrapped()
    assert "The proof for the evidence bundle is in it." in shown(house, request_id)
    package = members_of(house.fetch(house.ticket(request_id)))
    assert package[PROOF] == path.read_bytes()
    signers = str(house.desk.rig.signers_file)
    with helper_over(house, request_id, package) as helper:
        inside = helper.inside()
        assert "--log" not in helper.get(inside, "/").text
        made = helper.post(inside, "/bundle")
        assert made.status_code == 303, alerts_of(made.text)
        bundle = helper.output / f"{request_id}.zip"
        assert main(["verify", str(bundle), "--signers", signers]) == 0
        own = helper.output / "own.zip"
        words = ["bundle", str(house.desk.call), "--signers", signers, "--case", "2026-117", "-o", str(own)]
        assert main([*words, "--desk", str(house.desk.folder)]) == 0
        assert bundle.read_bytes() == own.read_bytes(), "byte for byte what the unit's log itself gives"


def test_a_bundle_of_what_lies_in_the_store(house: ReleaseHouse, tmp_path: Path) -> None:
    house.close_in_log(house.desk.call)
    copy = house.copies / UNIT / "2026/11/24" / CALL_ID
    words = ["--signers", str(house.desk.rig.signers_file), "--desk", str(house.desk.folder)]
    assert main(["bundle", str(copy), *words, "-o", str(tmp_path / "case.zip")]) == 0
    assert main(["verify", str(tmp_path / "case.zip"), *words[:2]]) == 0


def _changed(data: bytes, field: str, old: str, new: str) -> bytes:
    found = closing.decode(data)
    text = getattr(found, field)
    assert old in text
    return closing.encode(msgspec.structs.replace(found, **{field: text.replace(old, new, 1)}))


@pytest.mark.parametrize(
    ("field", "old", "new", "code"),
    [
        ("leaf", '"recorded"', '"missed"', "not_in_log"),
        ("path", "of 2", "of 3", "bad_inclusion"),
        ("head", '"size":2', '"size":3', "signature_does_not_fit"),
        ("", "", "", "closing_malformed"),
    ],
)
def test_a_log_that_was_tampered_with_at_the_desk(
    house: ReleaseHouse, field: str, old: str, new: str, code: str
) -> None:
    path = house.close_in_log(house.desk.call)
    request_id = house.unwrapped()
    package = members_of(house.fetch(house.ticket(request_id)))
    package[PROOF] = _changed(path.read_bytes(), field, old, new) if field else b"{}"
    with helper_over(house, request_id, package) as helper:
        inside = helper.inside()
        answer = helper.post(inside, "/bundle")
        assert answer.status_code == 409
        (said,) = alerts_of(answer.text)
        assert PROOF in said
        assert code in said
        assert helper.desk.log()[-1].code == code
        assert helper.post(inside, f"/call/{CALL_ID}/listen").status_code == 409
        assert helper.desk.log()[-1].code == "closing_differs"
        assert list(helper.output.iterdir()) == []
    path.write_bytes(package[PROOF])
    assert "was changed here" in shown(house, request_id)
    answer = house.served.post(house.client("custodian"), f"/release/{request_id}/ticket")
    assert refusal(answer) == "closing_differs"


def test_a_log_by_a_key_that_the_custodian_does_not_know(house: ReleaseHouse) -> None:
    """The desk has replaced the head, its signature and its own list of signers: the custodian's own list counts."""
    request_id = house.unwrapped()
    package = members_of(house.fetch(house.ticket(request_id)))
    key = keys.new_unit_key()
    stranger = house.desk.rig.__class__(**{**vars(house.desk.rig), "unit_key": key})
    log = stranger.log()
    log.append("heartbeat", at="2026-11-24T23:30:00.000Z")
    found = log.closing(CALL_ID)
    log.close()
    assert found is not None
    package[PROOF] = closing.encode(found)
    package["allowed_signers"] += f"{UNIT} {keys.public_line(key.public_key())}\n".encode()
    with helper_over(house, request_id, package) as helper:
        answer = helper.post(helper.inside(), "/bundle")
        assert answer.status_code == 409
        assert helper.desk.log()[-1].code == "signer_not_trusted"


def test_a_call_without_a_log_says_so_and_takes_one(house: ReleaseHouse) -> None:
    path = house.close_in_log(house.desk.call)
    request_id = house.unwrapped()
    package = members_of(house.fetch(house.ticket(request_id)))
    path.unlink()
    for role in ("custodian", "officer"):
        assert "has not arrived yet" in shown(house, request_id, role)
    answer = house.served.post(house.client("custodian"), f"/release/{request_id}/ticket")
    assert refusal(answer) == "closing_needed"
    del package[PROOF]
    with helper_over(house, request_id, package) as helper:
        inside = helper.inside()
        assert "--log" in helper.get(inside, "/").text
        answer = helper.post(inside, "/bundle")
        assert answer.status_code == 409
        assert "--log with the vault's expected" in alerts_of(answer.text)[0]
        answer = helper.post(inside, f"/call/{CALL_ID}/listen")
        assert answer.status_code == 409
        assert "--log" in alerts_of(answer.text)[0]
        assert helper.desk.log()[-1].code == "closing_needed"
    helper.output.rmdir()
    with helper_over(house, request_id, package, logs=True) as helper:
        inside = helper.inside()
        assert helper.post(inside, f"/call/{CALL_ID}/listen").status_code == 303
        assert helper.post(inside, "/bundle").status_code == 303
        bundle = helper.output / f"{request_id}.zip"
        assert main(["verify", str(bundle), "--signers", str(house.desk.rig.signers_file)]) == 0


@pytest.mark.parametrize("what", ["link", "folder", "large"])
def test_what_lies_there_and_is_no_file_of_ours(house: ReleaseHouse, what: str) -> None:
    path = house.close_in_log(house.desk.call)
    request_id = house.unwrapped()
    path.unlink()
    if what == "link":
        path.symlink_to(house.desk.root / "authority")
    elif what == "folder":
        path.mkdir()
    else:
        path.write_bytes(bytes(closing.LIMIT_BYTES + 1))
    assert "was changed here" in shown(house, request_id)
    answer = house.served.post(house.client("custodian"), f"/release/{request_id}/ticket")
    assert refusal(answer) == "closing_differs"


# --- a key that was wrapped again -----------------------------------------------------------------------------------


def wrap(house: ReleaseHouse, identity: keys.AgeIdentity, who: str = HAN) -> Path:
    """`linetap hold wrap`, at the vault officer's desk."""
    desk, folder = house.desk, house.desk.root / "wrapped" / CALL_ID
    words = ["--case", "2026-117", "--basis", BASIS, "--until", "2027-06-30", "--key", desk.root / who]
    words += ["--to", identity.recipient, "-o", folder, "--desk", desk.folder]
    assert desk.run(hold, "wrap", desk.call, "--identity", desk.rig.epoch_file, *words)[0] == 0
    return folder


def laid_down(house: ReleaseHouse, folder: Path) -> None:
    """Puts the hold into the folder named in desk.toml."""
    house.holds.mkdir(exist_ok=True)
    folder.rename(house.holds / CALL_ID)


def brought(house: ReleaseHouse, folder: Path) -> None:
    """Uploads the command on the pages only."""
    fields = {"unit": UNIT, "call_id": CALL_ID, "case": "2026-117", "basis": BASIS, "until": "2027-06-30"}
    asked = house.served.post(house.client("officer"), "/hold/ask", **fields)
    output = house.desk.root / "hold.command"
    words = ["--unit", UNIT, "--document", folder / "hold.json", "--key", house.desk.root / HAN, "-o", output]
    assert house.desk.run(command, "sign", "--verb", "hold", "--role", "vault", *words) == (0, "")
    answer = house.bring(f"/hold/{asked.headers['location'].rpartition('/')[2]}/command", output.read_bytes(), "vault")
    assert answer.status_code == 303, refusal(answer)


@pytest.mark.parametrize("way", [laid_down, brought])
def test_a_held_call_opens_with_the_holds_key_when_its_day_is_over(house: ReleaseHouse, way: object) -> None:
    assert callable(way)
    desk, identity = house.desk, keys.new_identity()
    way(house, wrap(house, identity))
    outer_layer = run(["age", "-d", "-i", str(desk.rig.epoch_file), str(desk.call / "key.age")]).stdout
    desk.rig.epoch_file.unlink()  # like `linetap epoch destroy`
    (desk.root / "hold.txt").write_text(keys.identity_file(identity, rfc3339(NOW_NS)))
    request_id = house.approved()
    (line,) = re.findall(r"linetap unwrap .*", shown(house, request_id, "vault"))
    assert f"--wrapped holds/{CALL_ID}" in line
    assert "wrapped again" in shown(house, request_id, "vault")
    archive = members_of(house.client("vault").get(f"/release/{request_id}/vault"))
    vault = desk.root / "at-the-vault"
    for name, data in archive.items():
        (vault / name).parent.mkdir(parents=True, exist_ok=True)
        (vault / name).write_bytes(data)
    words = [vault / "calls" / CALL_ID, "--wrapped", vault / "holds" / CALL_ID, "--identity", desk.root / "hold.txt"]
    words += ["--request", vault / "request.json", "-o", vault / "INNER.age", "--desk", desk.folder]
    assert desk.run(unwrap, *words) == (0, "")
    answer = house.bring(f"/release/{request_id}/unwrap", (vault / "INNER.age").read_bytes(), "vault")
    assert answer.status_code == 303, refusal(answer)
    house.close_in_log(desk.call)
    with helper_over(house, request_id, members_of(house.fetch(house.ticket(request_id)))) as helper:
        inside = helper.inside()
        assert helper.post(inside, f"/call/{CALL_ID}/listen").status_code == 303
        assert "01012345678" in helper.get(inside, f"/call/{CALL_ID}").text
        assert helper.post(inside, "/bundle").status_code == 303
        bundle, signers = helper.output / f"{request_id}.zip", desk.rig.signers_file
        assert "its hold, with its key, is not in the bundle" in helper.get(inside, "/").text, "by nobody who is known"
        assert main(["verify", str(bundle), "--signers", str(signers)]) == 0
        bundle.unlink()
        han = (desk.root / f"{HAN}.pub").read_text()
        signers.write_text(f'{signers.read_text()}han namespaces="linetap-hold" {han}')
        assert helper.post(inside, "/bundle").status_code == 303
        assert main(["verify", str(bundle), "--signers", str(signers)]) == 0
        with zipfile.ZipFile(bundle) as file:
            inner = run(["age", "-d", "-i", str(desk.root / "hold.txt")], stdin=file.read(f"holds/{CALL_ID}/key.age"))
    assert inner.stdout == outer_layer


def test_the_newest_that_a_vault_officer_signed_is_taken(house: ReleaseHouse) -> None:
    older, newer = keys.new_identity(), keys.new_identity()
    brought(house, folder := wrap(house, older))
    for path in folder.iterdir():
        path.unlink()
    request_id = house.approved()

    def taken() -> str:
        archive = members_of(house.client("vault").get(f"/release/{request_id}/vault"))
        text = archive.get(f"holds/{CALL_ID}/hold.json", b'{"to": ""}')
        return str(json.loads(text)["to"])

    assert taken() == older.recipient
    house.desk.clock.advance(60 * NS_PER_S)
    laid_down(house, wrap(house, newer))
    assert taken() == newer.recipient
    sig = house.holds / CALL_ID / "hold.json.sig"
    house.desk.stock_sign(sig.with_name("hold.json"), KIM, sig, "linetap-hold")  # of role privacy
    assert taken() == older.recipient
    assert "--wrapped" in shown(house, request_id, "vault")


def test_a_call_that_was_never_wrapped_anew(house: ReleaseHouse) -> None:
    request_id = house.approved()
    assert "--wrapped" not in shown(house, request_id, "vault")
    archive = members_of(house.client("vault").get(f"/release/{request_id}/vault"))
    assert not [name for name in archive if name.startswith("holds/")]
