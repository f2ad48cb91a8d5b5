# SPDX-License-Identifier: Apache-2.0
"""Text that is no JSON, or not of the type, raises ValueError and msgspec's own error.

With Debian's msgspec 0.19, shipped in the image, the second alone would be no ValueError, and a recorder did not start.
"""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from linetap_core import jsontext


class Named(msgspec.Struct):
    name: str


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 5000, b"null x"])
def test_no_json(data: bytes) -> None:
    with pytest.raises(jsontext.NotJson) as raised:
        jsontext.decode(data)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, msgspec.DecodeError)


def test_another_type() -> None:
    with pytest.raises(jsontext.NotOfType, match=r"`str`") as raised:
        jsontext.decode(b'{"name":1}', type=Named)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, msgspec.ValidationError)


@pytest.mark.parametrize("number", [1 << 64, -(1 << 63) - 1, 10**400])
@pytest.mark.parametrize("around", ["%d", '{"a":[{"b":%d}]}', "[[1,%d]]"])
def test_an_integer_beyond_64_bits(number: int, around: str) -> None:
    text = around % number
    for data in (text, text.encode()):
        with pytest.raises(jsontext.NotOfType, match="64 bits"):
            jsontext.decode(data)


@pytest.mark.parametrize("value", [(1 << 64) - 1, -(1 << 63), "9" * 64, {"9" * 64: 1.5}, [0.1234567890123456789]])
def test_long_rows_of_digits_that_are_none(value: object) -> None:
    assert jsontext.decode(msgspec.json.encode(value)) == value


TWO_THREADS = """
import sys, threading
import msgspec
from linetap_core import jsontext
from linetap_core.durable.smallfile import SmallFile

compiling, go_on, done = threading.Event(), threading.Event(), threading.Event()

def slow(kind):
    compiling.set()
    assert go_on.wait(60)
    return kind

class Inner(msgspec.Struct):
    number: "slow(int)"

class Outer(msgspec.Struct):
    inner: Inner

DATA = b'{"inner":{"number":1}}'

def second():
    decode = SmallFile("one", Outer).decode if sys.argv[1] == "file" else jsontext.decoder(Outer).decode
    print(decode(DATA).inner.number)
    done.set()

first = threading.Thread(target=jsontext.decode, args=(DATA, Outer))
first.start()
assert compiling.wait(60)
other = threading.Thread(target=second)
other.start()
assert not done.wait(0.2)  # it waits for the lock; without one, this process ends here
go_on.set()
first.join()
other.join()
"""


@pytest.mark.parametrize("way", ["text", "file"])
def test_two_threads_with_the_first_values_of_a_type(way: str) -> None:
    """msgspec has no lock there, and the process ends by SIGSEGV."""
    done = subprocess.run([sys.executable, "-c", TWO_THREADS, way], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"
