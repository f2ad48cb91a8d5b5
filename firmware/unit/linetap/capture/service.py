# SPDX-License-Identifier: Apache-2.0
"""Connects the parts of capture, without any decision."""

from __future__ import annotations

import gc
import logging
import os
from contextlib import ExitStack, closing
from pathlib import Path

from linetap.boardchoice import open_card
from linetap.capture.alsa import AlsaCodec
from linetap.capture.commands import Commands
from linetap.capture.contacts import Contacts
from linetap.capture.lineaudio import LineAudio
from linetap.capture.lineleds import LineLights
from linetap.capture.loop import Loop
from linetap.capture.player import LineGains, Player
from linetap.config.schema import Card, Config
from linetap.learned import LearnedWatch
from linetap.notices import notices_of
from linetap.ring import RingWriter
from linetap.standby import stand_by
from linetap_core import __version__, rundir
from linetap_core.clock import SYSTEM
from linetap_core.errors import BadInput, DeviceFault
from linetap_core.records import CaptureState, Fault
from linetap_core.rundir import capture_service
from linetap_core.service import START_AGAIN, StateFile, Stop, lock_of, read_state, start_logging, try_realtime

PRIORITY = 50  # below the kernel's interrupt threads and jackd's 70, above linetap's other services


def run(config: Config, card_number: int) -> int:
    """Captures one card until SIGTERM: returns 0, or START_AGAIN if a command has replaced the configuration.

    LinetapError if it cannot continue; the state file has the error too.
    """
    card = next((card for card in config.card if card.number == card_number), None)
    if card is None:
        known = ", ".join(str(card.number) for card in config.card)
        raise BadInput(f"no [[card]] with number {card_number}; there is {known}")
    name = capture_service(card_number)
    stop = Stop()
    log = start_logging(name)
    with lock_of(config.run_path, name):
        state = _first_state(config, card)
        file = StateFile(config.run_path, name, SYSTEM)
        try:
            _serve(config, card, stop, state, file, log)
        except DeviceFault as error:
            state.fault = Fault(error.code, str(error))
            file.write(state)
            raise
        except OSError as error:
            places = [rundir.service_folder(config.run_path, name), config.run_path / rundir.AUDIO]
            return stand_by(error, places, state, file, stop, SYSTEM)
    return START_AGAIN if file.outdated and not stop.requested else 0


def _serve(config: Config, card: Card, stop: Stop, state: CaptureState, file: StateFile, log: logging.Logger) -> None:
    lines = config.lines_of(card.number)
    with ExitStack() as opened:
        learned = LearnedWatch(Path(config.learned))
        board = opened.enter_context(closing(open_card(config, card.number, learned)))  # opens every relay
        player = Player(card, lines, notices_of(config), board)
        gains = LineGains(config, lines, player, learned)
        learned.start()  # before capture has its priority, which the thread would inherit
        opened.callback(learned.stop)
        numbers = [line.number for line in lines]
        ring = opened.enter_context(
            closing(RingWriter(config.run_path, card.number, numbers, card.ring_s, card.rate_hz))
        )
        state.ring_locked = ring.locked
        state.realtime = try_realtime(PRIORITY)
        if state.realtime:
            _keep_to_one_core()
        contacts = Contacts(card, lines, board, player, SYSTEM, state)
        contacts.restore(read_state(config.run_path, state.service, CaptureState))
        codec = opened.enter_context(closing(AlsaCodec(card)))
        commands = opened.enter_context(closing(Commands(config.run_path, card.number, player, contacts)))
        codec.watch(commands.fileno())
        watch = contacts.follow if card.contacts else None
        loop = Loop(card, codec, LineAudio(card, lines), ring, board, player, SYSTEM, state, watch)
        state.meter = board.meter
        lights = LineLights(config, card.number, board)
        _warn(log, state)
        gc.freeze()
        with codec.faults():
            loop.start()
            while not (stop.requested or file.outdated):
                if loop.turn():
                    commands.serve(loop.written)
                contacts.turn()
                if file.due():
                    state.overruns_lately = loop.overruns_lately()
                    contacts.report()
                    file.write(state)
                    lights.show()
                    gains.follow()
            file.ending = stop.requested
            file.write(state)


def _first_state(config: Config, card: Card) -> CaptureState:
    now = SYSTEM.monotonic_ns()
    return CaptureState(
        service=capture_service(card.number),
        version=__version__,
        pid=os.getpid(),
        started_ns=now,
        mono_ns=now,
        progress=0,
        card=card.number,
        device_rate_hz=card.rate_hz,
        device_format=card.format,
        channels=card.channels,
        lines=[line.number for line in config.lines_of(card.number)],
        ring_locked=False,
        realtime=False,
    )


def _keep_to_one_core() -> None:
    """Binds capture to one core: warm caches save a fifth of the work. Only with real-time priority, so that no other
    work on that core delays capture."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the last core: interrupts are mostly on the first


def _warn(log: logging.Logger, state: CaptureState) -> None:
    if not state.ring_locked:
        log.warning("ring_unlocked: RLIMIT_MEMLOCK is too small; audio could be swapped: raise it or have no swap")
    if not state.realtime:
        log.warning("no_realtime: RLIMIT_RTPRIO forbids it; overruns are likelier on a busy machine")
