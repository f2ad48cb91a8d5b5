# SPDX-License-Identifier: Apache-2.0
"""A page sent in parts: each reaches the browser before the next is rendered, and an error in between neither looks
like a whole page nor discloses data in the journal.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from servesite import LIMIT_S, ServeSite

from linetap_desk.web.pages import PART_END

NUMBER = "010-1234-5678"


def before_part_end(served: ServeSite, wait: Callable[[int], None]) -> None:
    """`wait` is called with the number of each part when it has been rendered, and is not yet sent."""
    made = served.site.pages.page_in_parts
    count = [0]

    class Waiting(str):
        def __html__(self) -> str:
            wait(count[0])
            count[0] += 1
            return str(PART_END)

    def in_parts(*args: Any, **context: Any) -> Any:
        return made(*args, part_end=Waiting(), **context)

    served.site.pages.page_in_parts = in_parts  # type: ignore[method-assign]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_the_head_is_there_before_the_units_are_rendered(tmp_path: Path, encoding: str) -> None:
    head_read = threading.Event()

    def wait(part: int) -> None:
        if part == 1:
            assert head_read.wait(LIMIT_S)

    with ServeSite(tmp_path) as served:
        before_part_end(served, wait)
        watch = served.client("watch")
        with watch.stream("GET", "/fleet", headers={"accept-encoding": encoding}) as answer:
            assert answer.status_code == 200
            assert answer.headers.get("content-encoding", "identity") == encoding
            read = zlib.decompressobj(31).decompress if encoding == "gzip" else bytes
            text = b""
            for piece in answer.iter_raw():
                text += read(piece)
                if not head_read.is_set() and b"</head>" in text:
                    assert b'id="wrong"' not in text
                    head_read.set()
        assert head_read.is_set()
        assert text.decode().rstrip().endswith("</html>")
        assert text.count(b"</head>") == 1


def test_a_fault_after_the_head_is_no_whole_page_and_tells_no_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def wait(part: int) -> None:
        if part == 1:
            raise ValueError(NUMBER)

    with ServeSite(tmp_path) as served:
        before_part_end(served, wait)
        watch = served.client("watch")
        with pytest.raises(httpx.RemoteProtocolError):
            watch.get("/fleet")
        del served.site.pages.page_in_parts  # the class's own again
        assert watch.get("/fleet").text.rstrip().endswith("</html>")
    assert "page_fault: ValueError at" in caplog.text
    assert NUMBER not in caplog.text
