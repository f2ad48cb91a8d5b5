# SPDX-License-Identifier: Apache-2.0
"""The reporter's blocks of a call: exact bytes, one block at a time, never more than was permitted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from linetap.reporter.copies import LEAST_BYTES, MOST_WINDOWS, Copies
from linetap_core.clock import NS_PER_MS, ManualClock
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.fetch import BLOCK_BYTES, MOST_BYTES, IndexWindow, Window
from linetap_core.evidence.calls import sealed
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import Topics

CALL = "20261124T225600.123Z-L03"
OTHERS = [f"20261124T225600.123Z-L{line}" for line in range(10, 20)]
FILES = {
    "record.json": b"{}",
    "record.json.sig": b"signature",
    "key.age": bytes(300),
    "audio.001.age": bytes(range(256)) * 1500,
    "audio.002.age": b"second",
    ".record.json.tmp": b"never",
    "notes.txt": b"never",
}


class Sender:
    """The reporter's copies, with a broker that acknowledges on request."""

    def __init__(self, vault: Path) -> None:
        self.folder = vault / sealed.call_path(CALL)
        for call in (CALL, *OTHERS):
            folder = vault / sealed.call_path(call)
            folder.mkdir(parents=True)
            for name, data in FILES.items():
                (folder / name).write_bytes(data)
        self.clock = ManualClock(0, 1)
        self.copies = Copies(vault, vault / "index.list", Topics("floor-03"), self.clock)
        self.sent: list[Message] = []

    def permit(
        self, file: str = "record.json", first: int = 0, most: int = MOST_BYTES, by: bytes = b"1", call: str = CALL
    ) -> None:
        body = Window(call_id=call, file=file, first=first, most=most).body()
        answer = Answer(unit="floor-03", at="", done=True, code="done", text="", granted=body)
        self.copies.answered(msgspec.json.encode(answer), by)

    def send(self, took_ms: int = 0) -> Message | None:
        """The next message, acknowledged after `took_ms`."""
        count = len(self.sent)
        self.copies.send(self._publish)
        if len(self.sent) == count:
            return None
        self.clock.advance(took_ms * NS_PER_MS)
        self.copies.acknowledged(len(self.sent))
        return self.sent[-1]

    def _publish(self, message: Message) -> int:
        self.sent.append(message)
        return len(self.sent)

    def all(self) -> dict[str, bytes]:
        """Sends all blocks; returns the files put together from them. Each block must continue its file."""
        found: dict[str, bytes] = {}
        while (message := self.send()) is not None:
            header = dict(message.more)
            assert header["call"] == CALL
            assert int(header["total"]) == len(FILES[header["file"]])
            before = found.setdefault(header["file"], b"")
            assert int(header["offset"]) == len(before)
            assert 0 < len(message.payload) <= BLOCK_BYTES
            found[header["file"]] = before + message.payload
        return found


@pytest.fixture
def sender(tmp_path: Path) -> Sender:
    return Sender(tmp_path)


def test_a_window_goes_through_the_files_of_a_call_and_no_others(sender: Sender) -> None:
    sender.permit()
    found = sender.all()
    assert list(found) == ["record.json", "record.json.sig", "key.age", "audio.001.age", "audio.002.age"]
    assert all(FILES[name] == data for name, data in found.items())
    assert {(message.topic, message.correlation) for message in sender.sent} == {
        ("linetap/v1/floor-03/reply/fetch", b"1")
    }
    assert all(message.expiry_s and not message.retain for message in sender.sent)


def test_a_window_is_not_exceeded(sender: Sender) -> None:
    sender.permit("audio.001.age", 1000, 200_000)
    assert [len(one.payload) for one in iter(sender.send, None)] == [BLOCK_BYTES, 200_000 - BLOCK_BYTES]
    assert b"".join(one.payload for one in sender.sent) == FILES["audio.001.age"][1000:201_000]


def test_at_most_one_block_is_under_way(sender: Sender) -> None:
    sender.permit()
    for _ in range(5):
        sender.copies.send(sender._publish)
    assert len(sender.sent) == 1
    sender.copies.acknowledged(99)
    sender.copies.send(sender._publish)
    assert len(sender.sent) == 1
    sender.copies.acknowledged(1)
    sender.copies.send(sender._publish)
    assert len(sender.sent) == 2


def test_on_a_slow_line_blocks_get_small_and_on_a_quick_one_large_again(sender: Sender) -> None:
    def size() -> int:
        sender.permit("audio.001.age")
        sender.send(took_ms=1000)
        sender.copies.lost_connection()
        return len(sender.sent[-1].payload)

    assert [size() for _ in range(6)] == [131072, 65536, 32768, 16384, 8192, LEAST_BYTES]
    sender.permit("audio.001.age")
    assert [len(one.payload) for one in iter(sender.send, None)][:3] == [8192, 16384, 32768]


