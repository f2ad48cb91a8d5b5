# SPDX-License-Identifier: Apache-2.0
"""Stores copies in an S3-compatible store: `<prefix>/<unit>/2026/11/24/<call_id>/<file>`, the record's signature last;
and chooses the store by its URL.

A call is complete once record.json.sig exists. boto3 finds the credentials in its usual places (AWS_ACCESS_KEY_ID,
~/.aws/credentials). The bucket must have no versioning, which would keep removed data.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from linetap_core.clock import utc_ns_of
from linetap_core.durable.files import DIRECTORY_MODE, restrict_to_group
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.copy.store import Store, Stored, Tree

EXAMPLE = "s3://bucket/prefix?endpoint=https://s3.example expected"
_OPTIONS = {"endpoint", "region"}
_REGION = "us-east-1"  # signatures name a region; most private stores ignore it
_CONNECT_S, _READ_S, _ATTEMPTS = 10, 60, 3


class Bucket:
    def __init__(self, url: SplitResult, incoming: Path) -> None:
        """BadInput if the bucket or boto3 is missing."""
        options = dict(parse_qsl(url.query, keep_blank_values=True))
        if not url.netloc or options.keys() - _OPTIONS or url.fragment or url.username:
            raise BadInput(f"copy.store {url.geturl()}: {EXAMPLE}")
        try:
            boto3, core = importlib.import_module("boto3"), importlib.import_module("botocore.config")
        except ModuleNotFoundError:
            raise BadInput(f"copy.store {url.geturl()}: this needs boto3, which Debian has as python3-boto3") from None
        self.incoming = incoming
        self._bucket, self._prefix = url.netloc, url.path.strip("/")
        self._faults: Any = importlib.import_module("botocore.exceptions")
        # Only our own checksums: older stores refuse the trailers that newer clients add by default.
        config = core.Config(
            connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": _ATTEMPTS},
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
        )  # fmt: skip
        try:
            with self._translated_errors():
                self._client: Any = boto3.client(
                    "s3",
                    endpoint_url=options.get("endpoint"),
                    region_name=options.get("region", _REGION),
                    config=config,
                )
                self._client.head_bucket(Bucket=self._bucket)
            incoming.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            restrict_to_group(incoming)
        except (ValueError, OSError) as error:
            raise BadInput(f"copy.store {url.geturl()}: {error}") from None

    def put(self, unit: str, call_id: str, folder: Path) -> None:
        names = fetch.ordered(path.name for path in folder.iterdir())
        names.sort(key=lambda name: (name == sealed.SIGNATURE, name))
        with self._translated_errors():
            for name in names:
                with (folder / name).open("rb") as file:
                    md5 = base64.b64encode(
                        hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
                    )
                    file.seek(0)
                    self._client.put_object(
                        Bucket=self._bucket, Key=f"{self._place(unit, call_id)}{name}", Body=file,
                        ContentMD5=md5.decode("ascii"),
                    )  # fmt: skip
        shutil.rmtree(folder)

    def put_closing(self, unit: str, call_id: str, data: bytes) -> None:
        self._put_beside(unit, call_id, [(self._closing(unit, call_id), data)])

    def put_amendment(self, unit: str, call_id: str, number: int, data: bytes, signature: str) -> None:
        key = f"{self._amended(unit, call_id)}{number:03d}.json"
        self._put_beside(unit, call_id, [(key + namespaces.SUFFIX, signature.encode("ascii")), (key, data)])

    def _put_beside(self, unit: str, call_id: str, files: list[tuple[str, bytes]]) -> None:
        """Stores files beside the call's copy; does nothing without a copy."""
        with self._translated_errors():
            copy = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._place(unit, call_id), MaxKeys=1)
            for key, data in files if copy.get("Contents") else []:
                md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode("ascii")
                self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentMD5=md5)

    def _amended(self, unit: str, call_id: str) -> str:
        return "/".join(filter(None, (self._prefix, unit, amendment.FOLDER, f"{call_id}.")))

    def remove(self, unit: str, call_id: str) -> None:
        shutil.rmtree(self.incoming / unit / call_id, ignore_errors=True)
        place = self._place(unit, call_id)
        with self._translated_errors():
            self._client.delete_object(Bucket=self._bucket, Key=self._closing(unit, call_id))
            beside = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._amended(unit, call_id))
            for each in beside.get("Contents", ()):
                self._client.delete_object(Bucket=self._bucket, Key=each["Key"])
            found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=place)
            keys = [each["Key"] for each in found.get("Contents", ())]  # a call's files fit one page
            for key in [f"{place}{sealed.KEY}", *keys]:
                self._client.delete_object(Bucket=self._bucket, Key=key)
            if found.get("IsTruncated"):
                raise OSError(f"{place}: there are more files than a call has")

    def probe(self) -> None:
        with self._translated_errors():
            self._client.head_bucket(Bucket=self._bucket)

    def calls(self) -> Iterator[Stored | str]:
        for place, found in itertools.groupby(self._objects(), lambda one: str(one["Key"]).rpartition("/")[0]):
            its = {str(one["Key"]).rpartition("/")[2]: one for one in found}
            name = place.removeprefix(self._prefix).strip("/")
            unit, call_id = name.partition("/")[0], name.rpartition("/")[2]
            if name.startswith((f"{unit}/{closing.FOLDER}/", f"{unit}/{amendment.FOLDER}")):
                continue
            try:
                if f"{place}/" != self._place(unit, call_id) or not {sealed.RECORD, sealed.SIGNATURE} <= its.keys():
                    yield name
                    continue
                record = self._begin_of(f"{place}/{sealed.RECORD}", sealed.RECORD_LIMIT_BYTES)
                signature = self._begin_of(f"{place}/{sealed.SIGNATURE}", sshsig.SIGNATURE_LIMIT_BYTES)
            except BadInput:
                yield name
                continue
            at_ns = utc_ns_of(its[sealed.SIGNATURE]["LastModified"])
            yield Stored(unit, call_id, frozenset(its), record, signature, at_ns)

    def _objects(self) -> Iterator[dict[str, Any]]:
        """All objects in the order of their keys, fetched in pages."""
        continuation: dict[str, str] = {}
        while True:
            with self._translated_errors():
                prefix = f"{self._prefix}/" if self._prefix else ""
                found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **continuation)
            yield from found.get("Contents", ())
            if not found.get("IsTruncated"):
                return
            continuation = {"ContinuationToken": found["NextContinuationToken"]}

    def _begin_of(self, key: str, limit: int) -> bytes:
        with self._translated_errors():
            data: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read(limit + 1)
        return data

    def _place(self, unit: str, call_id: str) -> str:
        return "/".join(filter(None, (self._prefix, unit, str(sealed.call_path(call_id))))) + "/"

    def _closing(self, unit: str, call_id: str) -> str:
        return "/".join(filter(None, (self._prefix, unit, str(closing_path(call_id)))))

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turns the store's errors into an OSError of one line."""
        try:
            yield
        except (self._faults.BotoCoreError, self._faults.ClientError) as error:
            raise OSError(" ".join(str(error).split())) from None


_KINDS = "file:///srv/linetap-copy, or s3://bucket/prefix?endpoint=https://s3.example expected"


def open_store(url: str, incoming: Path | None = None) -> Store:
    """The store of the URL. BadInput if it cannot be used. `incoming`: a local folder for incomplete calls, if the
    store is remote."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadInput(f"copy.store {url}: {_KINDS}") from None
    if parts.scheme == "s3":
        if incoming is None:
            raise BadInput(f"copy.store {url}: copy.incoming, a folder for incomplete copies, is missing")
        return Bucket(parts, incoming)
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise BadInput(f"copy.store {url}: {_KINDS}")
    if incoming is not None:
        raise BadInput("copy.incoming: only for a store s3://; a store file:// has a folder of its own")
    if "\0" in (folder := unquote(parts.path)):
        raise BadInput(f"copy.store {url}: {_KINDS}")
    return Tree(Path(folder))
