# SPDX-License-Identifier: Apache-2.0
"""Other processes and pages, and files of a compromised desk: each is refused, and nothing is signed or opened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_rig import pack
from playwright.sync_api import Page
from program_rig import InThread
from servesite import chromium, require_accessible

from bundle_rig import BundleRig
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.command import Command, Envelope
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.signing import document
from linetap_desk.custody.program import pages, settings
from linetap_desk.inputs import strict
from linetap_desk.release import holdrequest
from linetap_desk.release.holdrequest import HoldRequest
from linetap_desk.web import secure
from release_rig import HAN, KIM, Desk
from sealing_rig import CALL_ID, UNIT

ASKED = HoldRequest(
    id="H2026-0001", unit=UNIT, call_id=CALL_ID, case="2026-118", basis="Act 215", until="2031-06-30T15:00:00.000Z"
)


@pytest.fixture
def run(desk: Desk) -> Iterator[InThread]:
    chosen = settings.Settings(
        name=HAN, signing=str(desk.root / HAN), identities=[str(desk.rig.epoch_file)], output=str(desk.root / "out")
    )
    with InThread(desk, chosen) as run:
        yield run


def call_files(desk: Desk, call: Path | None = None) -> dict[str, bytes]:
    """The call's files as packed by the desk for an approver, with the proof of its close."""
    call = call or desk.call
    names = ("record.json", "record.json.sig", "key.age", "meta.age")
    found = {f"calls/{call.name}/{name}": (call / name).read_bytes() for name in names}
    log = desk.rig.log()
    proof = log.closing(call.name)
    log.close()
    assert proof is not None
    return found | {f"{closing.FOLDER}/{call.name}{closing.SUFFIX}": closing.encode(proof)}


def request_files(desk: Desk) -> dict[str, bytes]:
    return {"request.json": desk.ask(desk.call).read_bytes()} | call_files(desk)


def brought(desk: Desk, files: dict[str, bytes]) -> str:
    path = desk.root / "brought.tar"
    path.write_bytes(pack(files))
    return str(path)


class TestAnotherProcessOrPage:
    def test_every_path_needs_the_session_and_every_form_its_token(self, run: InThread) -> None:
        browser, stranger = run.browser, run.stranger()
        inside = [one for one in pages.make_app(run.program).routes if one.path.startswith(browser.room)]  # type: ignore[attr-defined]
        assert len(inside) > 30
        for route in inside:
            path, methods = route.path, route.methods  # type: ignore[attr-defined]
            path = path.replace("{call_id}", CALL_ID)
            for method in methods - {"HEAD"}:
                own = {"origin": browser.url}
                assert stranger.request(method, path, headers=own).status_code == 403, path
                if method == "POST":
                    token = {secure.FIELD: secure.token_of(str(browser.client.cookies.get("linetap-custody")))}
                    foreign = {"origin": "https://evil.example"}
                    assert browser.client.post(path, headers=own).status_code == 400, path
                    assert browser.client.post(path, data=token, headers=foreign).status_code == 400, path
                    site = own | {"sec-fetch-site": "cross-site"}
                    assert browser.client.post(path, data=token, headers=site).status_code == 403, path
        assert run.program.settings.name == HAN

    def test_a_name_that_leads_here_from_outside(self, run: InThread) -> None:
        for host in ("evil.example", "localhost", "[::1]"):
            port = run.browser.url.rpartition(":")[2]
            answer = run.browser.client.get(f"{run.browser.room}/", headers={"host": f"{host}:{port}"})
            assert answer.status_code == 421

    def test_a_key_that_only_the_form_names(self, run: InThread, desk: Desk) -> None:
        run.browser.do("/choose", what="archive", path=brought(desk, request_files(desk)))
        for path in (str(desk.rig.custodian_files[0]), "/etc/passwd", ""):
            assert "choose your key" in run.browser.refused("/unwrap", identity=path)

    def test_what_is_chosen_is_what_it_should_be(self, run: InThread, desk: Desk) -> None:
        browser = run.browser
        for what, path in (
            ("identities", desk.root / "roles.json"), ("signing", desk.root / "roles.json"), ("ca", desk.root / KIM),
            ("table", desk.root / KIM), ("output", desk.root / "roles.json"), ("archive", desk.root),
            ("archive", desk.root / "none.tar"), ("bundle", desk.root / "roles.json"),
        ):  # fmt: skip
            browser.refused("/choose", what=what, path=str(path))
        assert browser.post("/choose", what="desk", path=str(desk.root)).status_code == 400
        assert browser.post("/remove", what="desk", path="x").status_code == 400
        assert run.program.settings.identities == [str(desk.rig.epoch_file)]

    def test_a_file_that_cannot_be_written_is_named(self, run: InThread) -> None:
        """A step's own file, and not one of the command that it runs."""
        place = run.program.desk_folder / settings.NAME
        place.unlink(missing_ok=True)
        place.mkdir()
        assert f"{settings.NAME}: Is a directory" in run.browser.refused("/settings", desk="", name=HAN)

    def test_a_desk_that_is_none(self, run: InThread) -> None:
        for url in ("http://desk.example", "https://", "file:///etc", "https://desk.example/x", "https://x:99999"):
            run.browser.refused("/settings", desk=url, name="")
        assert run.program.settings.desk == ""


