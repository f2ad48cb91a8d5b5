# SPDX-License-Identifier: Apache-2.0
"""`linetap replay`: runs the recorder's own code on a recording of the lines, as fast as the machine allows.

WAV and events replace capture; all code after the ring is the same. A requested notice is mixed into the line's audio
like the echo of a real line: 30 ms later, 6 dB down.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec

from linetap.config import Config, load_config, profile_of
from linetap.notices import notices_of
from linetap.recorder.calls.context import Shared
from linetap.recorder.core import Recorder
from linetap.recorder.replay.card import ReplayCard, ReplayedSmdr, read_wav
from linetap.recorder.replay.events import read_events
from linetap.recorder.replay.vaultside import SharedAudio, VaultSide
from linetap.ring import SLOT_MS
from linetap_core.clock import SYSTEM, parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.records import CallRecord, ClockRecord

MOST_SLOTS = 100


def slots_at_once(config: Config) -> int:
    """The slots of a batch: at most the time by which a notice is requested ahead. With longer batches, the notice's
    place would depend on the cuts.
    """
    ahead = [config.recording.notice_delay_ms]
    if config.recording.greeting_max_ms:
        ahead += [profile_of(config, line.profile).greeting.lead_ms for line in config.line]
    return max(1, min(min(ahead) // SLOT_MS, MOST_SLOTS))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="unit.toml")
    parser.add_argument("--audio", type=Path, required=True, help="lines.wav: 8 kHz, 16 bit, one channel a line")
    parser.add_argument("--events", type=Path, required=True, help="events.jsonl, ordered by t")
    parser.add_argument("--out", type=Path, required=True, help="folder for the vault and calls.jsonl")
    parser.add_argument("--start", help="time of the first sample, RFC 3339 (default: now)")
    parser.add_argument("--no-echo", action="store_true", help="no line returns the notice")
    parser.add_argument(
        "--deaf-line", type=int, action="append", default=[], metavar="N", help="this line does not return it"
    )


def run(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    try:
        start_ns = parse_rfc3339(args.start) if args.start else SYSTEM.utc_ns()
    except ValueError as error:
        raise BadInput(f"--start: {error}") from None
    calls = replay(config, args.audio, args.events, args.out, start_ns, args.no_echo, set(args.deaf_line))
    for call in calls:
        sys.stdout.write(msgspec.json.encode(call).decode() + "\n")
    return 0


def replay(
    config: Config, audio: Path, events: Path, out: Path, start_ns: int, no_echo: bool, deaf: set[int]
) -> list[CallRecord]:
    """Returns all calls of the recording in the order of their ends; makes `out` a vault with calls.jsonl."""
    if len(config.card) != 1:
        raise BadInput(f"{audio}: a replay covers one card; the configuration has {len(config.card)}")
    lines = config.lines_of(config.card[0].number)
    numbers = [line.number for line in lines]
    shared = SharedAudio()
    samples = read_wav(audio, len(lines), shared.room)
    levels = read_events(events, numbers, samples.shape[1])
    deaf = {line.number for line in lines} if no_echo else deaf
    if (out / "calls.jsonl").exists():
        raise BadInput(f"{out}: contains a replay already; name an empty folder")
    profiles = [profile_of(config, line.profile) for line in lines]
    card = ReplayCard(lines, samples, levels, notices_of(config), start_ns, deaf, profiles)
    with tempfile.TemporaryDirectory(prefix="linetap-replay-") as run_dir:
        config = msgspec.structs.replace(config, vault=str(out), run_dir=run_dir)
        vault = VaultSide(config, shared, numbers, start_ns)
        try:
            calls = _follow(config, card, vault, start_ns, levels.smdr)
        finally:
            vault.end()
            shared.close()
    with (out / "calls.jsonl").open("wb") as file:
        # The seal differs each time, so its hash is left out; all else is the same in every replay.
        calls = [msgspec.structs.replace(call, inner_sha256=msgspec.UNSET) for call in calls]
        file.writelines(msgspec.json.encode(call) + b"\n" for call in calls)
    return calls


def _follow(
    config: Config, card: ReplayCard, vault: VaultSide, start_ns: int, smdr: list[tuple[float, str]]
) -> list[CallRecord]:
    pbx = ReplayedSmdr(config, vault, vault.keep, start_ns, smdr) if smdr else None
    to_vault = pbx.join if pbx is not None else vault
    connected = pbx.join.connected if pbx is not None else {}
    shared = Shared(
        config, card.notices, card, card, to_vault, lambda _line: ClockRecord(synced=False), connected=connected
    )
    recorder = Recorder(shared, {}, examine=False)  # a recording's lines are not diagnosed
    number = config.card[0].number
    most = slots_at_once(config)
    while (batch := card.next(most)) is not None:
        recorder.follow(number, batch)
        if pbx is not None:
            pbx.advance_to(batch.frame + batch.frames)
        if not vault.hand_over():
            break
    recorder.cut_off(number, card.end_batch(), "audio_ended")
    if pbx is not None:
        pbx.finish()
    records = vault.finish()
    return records if pbx is None else pbx.in_order(records)
