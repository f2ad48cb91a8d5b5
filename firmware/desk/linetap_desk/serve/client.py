# SPDX-License-Identifier: Apache-2.0
"""Where a request comes from, and what it asks for: who is connected to us, or whom a proxy of ours names."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from linetap_desk.serve.settings import Address


def address_of(request: Request, proxies: frozenset[Address]) -> str:
    """The last address of X-Forwarded-For that is no proxy of ours: what stands before it, anybody may have written."""
    address = _address(request.client.host if request.client else "")
    if address is None:
        return ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while address in proxies and forwarded:
        following = _address(forwarded.pop().strip())
        if following is None:
            break
        address = following
    return str(address)


def path_of(request: Request) -> str:
    """As request.url.path, which would keep the whole URL, and what was typed into it, in the cache of urlsplit."""
    path: str = request.scope["path"]
    return path.replace("?", "%3F").replace("#", "%23").replace("\\", "%5C")


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
