# SPDX-License-Identifier: Apache-2.0
"""The outbox over cuts, full disks and restarts: no gap, no duplicate, no event reported before it is safe."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.recorder.vault.outbox.outbox import REMEMBERED, Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import sshsig
from linetap_core.records import CallEvent
from linetap_core.vaultformat import outboxfiles
from linetap_core.vaultformat.outboxfiles import GENESIS

UNIT = "closet-3f"
ORIGIN = "SHA256:origin"
ROOMY = 1 << 24
NOTE = "통화 녹음"  # not ASCII, as a reason may be


def sign(data: bytes) -> str:
    return f"-----BEGIN-----\n{hashlib.sha256(data).hexdigest()}\n-----END-----\n"


def event(n: int) -> CallEvent:
    at = f"2026-11-24T22:{n // 60 % 60:02d}:{n % 60:02d}.{n % 1000:03d}Z"
    return CallEvent(seq=0, event="started", at=at, unit="", call_id=f"call-{n}", line=n % 8 + 1, why=NOTE)


def outbox(folder: Path, max_bytes: int = ROOMY) -> Outbox:
    return Outbox(folder, UNIT, sign, ORIGIN, max_bytes)


def everything(folder: Path) -> list[tuple[int, bytes, str]]:
    return OutboxReader(folder).from_seq(1, 1_000_000)


def check_chain(folder: Path) -> list[int]:
    """Asserts that every event is signed, chained to the previous one and numbered without a gap; returns
    their seqs.
    """
    prev, seqs = "", []
    for seq, payload, sig in everything(folder):
        fields = json.loads(payload)
        assert fields["seq"] == seq
        assert (fields["unit"], fields["origin"]) == (UNIT, ORIGIN)
        assert sig == sign(payload)
        assert prev in ("", fields["prev"])
        prev = hashlib.sha256(payload).hexdigest()
        seqs.append(seq)
    assert not seqs or seqs == list(range(seqs[0], seqs[-1] + 1))
    return seqs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vault" / "outbox"


def test_events_are_numbered_chained_and_signed_over_restarts(folder: Path) -> None:
    for start in (0, 5, 10):
        box = outbox(folder)
        assert [box.append(event(n)) for n in range(start, start + 5)] == list(range(start + 1, start + 6))
        box.close()
    assert check_chain(folder) == list(range(1, 16))
    assert json.loads(everything(folder)[0][1])["prev"] == GENESIS
    assert OutboxReader(folder).last_seq() == 15


def test_a_real_signature_holds_for_the_stock_tool(tmp_path: Path, folder: Path) -> None:
    key = keys.new_unit_key()
    (tmp_path / "signers").write_text(f"{UNIT} {keys.public_line(key.public_key())}\n")
    fingerprint = keys.fingerprint(key.public_key())
    Outbox(folder, UNIT, lambda data: sshsig.sign(data, key, "linetap-event"), fingerprint, ROOMY).append(event(1))
    (file,) = folder.glob("*.events")
    recipe = (
        f"cut -c17- {file} | jq -j .sig > {tmp_path}/sig && cut -c17- {file} | jq -j .payload |"
        f" ssh-keygen -Y verify -f {tmp_path}/signers -I {UNIT} -n linetap-event -s {tmp_path}/sig"
    )
    if shutil.which("jq") is None:
        recipe = (
            f"cut -c17- {file} | {sys.executable} -c 'import json,sys; d=json.load(sys.stdin);"
            f' open("{tmp_path}/sig","w").write(d["sig"]); sys.stdout.write(d["payload"])\' |'
            f" ssh-keygen -Y verify -f {tmp_path}/signers -I {UNIT} -n linetap-event -s {tmp_path}/sig"
        )
    done = subprocess.run(["sh", "-c", recipe], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_cut_at_every_byte(folder: Path) -> None:
    box = outbox(folder)
    for n in range(3):
        box.append(event(n))
    box.close()
    (file,) = folder.glob("*.events")
    whole = file.read_bytes()
    starts = [frame.start for frame in outboxfiles.scan(whole)]
    for cut in range(starts[1], len(whole) + 1):
        file.write_bytes(whole[:cut])
        kept = sum(frame.end <= cut for frame in outboxfiles.scan(whole))
        assert kept == (1 if cut < starts[2] else 2 if cut < len(whole) else 3)
        box = outbox(folder)
        assert box.last_seq == kept
        assert box.has(event(kept - 1))
        assert not box.has(event(kept))
        assert box.append(event(7)) == kept + 1
        box.close()
        assert check_chain(folder) == list(range(1, kept + 2))


@pytest.mark.parametrize("tail", [bytes(5000), b"000400 00000000 {", b"\n" * 3000], ids=["zeros", "long", "newlines"])
def test_nothing_is_left_behind_what_is_appended(folder: Path, tail: bytes) -> None:
    box = outbox(folder)
    box.append(event(0))
    box.close()
    (file,) = folder.glob("*.events")
    file.write_bytes(file.read_bytes() + tail + bytes(3000))
    box = outbox(folder)
    box.append(event(1))
    box.close()
    assert check_chain(folder) == [1, 2]
    assert file.stat().st_size == list(outboxfiles.read(file))[-1].end


def framed(body: bytes) -> bytes:
    """The body in a frame with a valid length and checksum."""
    return b"%06x %08x %s\n" % (len(body), zlib.crc32(body), body)


deep = st.sampled_from([b"[" * 50_000, b'{"seq":1,"payload":"","sig":"","more":' + b"[" * 50_000])
spoilt = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=60).map(framed),
    deep.map(framed),
    st.builds(
        lambda seq, payload, sig: framed(json.dumps({"seq": seq, "payload": payload, "sig": sig}).encode()),
        st.sampled_from([0, -1, 10**30, True, None, "1", 1.0]), st.text(max_size=9), st.none() | st.text(max_size=9),
    ),
    st.just(framed(b'{"seq":1,"payload":"\xff","sig":""}')),
    st.sampled_from([b"-00001 00000000 \n", b"ffffff 00000000 \n", b"0x0001 0x000001 a\n", b"000000 00000000 \n"]),
).filter(lambda data: not list(outboxfiles.scan(data + b"\n")))  # fmt: skip


@settings(max_examples=40)
@given(st.lists(st.one_of(spoilt, st.just(b"")), min_size=4, max_size=4))
def test_whatever_else_stands_in_the_file_the_events_are_read(damage: list[bytes]) -> None:
    """A recorder also starts on it, and continues."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
        folder = Path(root) / "outbox"
        box = outbox(folder)
        for n in range(3):
            box.append(event(n))
        box.close()
        (segment,) = folder.glob("*.events")
        lines = segment.read_bytes().splitlines(keepends=True)
        segment.write_bytes(b"".join(b + b"\n" + line for b, line in zip(damage, [*lines, b""], strict=True)))
        found = [payload for _, payload, sig in everything(folder) if sig == sign(payload)]
        assert [json.loads(payload)["call_id"] for payload in found] == ["call-0", "call-1", "call-2"]
        OutboxReader(folder).last_seq()
        again = outbox(folder)
        assert again.has(event(2))
        seq = again.append(event(3))
        again.close()
        assert everything(folder)[-1][0] == seq