BAD = {
    "upwards": {"../../out/x": b"x"},
    "backslashes": {"..\\x": b"x"},
    "a drive": {"C:x": b"x"},
    "a stream": {"request.json:x": b"x"},
    "a device": {"partial/nul.age": b"x"},
    "two calls": {"calls/20261124T225700.000Z-L04/record.json": b"x"},
    "a hold that is none": {holdrequest.NAME: b"{}"},
}


class TestWhatTheDeskBrings:
    @pytest.mark.parametrize("trick", BAD)
    def test_an_archive_that_no_desk_packs(self, run: InThread, desk: Desk, trick: str) -> None:
        page = run.browser.refused("/choose", what="archive", path=brought(desk, request_files(desk) | BAD[trick]))
        assert "package_malformed" in page
        assert run.program.open is None
        assert not list((desk.root / "out").iterdir())

    def test_neither_a_request_nor_a_hold(self, run: InThread, desk: Desk) -> None:
        files = {"allowed_signers": desk.rig.signers_file.read_bytes()}
        run.browser.refused("/choose", what="archive", path=brought(desk, files))

    def test_another_call_than_the_request_or_the_hold_names(self, run: InThread, desk: Desk) -> None:
        files = {"request.json": desk.ask(desk.call).read_bytes()} | call_files(desk, desk.other)
        run.browser.refused("/choose", what="archive", path=brought(desk, files))
        files = {holdrequest.NAME: holdrequest.encode(ASKED)} | call_files(desk, desk.other)
        run.browser.refused("/choose", what="archive", path=brought(desk, files))

    def test_a_call_that_was_changed_is_not_approved(self, run: InThread, desk: Desk) -> None:
        run.program.keep(name=KIM, signing=str(desk.root / KIM))
        files = request_files(desk)
        record = f"calls/{CALL_ID}/record.json"
        files[record] = files[record].replace(b'"line":3', b'"line":4')
        run.browser.do("/choose", what="archive", path=brought(desk, files))
        assert "call_not_as_sealed" in run.browser.refused("/approve")
        assert not list((desk.root / "out").iterdir())
        assert desk.steps()[-1] == ("approve", "refused", "call_not_as_sealed")

    def test_a_step_is_taken_again_after_a_full_medium(
        self, run: InThread, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Approval and hold: what they made before their file for the desk did not fit would stand in the way."""
        run.program.keep(name=KIM, signing=str(desk.root / KIM))
        out, write = desk.root / "out", privatefile.write
        full = [True]

        def writes(path: Path, data: bytes) -> None:
            if full[0] and path.parent == out:
                raise BadInput(f"{path}: No space left on device")
            write(path, data)

        monkeypatch.setattr(privatefile, "write", writes)
        run.browser.do("/choose", what="archive", path=brought(desk, request_files(desk)))
        assert "No space left" in run.browser.refused("/approve")
        full[0] = False
        assert f"verified: {CALL_ID}" in run.browser.do("/approve")
        assert len(list(out.glob("*.sig"))) == 1

        full[0] = True
        run.program.keep(name=HAN, signing=str(desk.root / HAN))
        held = {holdrequest.NAME: holdrequest.encode(ASKED)} | call_files(desk)
        run.browser.do("/choose", what="archive", path=brought(desk, held))
        words = {"identity": str(desk.rig.epoch_file), "to": keys.new_identity().recipient}
        assert "No space left" in run.browser.refused("/hold", **words)
        full[0] = False
        run.browser.do("/hold", **words)
        assert len(list(out.glob("*.command"))) == 1

    def test_no_layer_comes_off_without_approvals(self, run: InThread, desk: Desk) -> None:
        run.browser.do("/choose", what="archive", path=brought(desk, request_files(desk)))
        assert "approvals_missing" in run.browser.refused("/unwrap", identity=str(desk.rig.epoch_file))
        assert not list((desk.root / "out").iterdir())

    def test_a_hold_goes_to_the_unit_that_sealed_the_call(self, run: InThread, desk: Desk) -> None:
        """For any unit named by the desk."""
        other = HoldRequest(id="H1", unit="floor-99", call_id=CALL_ID, case="2026-118", basis="Act", until=ASKED.until)
        run.browser.do(
            "/choose",
            what="archive",
            path=brought(desk, {holdrequest.NAME: holdrequest.encode(other)} | call_files(desk)),
        )
        to = keys.new_identity().recipient
        run.browser.do("/hold", identity=str(desk.rig.epoch_file), to=to)
        envelope = strict.decode((desk.root / "out/H1.command").read_bytes(), Envelope)
        command = document.decode(envelope.command.encode(), Command)
        assert (command.unit, command.verb, command.role) == (UNIT, "hold", "vault")

    def test_text_of_the_desk_is_text(self, run: InThread, desk: Desk) -> None:
        evil = HoldRequest(
            id="H1", unit="<script>", call_id=CALL_ID, case="--key=x", basis='"><img src=x>', until="--desk=/"
        )
        page = run.browser.do(
            "/choose",
            what="archive",
            path=brought(desk, {holdrequest.NAME: holdrequest.encode(evil)} | call_files(desk)),
        )
        assert "<script>" not in page
        assert "<img" not in page
        to = keys.new_identity().recipient
        assert "--until" in run.browser.refused("/hold", identity=str(desk.rig.epoch_file), to=to)
        assert not list((desk.root / "out").glob("*.command"))

    def test_a_bundle_with_a_time_stamp(self, run: InThread, bundled: BundleRig) -> None:
        """It is refused until the authority's certificate is chosen; that is no fault of a bundle without one."""
        run.program.signers.write_bytes(bundled.rig.signers_file.read_bytes())
        assert bundled.bundle(f"--stamps={bundled.root / 'stamps'}", f"--tsa-ca={bundled.ca}") == 0
        assert bundled.bundle(name="plain.zip") == 0
        path = {name: str(bundled.root / f"{name}.zip") for name in ("case", "plain")}
        assert "is not chosen yet: settings" in run.browser.refused("/choose", what="bundle", path=path["case"])
        run.browser.refused("/choose", what="tsa", path=str(bundled.rig.signers_file))
        run.browser.choose("tsa", bundled.ca)
        assert "ok   time stamp of closet-3f" in run.browser.do("/choose", what="bundle", path=path["case"])
        assert "ok   bundle plain.zip" in run.browser.do("/choose", what="bundle", path=path["plain"])

    def test_a_bundle_that_was_changed(self, run: InThread, desk: Desk) -> None:
        path = desk.root / "case.zip"
        path.write_bytes(b"PK\3\4" + bytes(100))
        run.browser.refused("/choose", what="bundle", path=str(path))


def test_settings_hold_no_more_than_they_should(tmp_path: Path) -> None:
    kept = settings.Settings(name="김소라", identities=["/media/a/2027-01-24.txt"])
    settings.save(tmp_path, kept)
    assert settings.load(tmp_path) == kept
    assert (tmp_path / settings.NAME).stat().st_mode & 0o777 == 0o600
    for data in (b"[]", b"{", b'{"desk": 1}', b'{"secret": "x"}', json.dumps({"index": ["x"] * 21}).encode()):
        (tmp_path / settings.NAME).write_bytes(data)
        with pytest.raises(BadInput, match=settings.NAME):
            settings.load(tmp_path)


def test_a_role_sees_its_own(run: InThread) -> None:
    browser = run.browser
    assert "/one-time" not in browser.get("/")
    assert "/find" in browser.get("/")
    run.program.keep(name=KIM)
    assert "/find" not in browser.get("/")
    run.program.keep(name="")
    assert "/one-time" in browser.get("/")


def test_folders_are_listed_and_bounded(run: InThread, desk: Desk) -> None:
    (desk.root / "많은 것").mkdir()
    for number in range(305):
        (desk.root / "많은 것" / f"{number}.tar").write_bytes(b"")
    (desk.root / "많은 것" / ".hidden.tar").write_bytes(b"")
    page = run.browser.client.get(f"{run.browser.room}/choose", params={"what": "archive", "at": str(desk.root)}).text
    assert "많은 것" in page
    at = {"what": "archive", "at": str(desk.root / "많은 것")}
    page = run.browser.client.get(f"{run.browser.room}/choose", params=at).text
    assert page.count(".tar</button>") == 300
    assert ".hidden" not in page
    gone = run.browser.client.get(f"{run.browser.room}/choose", params={"what": "archive", "at": "/nowhere"})
    assert gone.status_code == 409


@pytest.fixture
def page(run: InThread) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(base_url=run.browser.url, viewport={"width": 960, "height": 900})
        name, value = next((cookie.name, str(cookie.value)) for cookie in run.browser.client.cookies.jar)
        page.context.add_cookies([{"name": name, "value": value, "url": run.browser.url + run.browser.room}])
        yield page


def test_its_pages_are_accessible(run: InThread, desk: Desk, page: Page) -> None:
    hold = brought(desk, {holdrequest.NAME: holdrequest.encode(ASKED)} | call_files(desk))
    rooms = ("/days", "/sign", "/second", "/certificate", "/draft", "/destroy")
    for path in ("/", "/settings", f"/choose?what=archive&at={desk.root}", *rooms, "/papers"):
        if path == "/papers":
            run.browser.do("/choose", what="archive", path=hold)
        page.goto(run.browser.room + path)
        require_accessible(page)
    run.browser.do("/choose", what="archive", path=brought(desk, request_files(desk)))
    run.program.keep(name="")
    page.goto(f"{run.browser.room}/papers")
    require_accessible(page)
