# SPDX-License-Identifier: Apache-2.0
"""Messages to the journal, in its own protocol."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linetap_core.log import MOST_BYTES, JournalHandler, handler_for, message_id


def fields_of(data: bytes) -> dict[str, str]:
    """A datagram, parsed like the journal does."""
    found = {}
    while data:
        name, _, rest = data.partition(b"\n")
        length = int.from_bytes(rest[:8], "little")
        found[name.decode()] = rest[8 : 8 + length].decode()
        assert rest[8 + length : 9 + length] == b"\n"
        data = rest[9 + length :]
    return found


@pytest.fixture
def journal(run_dir: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(10)
        listener.bind(str(run_dir / "journal"))
        yield listener


@pytest.fixture
def logger(run_dir: Path) -> Iterator[logging.Logger]:
    made = logging.getLogger("linetap-test-log")
    made.propagate = False
    handler = JournalHandler("capture@1", str(run_dir / "journal"))
    made.addHandler(handler)
    yield made
    made.removeHandler(handler)
    handler.close()


def heard(journal: socket.socket) -> dict[str, str]:
    return fields_of(journal.recv(1 << 20))


def test_a_code_is_a_field_and_has_an_id(journal: socket.socket, logger: logging.Logger) -> None:
    logger.warning("broker_absent: %s", "no route\nto host")
    said = heard(journal)
    assert (said["MESSAGE"], said["PRIORITY"]) == ("broker_absent: no route\nto host", "4")
    assert (said["LINETAP_SERVICE"], said["LINETAP_CODE"]) == ("capture@1", "broker_absent")
    assert said["MESSAGE_ID"] == message_id("broker_absent") != message_id("broker_present")
    assert len(said["MESSAGE_ID"]) == 32


@pytest.mark.parametrize("text", ["connected to mqtt:8883", "recorder: unit floor-03", "no code: here", ""])
def test_what_has_no_code_has_none(journal: socket.socket, logger: logging.Logger, text: str) -> None:
    logger.error(text)
    said = heard(journal)
    assert (said["MESSAGE"], said["PRIORITY"]) == (text, "3")
    assert "LINETAP_CODE" not in said
    assert "MESSAGE_ID" not in said


def test_a_text_cannot_make_fields_of_its_own_and_has_a_bound(journal: socket.socket, logger: logging.Logger) -> None:
    logger.error("x\nPRIORITY\n" + "y" * 2 * MOST_BYTES)
    said = heard(journal)
    assert said["PRIORITY"] == "3"
    assert len(said["MESSAGE"]) == MOST_BYTES


def test_a_journal_that_stands_still_holds_nobody_up_and_what_is_lost_is_counted(
    journal: socket.socket, logger: logging.Logger
) -> None:
    for number in range(10_000):
        logger.warning("some_trouble: %d", number)
    taken = 0
    journal.setblocking(False)
    while True:
        try:
            journal.recv(1 << 20)
        except BlockingIOError:
            break
        taken += 1
    logger.warning("some_trouble: the last")
    assert int(heard(journal)["LINETAP_LOST"]) == 10_000 - taken > 0
    logger.warning("some_trouble: another")
    assert "LINETAP_LOST" not in heard(journal)


def test_the_journal_is_asked_only_where_it_reads_our_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert isinstance(handler_for("panel"), logging.StreamHandler)
    with Path("/dev/null").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        at = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{at.st_dev}:{at.st_ino}")
        handler = handler_for("panel")
    assert isinstance(handler, JournalHandler)
    handler.close()
