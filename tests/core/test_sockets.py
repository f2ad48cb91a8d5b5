# SPDX-License-Identifier: Apache-2.0
"""The socket between two services: whole messages, known peers, and a peer that may be absent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from linetap.sockets import MAX_MESSAGE, MAX_PEERS, Listener, SocketClient
from linetap_core.errors import DeviceFault

WAIT_S = 10.0
NOBODY = 65534
# Connects and prints the result: the kernel's error, or the disconnection.
STRANGER = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(30)
try:
    s.connect(sys.argv[1])
    s.send(b"hello")
    print("sent", flush=True)
    print("hung up" if s.recv(10) == b"" else "answered")
except ConnectionResetError:
    print("hung up")
except OSError as error:
    print(error.strerror)
"""


@pytest.fixture
def path(run_dir: Path) -> Path:
    return run_dir / "capture@1.sock"


@pytest.fixture
def listener(path: Path) -> Iterator[Listener]:
    made = Listener(path)
    yield made
    made.close()


def heard(listener: Listener, count: int) -> list[bytes]:
    """The next `count` messages; each poll waits up to the deadline, and twice as many polls as events suffice."""
    found: list[bytes] = []
    for _ in range(4 * count + 4):
        if len(found) >= count:
            break
        found += [data for _, data in listener.poll(WAIT_S)]
    return found


def test_messages_come_whole_and_in_order(listener: Listener, path: Path) -> None:
    caller = SocketClient(path)
    sent = [b"one", b"two", b"x" * MAX_MESSAGE]
    for message in sent:
        caller.send(message)
    assert heard(listener, 3) == sent
    caller.close()


def test_an_answer_goes_back_to_who_asked(listener: Listener, path: Path) -> None:
    first, second = SocketClient(path), SocketClient(path)
    first.send(b"first")
    second.send(b"second")
    answered = 0
    while answered < 2:
        for peer, data in listener.poll(WAIT_S):
            peer.send(b"re: " + data)
            answered += 1
    assert (first.answers(), second.answers()) == ([b"re: first"], [b"re: second"])
    assert first.answers() == []
    first.close()
    second.close()


def test_polling_an_idle_socket_does_not_wait(listener: Listener) -> None:
    assert list(listener.poll()) == []


def test_nobody_there(path: Path) -> None:
    caller = SocketClient(path)
    assert caller.answers() == []
    with pytest.raises(DeviceFault, match="No such file") as caught:
        caller.send(b"hello")
    assert caught.value.code == "peer_absent"


def test_a_service_that_came_back_is_found_again(path: Path) -> None:
    first = Listener(path)
    caller = SocketClient(path)
    caller.send(b"one")
    assert heard(first, 1) == [b"one"]
    first.close()
    with pytest.raises(DeviceFault):
        caller.send(b"lost")
    second = Listener(path)
    caller.send(b"two")
    assert heard(second, 1) == [b"two"]
    caller.close()
    second.close()


def test_a_socket_left_by_a_dead_service_is_taken_over(path: Path) -> None:
    """A killed service leaves the file: bound and never unlinked."""
    abandoned = Listener(path)
    abandoned._socket.close()
    assert path.exists()
    fresh = Listener(path)
    caller = SocketClient(path)
    caller.send(b"one")
    assert heard(fresh, 1) == [b"one"]
    caller.close()
    fresh.close()
    assert not path.exists()


def test_a_peer_that_went_is_forgotten(listener: Listener, path: Path) -> None:
    for i in range(3 * MAX_PEERS):
        caller = SocketClient(path)
        caller.send(b"%d" % i)
        assert heard(listener, 1) == [b"%d" % i]
        caller.close()
        assert list(listener.poll(WAIT_S)) == []


def test_one_peer_too_many_is_hung_up_on(listener: Listener, path: Path) -> None:
    callers = [SocketClient(path) for _ in range(MAX_PEERS)]
    for caller in callers:
        caller.send(b"x")
        assert heard(listener, 1) == [b"x"]
    late = SocketClient(path)
    late.send(b"late")
    assert list(listener.poll(WAIT_S)) == []
    assert late.answers() == []
    callers[0].send(b"still here")
    assert heard(listener, 1) == [b"still here"]
    for caller in [*callers, late]:
        caller.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_strange_uid_is_hung_up_on_and_a_known_one_heard(run_dir: Path, path: Path) -> None:
    for allowed in (False, True):
        listener = Listener(path, *(["nobody", "nobody-of-that-name"] if allowed else []))
        run_dir.chmod(0o755)
        assert _stranger(path) == "Permission denied"  # by the file's mode already
        path.chmod(0o666)
        with _start_stranger(path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "sent\n"
            messages = list(listener.poll(WAIT_S)) + list(listener.poll(WAIT_S if allowed else 0))
            for peer, _ in messages:
                peer.send(b"hello yourself")
            out, _ = process.communicate(timeout=60)
        assert [data for _, data in messages] == ([b"hello"] if allowed else [])
        assert out.strip() == ("answered" if allowed else "hung up")
        listener.close()


def _start_stranger(path: Path) -> subprocess.Popen[str]:
    command = ["/usr/bin/python3", "-c", STRANGER, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, user=NOBODY, group=NOBODY, cwd="/")


def _stranger(path: Path) -> str:
    with _start_stranger(path) as process:
        out, _ = process.communicate(timeout=60)
    return out.strip()
