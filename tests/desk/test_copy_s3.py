# SPDX-License-Identifier: Apache-2.0
"""A store behind S3's protocol. The server is moto's (Debian's python3-moto)."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from copy_rig import UNIT, Units, contents

from broker import HOST, until
from ingest_rig import rows
from linetap_bench.stage.servers import free_port
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import closing
from linetap_desk.copy.s3 import open_store
from linetap_desk.ingest import tables

SERVER = shutil.which("moto_server")
pytestmark = [
    pytest.mark.skipif(
        SERVER is None or importlib.util.find_spec("boto3") is None,
        reason="needs boto3, and moto_server (python3-moto)",
    ),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),  # Debian's botocore
]
END_S = 120


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        server = subprocess.Popen([SERVER or "", "-H", HOST, "-p", str(port)], stdout=log, stderr=log)
    try:
        until(lambda: listens(port), 120)
        yield f"http://{HOST}:{port}"
    finally:
        server.kill()
        server.wait(END_S)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    urllib.request.urlopen(f"{endpoint}/moto-api/reset", b"", END_S).close()
    client = importlib.import_module("boto3").client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="copies")
    return client


def inside(client: Any, prefix: str = "") -> dict[str, bytes]:
    found = client.list_objects_v2(Bucket="copies", Prefix=prefix).get("Contents", ())
    return {each["Key"]: client.get_object(Bucket="copies", Key=each["Key"])["Body"].read() for each in found}


def test_a_call_comes_whole_and_goes_whole(client: Any, endpoint: str, tmp_path: Path) -> None:
    store = f"s3://copies/desk/seoul?endpoint={endpoint}"
    clock = ManualClock(parse_rfc3339("2026-11-25T01:00:00Z"), 5 * NS_PER_S)
    units = Units(tmp_path, clock, store=store, incoming=str(tmp_path / "incoming"))
    try:
        record, other = units.sealed_call(1, 300_000), units.sealed_call(2, days=90)
        found = units.log(record)
        units.serve()
        place = f"desk/seoul/{UNIT}/{sealed.call_path(record.call_id)}/"
        proof = f"desk/seoul/{UNIT}/closing/{sealed.call_path(record.call_id)}.json"
        assert inside(client, proof) == {proof: closing.encode(found)}
        listed = [*open_store(store, tmp_path / "incoming").calls()]
        assert [getattr(one, "call_id", one) for one in listed] == [record.call_id, other.call_id]
        assert inside(client, place) == {
            f"{place}{name}": data for name, data in contents(units.folder_of(record.call_id)).items()
        }
        assert not list((tmp_path / "incoming").glob("*/*"))
        clock.advance(61 * 86_400 * NS_PER_S)
        units.tell("started", "20270125T010000.000Z-L02", clock.utc_ns())
        units.serve()
        assert not inside(client, place)
        assert not inside(client, proof)
        units.copying._store.put_closing(UNIT, record.call_id, b"late")
        assert not inside(client, proof), "a closing is beside a copy and nowhere else"
        assert len(inside(client)) == len(contents(units.folder_of(other.call_id)))
    finally:
        units.close()


def test_a_server_that_is_away_is_tried_again(client: Any, endpoint: str, tmp_path: Path) -> None:
    store = f"s3://copies?endpoint={endpoint}"
    clock = ManualClock(parse_rfc3339("2026-11-25T01:00:00Z"), 5 * NS_PER_S)
    units = Units(tmp_path, clock, store=store, incoming=str(tmp_path / "incoming"))
    try:
        client.delete_bucket(Bucket="copies")
        units.sealed_call(1)
        units.serve()
        assert not rows(units.engine, tables.copies)
        client.create_bucket(Bucket="copies")
        clock.advance(31 * NS_PER_S)
        units.serve()
        assert len(inside(client)) == 5
    finally:
        units.close()


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("url", ["s3://", "s3:///x", "s3://absent", "s3://copies?endpont=x", "s3://copies#x"])
def test_what_is_no_bucket_is_refused_on_one_line(endpoint: str, tmp_path: Path, url: str) -> None:
    url = f"{url}?endpoint={endpoint}" if "absent" in url else url
    with pytest.raises(BadInput, match=r"copy\.store s3:") as caught:
        open_store(url, tmp_path / "incoming")
    assert "\n" not in str(caught.value)
