# SPDX-License-Identifier: Apache-2.0
"""A unit that writes its index like a recorder, and its reporter, which answers a desk's requests."""

from __future__ import annotations

from pathlib import Path

import msgspec

from keeping_rig import UNIT, Keeper
from linetap.recorder.vault.recordings.index import Index
from linetap.reporter.copies import Copies
from linetap_core import rundir
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.calls import index, indexhead, sealed
from linetap_core.evidence.calls.indexhead import IndexList, SignedListHead
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import signers
from linetap_core.records import Caller, CallRecord
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import Topics


class Indexed:
    """A unit that writes its index like a recorder."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.root = keeper.vault / index.FOLDER
        self.numbers: Caller | None = None
        self._begin()

    def _begin(self) -> None:
        """Makes the index precede the closing in the log."""
        self.index = Index(self.keeper.config, self.keeper.epochs, self.keeper.log)
        close_call = self.keeper.log.close_call

        def close(call_id: str) -> None:
            record = sealed.decode_record((self.keeper.folder(call_id) / sealed.RECORD).read_bytes())
            assert record.retention is not None
            self.index.add(msgspec.structs.replace(record, caller=self.numbers, direction="in"), record.retention)
            close_call(call_id)

        self.keeper.log.close_call = close  # type: ignore[method-assign]

    def call(self, number: str = "01012345678", **more: object) -> CallRecord:
        """A call, a minute after the previous one."""
        self.keeper.clock.advance(60_000_000_000)
        self.numbers = Caller(number=number)
        return self.keeper.call(**more)  # type: ignore[arg-type]

    def restart(self) -> None:
        self.keeper.restart()
        self._begin()

    def ask(self, **body: str) -> Answer:
        return self.keeper.command(self.keeper.envelope("fetch", "desk", body))

    def head(self) -> SignedListHead:
        """The signed head, requested until it is there."""
        for _ in range(50):
            answer = self.ask(index="list")
            assert answer.done, answer
            if answer.listed is not None:
                return answer.listed
        raise AssertionError(answer.text)

    def listed(self) -> IndexList:
        """The list as read by the desk."""
        head = indexhead.check_head(self.head(), UNIT, self.signers)
        return indexhead.read(rundir.index_list(self.keeper.config.run_path).read_bytes(), head)

    @property
    def signers(self) -> list[signers.Signer]:
        key = keys.load_unit_key(Path(self.keeper.config.key).read_bytes())
        return signers.parse(f"{UNIT} {keys.public_line(key.public_key())}\n")

    def names(self) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.glob("*/*.age"))

    def messages(self, body: dict[str, str], correlation: bytes) -> list[Message]:
        """The answer to a desk's request, and the blocks after it."""
        topics = Topics(UNIT)
        answer = msgspec.json.encode(self.ask(**body))
        sent = [topics.reply("fetch", answer, correlation)]
        sender = Copies(self.keeper.vault, rundir.index_list(self.keeper.config.run_path), topics, self.keeper.clock)
        sender.answered(answer, correlation)
        while True:
            count = len(sent)
            sender.send(lambda message: sent.append(message) or len(sent))  # type: ignore[func-returns-value]
            if len(sent) == count:
                return sent
            sender.acknowledged(len(sent))
