# SPDX-License-Identifier: Apache-2.0
"""The command `update`: versions, names of bundles, and their addresses. A version is three numbers, like RAUC's."""

from __future__ import annotations

from urllib.parse import urlsplit

from linetap_core.errors import BadInput
from linetap_core.wire.hosts import is_host

PATTERN = r"^(0|[1-9][0-9]{0,4})(\.(0|[1-9][0-9]{0,4})){2}\Z"
LARGEST_BYTES = 1 << 30
_EXAMPLE = "https://updates.city.example/linetap-0.2.0.raucb"


def bundle_name(version: str) -> str:
    return f"linetap-{version}.raucb"


def check_url(url: str) -> None:
    """Raises BadInput unless the URL is HTTPS, without name and password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and is_host(parts.hostname or "") and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good or parts.fragment or not (url.isascii() and url.isprintable()) or " " in url:
        raise BadInput(f"url: {_EXAMPLE} expected")


def is_older(version: str, than: str) -> bool:
    """Whether a version is older than another; both must match PATTERN."""
    return _numbers(version) < _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
