# SPDX-License-Identifier: Apache-2.0
"""A release from the page of a call to the requester's playback, with the real tools everywhere except at
the server.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from release_house import LEGAL, MANAGER, ReleaseHouse, refusal

from linetap_core.codecs import g711
from linetap_core.errors import Refusal
from linetap_desk.custody.package import fetched
from linetap_desk.custody.package import unpack as helper_unpack
from linetap_desk.serve.release import texts
from postgres_rig import Postgres
from release_rig import KIM, LEE, PARK, Desk
from sealing_rig import CALL_ID, TIMEOUT_S, noise

ROOT = Path(__file__).parents[2]
SAMPLES = 20_000


@pytest.fixture
def house(desk: Desk) -> Iterator[ReleaseHouse]:
    house = ReleaseHouse(desk)
    with house.served:
        yield house
    house.engine.dispose()


def at_desk(desk: Desk, words: list[object], stdin: bytes = b"") -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LINETAP_DESK": str(desk.folder)}
    done = subprocess.run(
        [str(word) for word in words], cwd=desk.root, env=environment, input=stdin, capture_output=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def unpack(data: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=BytesIO(data), mode="r:") as archive:
        archive.extractall(folder, filter="data")


def test_from_the_page_to_the_wav_with_the_real_tools(house: ReleaseHouse) -> None:
    desk, root = house.desk, house.desk.root
    request_id = house.asked()
    one_time = at_desk(desk, ["linetap", "release", "key", request_id, "-o", "one-time.txt"]).strip()
    assert house.key(request_id, one_time).status_code == 303
    request = house.request(request_id)

    approver = root / "at-the-approver"
    unpack(house.client(MANAGER).get(f"/release/{request_id}/call").content, approver)
    assert (approver / "request.json").read_bytes() == request.read_bytes()
    assert not list(approver.rglob("audio*"))
    words = ["linetap", "release", "approve", approver / "request.json", "--key", KIM, "--name", KIM]
    assert f"verified: {CALL_ID}, line 3 of closet-3f" in at_desk(desk, [*words])
    signed = (approver / "request.json.privacy.sig").read_bytes()
    assert house.approve(request_id, MANAGER, signed).status_code == 303
    at_desk(desk, ["ssh-keygen", "-Y", "sign", "-n", "linetap-release", "-f", root / PARK, request])
    signed = request.with_name(f"{request.name}.sig").read_bytes()
    assert house.approve(request_id, LEGAL, signed).status_code == 303

    vault = root / "at-the-vault"
    unpack(house.client("vault").get(f"/release/{request_id}/vault").content, vault)
    assert not list(vault.rglob("audio*"))
    page = house.client("vault").get(f"/release/{request_id}").text
    (line,) = re.findall(r"linetap unwrap .*", page)
    typed = [word.replace("<", "") for word in line.replace("</pre>", "").split()]
    typed = [str(desk.rig.epoch_file) if word == "EPOCH.txt" else word for word in typed]
    at_desk(desk, ["sh", "-c", f"cd {vault} && {' '.join(typed)}"])
    inner = (vault / "INNER.age").read_bytes()
    assert house.bring(f"/release/{request_id}/unwrap", inner, "vault").status_code == 303

    answer = house.fetch(house.ticket(request_id))
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    package = root / "at-the-custodian"
    unpack(answer.content, package)
    call = package / "calls" / CALL_ID
    assert {path.name: path.read_bytes() for path in call.iterdir()} == {
        path.name: path.read_bytes() for path in desk.call.iterdir()
    }
    at_desk(desk, [
        "linetap", "open", call, "--identity", desk.rig.custodian_files[0], "--identity", "one-time.txt",
        "--inner", package / f"inner/{CALL_ID}.age", "--signers", package / "allowed_signers",
        "--request", package / "request.json", "--for", desk.requester.recipient, "-o", "call.wav.age",
    ])  # fmt: skip
    at_desk(desk, ["age", "-d", "-i", "requester.txt", "-o", "call.wav", "call.wav.age"])
    with wave.open(str(root / "call.wav"), "rb") as wav:
        assert wav.readframes(SAMPLES + 1) == g711.decode(np.frombuffer(noise(SAMPLES), np.uint8)).tobytes()
    assert house.close(request_id, outcome="given").status_code == 303

    deeds = [(who, act) for who, act, outcome, _ in house.log() if outcome == "done"]
    assert deeds == [
        ("officer", "request_ask"), ("custodian", "request_key"), (MANAGER, "request_approve"),
        (LEGAL, "request_approve"), ("vault", "request_unwrap"), ("custodian", "request_ticket"),
        ("custodian", "export"), ("custodian", "request_close"),
    ]  # fmt: skip
    assert {(who, "export", "shown", "") for who in ("vault", MANAGER)} <= set(house.log())
    require_no_secret(house, (root / "one-time.txt").read_text(), root / "call.wav")


def require_no_secret(house: ReleaseHouse, one_time: str, wav: Path) -> None:
    """Asserts that neither a private key nor a piece of the audio is in the database, beside it, or in the journal."""
    desk = house.desk
    secret = one_time.split("\n")[-2]
    assert secret.startswith("AGE-SECRET-KEY-1")
    clear = {"key": b"AGE-SECRET-KEY", "mu-law": noise(SAMPLES)[4000:4064], "PCM": wav.read_bytes()[8000:8064]}
    clear |= {"one-time": secret.encode(), "ssh": b"OPENSSH PRIVATE KEY"}
    for path in [*house.folder.rglob("*"), *house.copies.rglob("*")]:
        if not path.is_file() or path.name == "serve-log.key":
            continue
        data = path.read_bytes()
        assert [name for name, piece in clear.items() if piece in data] == [], path
    assert noise(SAMPLES)[4000:4064] in desk.rig.joined(desk.call), "the sound that is looked for is the call's"


def test_a_package_by_session_is_that_of_the_ticket(house: ReleaseHouse) -> None:
    request_id = house.unwrapped()
    answer = house.client("custodian").get(f"/release/{request_id}/package")
    assert answer.headers["content-disposition"] == f'attachment; filename="{request_id}.tar"'
    assert answer.content == house.fetch(house.ticket(request_id)).content
    with tarfile.open(fileobj=BytesIO(answer.content), mode="r:") as archive:
        names = archive.getnames()
    assert names[:6] == [
        "request.json", "request.json.legal.sig", "request.json.privacy.sig", "roles.json", "roles.json.sig",
        "allowed_signers",
    ]  # fmt: skip
    assert names[-2:] == [f"inner/{CALL_ID}.age", f"closing/{CALL_ID}.json"]


def test_the_custodians_helper_takes_it(house: ReleaseHouse, tmp_path: Path) -> None:
    request_id = house.unwrapped()
    ticket = house.ticket(request_id)
    with fetched(house.served.url, house.served.ca, ticket) as source:
        package = helper_unpack(source, tmp_path)
    assert package.request.id == request_id
    assert package.inner(CALL_ID).read_bytes().startswith(b"age-encryption.org/v1\n")
    with pytest.raises(Refusal, match="401"), fetched(house.served.url, house.served.ca, ticket):
        pass


def test_the_lists_of_each(house: ReleaseHouse) -> None:
    request_id = house.keyed(case="<script>alert(1)</script>")

    def under(role: str) -> str:
        page = house.client(role).get("/release").text
        assert "<script>alert" not in page
        return str(re.findall(r"<h2 id=\"(\w+)\"", page.partition(f">{request_id}<")[0])[-1])

    assert {role: under(role) for role in (LEGAL, "vault", "custodian", "officer", "auditor")} == {
        LEGAL: "mine", "vault": "open", "custodian": "open", "officer": "open", "auditor": "open",
    }  # fmt: skip
    assert refusal(house.close(request_id, "officer")) == "no_remark"
    assert house.close(request_id, "officer", remark="asked for the wrong call").status_code == 303
    assert under(LEGAL) == "closed"


def test_the_same_in_postgresql_where_two_come_at_once(desk: Desk) -> None:
    with Postgres() as server:
        house = ReleaseHouse(desk, more=f'db = "{server.url}"')
        with house.served:
            request_id = house.keyed()
            sigs = {name: house.signature(request_id, name) for name in (PARK, LEE)}
            for name in sigs:
                house.client(LEGAL, name)
            with ThreadPoolExecutor() as pool:
                answers = list(pool.map(lambda name: house.approve(request_id, LEGAL, sigs[name], name), sigs))
            assert sorted(map(refusal, answers)) == ["303", "approvers_same_role"]
            assert house.approve(request_id, MANAGER).status_code == 303
            half = house.half(request_id)
            assert house.bring(f"/release/{request_id}/unwrap", half, "vault").status_code == 303
            ticket = house.ticket(request_id)
            with ThreadPoolExecutor() as pool:
                fetched_by = [answer.status_code for answer in pool.map(house.fetch, [ticket] * 4)]
            assert sorted(fetched_by) == [200, 401, 401, 401]
            assert house.asked() == f"{request_id[:5]}0002"
            assert house.client("auditor").get("/release").status_code == 200
        house.engine.dispose()


def test_the_page_names_every_code() -> None:
    documents = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("desk-release", "release", "commands"))
    said = set(texts.REFUSAL)
    for path in (ROOT / "firmware/desk/linetap_desk/serve/release").glob("*.py"):
        said |= set(re.findall(r'(?:StepFault|NotReleased)\(\s*"([a-z_]+)"', path.read_text()))
    assert len(said) > 40
    assert {code for code in said if f"`{code}`" not in documents} == set()
    assert said - texts.REFUSAL.keys() == set()
