# SPDX-License-Identifier: Apache-2.0
"""The store that a URL names, opened: a tree of folders, or a bucket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from linetap_core.errors import BadInput
from linetap_desk.copy.s3 import Bucket
from linetap_desk.copy.store import Store, Tree

_KINDS = "file:///srv/linetap-copy, or s3://bucket/prefix?endpoint=https://s3.example would be right"


def open_store(url: str, incoming: Path | None = None) -> Store:
    """BadInput where it is none that can be used. `incoming`: on this machine, where the store is not."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadInput(f"copy.store {url}: {_KINDS}") from None
    if parts.scheme == "s3":
        if incoming is None:
            raise BadInput(f"copy.store {url}: copy.incoming, a folder for what is not whole yet, is missing")
        return Bucket(parts, incoming)
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise BadInput(f"copy.store {url}: {_KINDS}")
    if incoming is not None:
        raise BadInput("copy.incoming: is of use with s3:// alone; a tree has its own")
    return Tree(Path(unquote(parts.path)))
