# SPDX-License-Identifier: Apache-2.0
"""The connection of a watcher: turns the broker's messages into the state of units and its changes; and its settings.

The settings come from desk.toml or the command line, like the ingest's, but with another certificate. The screen, the
lines and the pages use it.
"""

from __future__ import annotations

import argparse
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.broker.connection import Arrived, Connected, Ended, Subscribed
from linetap_core.clock import NS_PER_MS, Clock, rfc3339
from linetap_core.wire.mqtt import Broker
from linetap_desk.config.desk import DeskConfig, read_config
from linetap_desk.config.owncertificate import with_own_certificate
from linetap_desk.ingest.link import Link, Patience
from linetap_desk.watch.places import Places
from linetap_desk.watch.units import TOPICS, Change, Units


@dataclass(frozen=True, slots=True)
class Settings:
    broker: Broker
    client_id: str
    places: Places


def watch_settings(args: argparse.Namespace) -> Settings:
    """The settings. BadInput if one is missing or contradictory."""
    config, broker = read_config(args)
    own, places = config.watch, args.places or config.watch.places
    place = f"{args.config}: [watch] certificate"
    broker = with_own_certificate(broker, {"ingest": broker}, own.certificate, own.key, place)
    return _settings(broker, "watch", places)


def pages_settings(config: DeskConfig) -> Settings:
    """The settings for `linetap desk serve`, which watches in addition to a `linetap watch` on a terminal."""
    broker, serve = config.broker, config.serve
    others = {"ingest": broker, "terminal": msgspec.structs.replace(broker, certificate=config.watch.certificate)}
    place = "[serve] fleet_certificate"
    broker = with_own_certificate(broker, others, serve.fleet_certificate, serve.fleet_key, place)
    return _settings(broker, "serve", config.watch.places)


def _settings(broker: Broker, what: str, places: str | None) -> Settings:
    client_id = f"linetap-{what}-{secrets.token_hex(4)}"  # several watchers may be connected
    return Settings(broker, client_id, Places.read(Path(places)) if places else Places())


TURN_S = 0.1
JUDGE_EVERY_MS = 500
QUIET_MS = 1000  # without a retained message: the broker has sent all
TELL_MS = 20_000  # latest end of the retained messages


class Watcher:
    """The watcher. Call `turn()` often: it returns the changes, each with `t`, the desk's time."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock, self.broker = clock, f"{settings.broker.host}:{settings.broker.port}"
        self.units = Units(settings.places.named)
        self._link = Link(settings.broker, settings.client_id, TOPICS, clock, Patience(), session_s=0, sweep=True)
        self._judge_ns = self._retained_ns = 0
        self.began_ns = 0  # monotonic, begin of the connection
        self._swept = False
        self.connected = False
        self.is_complete = False  # all retained messages were received
        self.why = "not connected yet"  # reason for a missing connection

    def turn(self, timeout_s: float = TURN_S) -> list[Change]:
        """The changes; waits up to `timeout_s` for the first."""
        self._link.turn()
        changes: list[Change] = []
        for happening in self._link.happened(timeout_s):
            match happening:
                case Arrived(topic=topic, payload=payload, retained=retained, expiry_s=expiry_s):
                    now_ns = self._clock.monotonic_ns()
                    self._retained_ns = now_ns if retained else self._retained_ns
                    if (change := self.units.receive(topic, payload, now_ns, retained, expiry_s)) is not None:
                        changes.append(change)
                    happening.acknowledge()
                case Subscribed():
                    self._swept = True
                case Connected():
                    self.connected, self.why = True, ""
                    self.is_complete = self._swept = False
                    self._retained_ns = self.began_ns = self._clock.monotonic_ns()
                    self.units.forget()
                    changes.append({"kind": "broker", "state": "connected"})
                case Ended(why):
                    self.connected, self.why = False, why or "the connection ended"
                    changes.append({"kind": "broker", "state": "away", "why": self.why})
        now_ns = self._clock.monotonic_ns()
        self.is_complete = self.connected and (self.is_complete or self._has_received_all(now_ns))
        if self.is_complete and now_ns >= self._judge_ns:  # without a broker no unit can be late
            self._judge_ns = now_ns + JUDGE_EVERY_MS * NS_PER_MS
            changes += self.units.judge(now_ns)
        t = rfc3339(self._clock.utc_ns())
        return [{"t": t, **change} for change in changes]

    def _has_received_all(self, now_ns: int) -> bool:
        """Whether all retained messages were received; at once when every expected unit has reported."""
        if self._swept and self.units.expected and not self.units.missing:
            return True
        quiet = now_ns - self._retained_ns > QUIET_MS * NS_PER_MS
        return quiet or now_ns - self.began_ns > TELL_MS * NS_PER_MS

    @property
    def head(self) -> str:
        return f"{self.broker} " + ("connected" if self.connected else f"AWAY: {self.why}")

    def close(self) -> None:
        self._link.close()