@pytest.mark.parametrize("payload", ["", "no event", '{"event":1}', "[" * 50_000])
def test_a_forged_event_keeps_no_recorder_from_starting(folder: Path, payload: str) -> None:
    """The desk judges its signature."""
    box = outbox(folder)
    box.append(event(0))
    box.close()
    (file,) = folder.glob("*.events")
    file.write_bytes(file.read_bytes() + framed(json.dumps({"seq": 2, "payload": payload, "sig": ""}).encode()))
    box = outbox(folder)
    assert box.append(event(1)) == 3
    box.close()
    assert [seq for seq, _, _ in everything(folder)] == [1, 2, 3]


def test_a_signature_that_fits_into_no_property_of_mqtt_is_damage() -> None:
    """A taken-over recorder can write it; each later reporter would end at it."""
    good = outboxfiles.encode(outboxfiles.Entry(2, "{}", "x" * 4096))[:-1] + outboxfiles.COMMITTED
    long = outboxfiles.encode(outboxfiles.Entry(1, "{}", "x" * 70_000))[:-1] + outboxfiles.COMMITTED
    assert [frame.entry.seq for frame in outboxfiles.scan(long + good)] == [2]


def test_an_event_that_lost_only_its_newline_is_kept(folder: Path) -> None:
    box = outbox(folder)
    box.append(event(0))
    box.append(event(1))
    box.close()
    (file,) = folder.glob("*.events")
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b" ")
    assert [seq for seq, _, _ in everything(folder)] == [1]  # not readable yet: it may not be on disk
    outbox(folder).close()
    assert check_chain(folder) == [1, 2]
    first = next(outboxfiles.scan(data))
    file.write_bytes(data[: first.end - 1] + b" " + data[first.end :])  # a torn sector in the middle
    assert check_chain(folder) == [1, 2]