def test_few_windows_wait_and_a_lost_connection_ends_them(sender: Sender) -> None:
    for n in range(10):
        sender.permit("audio.002.age", by=bytes([n]), call=OTHERS[n])
    assert [one.correlation for one in iter(sender.send, None)] == [bytes([n]) for n in range(MOST_WINDOWS)]
    sender.permit()
    sender.copies.send(sender._publish)
    sender.copies.lost_connection()
    assert sender.send() is None


def test_a_call_that_goes_meanwhile_ends_its_window_alone(sender: Sender) -> None:
    sender.permit("audio.001.age")
    sender.permit("audio.002.age", by=b"2", call=OTHERS[0])
    assert sender.send()
    (sender.folder / "audio.001.age").unlink()
    second = sender.send()
    assert second is not None
    assert second.correlation == b"2"


def test_a_desk_that_asks_again_has_forgotten_what_it_asked_before(sender: Sender) -> None:
    sender.permit(by=b"before")
    sender.send()
    sender.permit("audio.002.age", by=b"now")
    assert [one.correlation for one in iter(sender.send, None)] == [b"now"]


def test_a_link_in_the_vault_leads_nowhere(sender: Sender) -> None:
    (sender.folder / "audio.002.age").unlink()
    (sender.folder / "audio.002.age").symlink_to("/etc/passwd")
    sender.permit("audio.002.age")
    assert sender.send() is None


@pytest.mark.parametrize(
    "granted", [{"call_id": CALL, "file": "../x", "from": "0", "most": "1"}, {"call_id": CALL, "copied": "ab" * 32}, {}]
)
def test_what_is_no_window_sends_nothing(sender: Sender, granted: dict[str, str]) -> None:
    answer = Answer(unit="floor-03", at="", done=True, code="done", text="", granted=granted)
    sender.copies.answered(msgspec.json.encode(answer), None)
    sender.copies.answered(b"\xff", None)
    assert sender.send() is None


class TestIndex:
    FIRST, SECOND = "2027-01-24/2026-11-24-001.age", "2027-01-25/2026-11-25-001.age"

    @pytest.fixture
    def indexed(self, tmp_path: Path) -> Sender:
        sender = Sender(tmp_path)
        for name, size in ((self.FIRST, 200_000), (self.SECOND, 10)):
            path = tmp_path / "index" / name
            path.parent.mkdir(parents=True)
            path.write_bytes(bytes(size))
        (tmp_path / "index" / "2027-01-24" / "notes.txt").write_bytes(b"never")
        (tmp_path / "index" / "2027-01-24" / ".2026-11-24-001.age.tmp").write_bytes(b"never")
        (tmp_path / "index.list").write_bytes(b"the list")
        return sender

    def permit(self, sender: Sender, file: str, most: int = MOST_BYTES) -> list[tuple[str, int, int]]:
        """Permits a window of `file`; returns the sent blocks as (name, offset, bytes)."""
        answer = Answer(
            unit="floor-03", at="", done=True, code="done", text="",
            granted=IndexWindow(file=file, first=0, most=most).body(),
        )  # fmt: skip
        sender.copies.answered(msgspec.json.encode(answer), b"7")
        found = []
        while (message := sender.send()) is not None:
            header = dict(message.more)
            assert message.correlation == b"7"
            assert header.keys() == {"index", "offset", "total"}
            found.append((header["index"], int(header["offset"]), len(message.payload)))
        return found

    def test_a_window_goes_through_the_segments_and_nothing_else(self, indexed: Sender) -> None:
        whole = [(self.FIRST, 0, BLOCK_BYTES), (self.FIRST, BLOCK_BYTES, 200_000 - BLOCK_BYTES), (self.SECOND, 0, 10)]
        assert self.permit(indexed, self.FIRST) == whole
        assert self.permit(indexed, self.FIRST, 200_003) == [*whole[:2], (self.SECOND, 0, 3)]

    def test_the_list_is_sent_alone(self, indexed: Sender) -> None:
        assert self.permit(indexed, "list") == [("list", 0, 8)]

    def test_a_segment_that_went_ends_its_window(self, indexed: Sender, tmp_path: Path) -> None:
        (tmp_path / "index" / self.SECOND).unlink()
        (tmp_path / "index" / self.SECOND).symlink_to(tmp_path / "index.list")
        assert self.permit(indexed, self.SECOND) == []
