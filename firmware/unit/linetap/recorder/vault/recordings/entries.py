# SPDX-License-Identifier: Apache-2.0
"""The entries of the journal. Fields in the clear may also be in record.json; all others are age to K."""

from __future__ import annotations

import msgspec

from linetap_core.codecs.codec import Codec
from linetap_core.codecs.registry import MULAW
from linetap_core.evidence.calls.index import CallSegment
from linetap_core.evidence.sealing import age
from linetap_core.records import CallRecord, Gap, Retention

MOST_TICK_SAMPLES = 32 * 1024  # less than a chunk, so that a recovery adds no part with a whole chunk


class State(msgspec.Struct, frozen=True, tag="state"):
    """An open call. `record` has no personal field; `meta` is the whole record so far, as age to K.

    Without `recipient` (K's public half) the call has not passed its gate. `first_frame` is the recording's first.
    `gaps` are those found by the vault's thread. `epoch` and `begun`: the recipient of key.age, and its name.
    `index`: the call's entry, as age to that epoch's index key. `codec`: the audio's codec; empty: unknown.
    """

    call_id: str
    record: CallRecord
    frame: int
    utc_ns: int
    end_frame: int | None = None
    first_frame: int | None = None
    recipient: str | None = None
    meta: bytes = b""
    gaps: list[Gap] = []
    epoch: str = ""
    begun: Retention | None = None
    index: CallSegment | None = None
    codec: str = MULAW.name


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Audio of a call from sample `first` of its recording on: `sealed` is a whole age file to K, with units of the
    call's codec.

    The first tick of a recording begins with the codec's header, like a first part. `gaps`: those in the tick.
    """

    call_id: str
    first: int
    samples: int
    sealed: bytes
    gaps: list[Gap] = []


class Over(msgspec.Struct, frozen=True, tag="over"):
    """The call is sealed."""

    call_id: str


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The first entry of every frame: the time of writing, by the clocks of that boot, and the lines' positions.
    `synced`: `utc_ns` was synchronised. `heads`: by line, the newest slot's first frame and its monotonic time.
    """

    boot: str
    mono_ns: int
    utc_ns: int
    synced: bool = False
    heads: dict[int, tuple[int, int]] = {}


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """The beginning of a file. The states of all open calls follow in the same frame."""


Entry = State | Tick | Over | Snapshot | Beat


def chunk_samples(codec: Codec) -> int:
    """Samples in a chunk."""
    return codec.samples(2 * age.CHUNK_BYTES) - codec.samples(age.CHUNK_BYTES)


def next_seam(sample: int, codec: Codec = MULAW) -> int:
    """The first sample after `sample` at which a chunk of the audio ends.

    The result depends on the call alone: part 1 begins with the header, each later part at the end of a whole chunk.
    """
    return codec.samples((codec.offset(sample) // age.CHUNK_BYTES + 1) * age.CHUNK_BYTES)