def test_damage_in_the_middle_is_a_hole_and_no_number_is_given_twice(folder: Path) -> None:
    box = outbox(folder)
    for n in range(5):
        box.append(event(n))
    box.close()
    (file,) = folder.glob("*.events")
    data = bytearray(file.read_bytes())
    third = list(outboxfiles.scan(bytes(data)))[2]
    for at in range(third.start, third.end):
        spoilt = bytearray(data)
        spoilt[at] ^= 0x41
        file.write_bytes(spoilt)
        seqs = [seq for seq, _, _ in everything(folder)]
        # A damaged newline alone may be harmless or destroy its neighbour too; no other byte may.
        assert set(seqs) >= {1, 2, 5}
    file.write_bytes(data[: third.start] + bytes(third.end - third.start) + data[third.end :])
    box = outbox(folder)
    assert box.append(event(9)) == 6


@given(sizes=st.lists(st.integers(0, 600), min_size=1, max_size=30), wanted=st.integers(1, 30), most=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_any_reading_is_the_same_reading(sizes: list[int], wanted: int, most: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "outbox"
        box = outbox(folder, 1 << 17)
        reader = OutboxReader(folder)
        read: list[tuple[int, bytes, str]] = []
        for n, size in enumerate(sizes):
            one = event(n)
            one.why = "x" * size
            box.append(one)
            if n % 3 == 0:
                read += reader.from_seq(len(read) + 1, most)
                assert reader.last_seq() == n + 1
        while more := reader.from_seq(len(read) + 1, most):
            read += more
        box.close()
        assert read == everything(folder)
        assert [seq for seq, _, _ in OutboxReader(folder).from_seq(wanted, 99)] == list(range(wanted, len(sizes) + 1))


class TestBound:
    BOUND = 40_000

    def fill(self, folder: Path, events: int) -> Outbox:
        box = outbox(folder, self.BOUND)
        for n in range(events):
            box.append(event(n))
            assert sum(path.stat().st_size for path in folder.glob("*.events")) <= self.BOUND
        return box

    def test_the_oldest_gives_way_and_that_is_reported(self, folder: Path) -> None:
        self.fill(folder, 300).close()
        seqs = check_chain(folder)
        dropped = [json.loads(payload) for _, payload, _ in everything(folder) if b'"dropped"' in payload]
        assert dropped[-1]["to"] == seqs[0] - 1 == outbox(folder, self.BOUND).dropped_to
        assert {one["from"] for one in dropped} == {1}, "the last word is about all of them: earlier words go too"
        assert all(a["to"] < b["to"] for a, b in itertools.pairwise(dropped))

    def test_a_reader_who_is_left_behind_goes_on_with_the_oldest(self, folder: Path) -> None:
        box = self.fill(folder, 3)
        reader = OutboxReader(folder)
        assert [seq for seq, _, _ in reader.from_seq(1, 2)] == [1, 2]
        for n in range(3, 300):
            box.append(event(n))
        oldest = outboxfiles.first_seqs(folder)[0]
        assert [seq for seq, _, _ in reader.from_seq(3, 2)] == [oldest, oldest + 1]
        assert reader.last_seq() == box.last_seq

    def test_a_segment_that_vanishes_while_it_is_read(self, folder: Path) -> None:
        self.fill(folder, 30).close()
        reader = OutboxReader(folder)
        first, second = outboxfiles.first_seqs(folder)[:2]
        assert reader.from_seq(first, 1)
        outboxfiles.path_of(folder, first).unlink()
        assert reader.from_seq(first + 1, 1)[0][0] == second

    def test_cut_between_the_word_and_the_deed(self, folder: Path) -> None:
        box = self.fill(folder, 12)
        first = outboxfiles.first_seqs(folder)[0]
        saved = outboxfiles.path_of(folder, first).read_bytes()
        n = 12
        while outboxfiles.path_of(folder, first).exists():
            box.append(event(n))
            n += 1
        box.close()
        told = check_chain(folder)
        outboxfiles.path_of(folder, first).write_bytes(saved)
        outbox(folder, self.BOUND).close()
        assert check_chain(folder) == told


def test_what_a_restarted_recorder_says_again_is_known(folder: Path) -> None:
    box = outbox(folder, 1 << 26)
    for n in range(REMEMBERED + 10):
        box.append(event(n))
    box.close()
    box = outbox(folder, 1 << 26)
    known = [n for n in range(REMEMBERED + 10) if box.has(event(n))]
    assert known[-REMEMBERED:] == list(range(10, REMEMBERED + 10))
    assert not box.has(event(REMEMBERED + 10))
    assert not box.has(CallEvent(seq=0, event="ended", at=event(20).at, unit="", call_id="call-20"))


def test_events_of_a_later_version_do_not_stop_the_recorder(folder: Path) -> None:
    box = outbox(folder)
    box.append(event(1))
    later = event(2)
    later.event = "teleported"  # type: ignore[assignment]
    box.append(later)
    box.close()
    assert outbox(folder).append(event(3)) == 3
    assert check_chain(folder) == [1, 2, 3]


@pytest.fixture
def no_room() -> Iterator[None]:
    """The kernel refuses to let a file grow beyond 3000 bytes, like a full disk, in the middle of a line."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("no_room")
def test_a_full_disk_leaves_nothing_half_written(folder: Path) -> None:
    box = outbox(folder)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    n = 0
    with contextlib.suppress(OSError):
        while True:
            box.append(event(n))
            n += 1
    assert n > 2
    assert check_chain(folder) == list(range(1, n + 1))
    with pytest.raises(OSError, match="too large"):
        box.append(event(n))
    assert not box.has(event(n))
    (file,) = folder.glob("*.events")
    assert file.read_bytes().endswith(b"\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert box.append(event(n)) == n + 1
    box.close()
    assert check_chain(folder) == list(range(1, n + 2))


KILLED = """
import sys; from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_outbox import event, outbox
box = outbox(Path(sys.argv[1]), 200_000)
n = box.last_seq
for n in range(n, n + 400):  # as far ahead of a reader as the bound keeps events
    print(box.append(event(n)), flush=True)
sys.stdin.read()
"""


def test_killed_while_it_writes(folder: Path) -> None:
    """Acknowledged events are there, whenever the writer dies; a parallel reader sees no gap and no change."""
    seen: list[tuple[int, bytes, str]] = []
    reader = OutboxReader(folder)
    acknowledged = 0
    for round_ in range(6):
        command = [sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(20 + 7 * round_):
                acknowledged = int(writer.stdout.readline())
                seen += reader.from_seq(len(seen) + 1, 50)
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged = int([str(acknowledged), *writer.stdout.read().splitlines()][-1])
        outbox(folder, 200_000).close()
        assert OutboxReader(folder).last_seq() >= acknowledged
    there = {seq: payload for seq, payload, _ in everything(folder)}
    assert [seq for seq, _, _ in seen] == list(range(1, len(seen) + 1))
    assert all(there.get(seq, payload) == payload for seq, payload, _ in seen)
    check_chain(folder)


class TestConfirmed:
    """`confirm` is the desk's confirmation: confirmed events are not kept forever, and need no `dropped`."""

    BOUND = 1 << 21

    @pytest.fixture
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("linetap.recorder.vault.outbox.outbox.REMEMBERED", 10)
        monkeypatch.setattr("linetap.recorder.vault.outbox.outbox.SEGMENT_BYTES", (2048, 2048))

    def fill(self, folder: Path, events: int, bound: int = BOUND) -> Outbox:
        box = outbox(folder, bound)
        for n in range(events):
            box.append(event(n))
        return box

    @pytest.mark.usefixtures("few")
    def test_what_is_confirmed_goes_and_the_newest_stay(self, folder: Path) -> None:
        box = self.fill(folder, 60)
        for through in (5, 30, 20):
            box.confirm(through)
        left = [seq for seq, _, _ in everything(folder)]
        assert 20 < left[0] <= 31
        box.confirm(60)
        left = [seq for seq, _, _ in everything(folder)]
        assert 40 < left[0] <= 51, "a restarted recorder says the newest again"
        assert left[-1] == 60
        box.close()
        again = outbox(folder, self.BOUND)
        assert (again.confirmed, again.last_seq) == (60, 60)
        assert all(again.has(event(n)) for n in range(50, 60))
        assert again.append(event(60)) == 61
        assert b'"dropped"' not in b"".join(payload for _, payload, _ in everything(folder))

    @pytest.mark.usefixtures("few")
    def test_at_the_bound_only_what_the_desk_lacks_is_said_to_be_dropped(self, folder: Path) -> None:
        box = self.fill(folder, 30, 16_000)
        box.confirm(30)
        before = len([1 for _, payload, _ in everything(folder) if b'"dropped"' in payload])
        n = 30
        while outboxfiles.first_seqs(folder)[0] <= 30:
            box.append(event(n))
            n += 1
        words = [json.loads(payload) for _, payload, _ in everything(folder) if b'"dropped"' in payload]
        assert len(words) <= before, "what is confirmed goes without a word"
        for more in range(n, n + 60):
            box.append(event(more))
        last = [json.loads(payload) for _, payload, _ in everything(folder) if b'"dropped"' in payload][-1]
        assert (last["from"], last["to"]) == (31, outboxfiles.first_seqs(folder)[0] - 1)

    @pytest.mark.parametrize("damage", [b"", b"?", b'{"through":-1}'])
    def test_a_word_that_is_lost_is_said_again(self, folder: Path, damage: bytes) -> None:
        box = self.fill(folder, 5)
        box.confirm(3)
        box.close()
        (folder / "confirmed.json").write_bytes(damage)
        again = outbox(folder, self.BOUND)
        assert again.confirmed in (0, 5)
        again.confirm(4)
        assert again.append(event(5)) == 6

    @settings(max_examples=40)
    @given(st.lists(st.one_of(st.integers(1, 12), st.sampled_from(["confirm", "restart"])), max_size=30), st.data())
    def test_whatever_happens_nothing_unconfirmed_is_missing_unsaid(
        self, steps: list[int | str], data: st.DataObject
    ) -> None:
        """Events, confirmations and restarts in any order, in an outbox too small for them."""
        with (
            tempfile.TemporaryDirectory(dir="/dev/shm") as root,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr("linetap.recorder.vault.outbox.outbox.REMEMBERED", 10)
            patch.setattr("linetap.recorder.vault.outbox.outbox.SEGMENT_BYTES", (2048, 2048))
            folder = Path(root) / "outbox"
            box, n, highest = outbox(folder, 14_000), 0, 0
            for step in steps:
                if step == "restart":
                    box.close()
                    box = outbox(folder, 14_000)
                elif step == "confirm":
                    highest = max(highest, data.draw(st.integers(0, box.last_seq)))
                    box.confirm(highest)
                else:
                    for _ in range(int(step)):
                        box.append(event(n))
                        n += 1
                assert box.confirmed == highest
                there = everything(folder)
                first = there[0][0] if there else 1
                words = [json.loads(payload) for _, payload, _ in there if b'"dropped"' in payload]
                dropped = max((word["to"] for word in words), default=0)
                assert first <= max(highest, dropped) + 1, "neither here, nor confirmed, nor said to be dropped"
                assert check_chain(folder) == list(range(first, box.last_seq + 1))
            box.close()

    @pytest.mark.usefixtures("few")
    def test_a_reader_goes_on_over_a_trim(self, folder: Path) -> None:
        box = self.fill(folder, 60)
        reader = OutboxReader(folder)
        assert [seq for seq, _, _ in reader.from_seq(40, 3)] == [40, 41, 42]
        size = reader.size_bytes()
        box.confirm(42)
        assert [seq for seq, _, _ in reader.from_seq(43, 2)] == [43, 44]
        assert reader.size_bytes() < size
