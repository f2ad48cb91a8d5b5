# SPDX-License-Identifier: Apache-2.0
"""All requirements by name, for the tests and for the table in hardware/README.md."""

from __future__ import annotations

from collections.abc import Callable

from simulation import audio, contact, dialling, levels, oneshot, playing, production, ringing, surge
from simulation.finding import Finding
from simulation.netlist import Netlist

ROWS: dict[str, Callable[[Netlist], list[Finding]]] = {
    "dc_load": levels.dc_load,
    "metering": levels.metering,
    "ringing": ringing.ringing,
    "pulses": dialling.pulses,
    "relay": dialling.relay,
    "response": audio.response,
    "ringing_heard": audio.ringing_heard,
    "rest": audio.rest,
    "talk": audio.talk,
    "insertion": audio.insertion,
    "balance": audio.balance,
    "notice": playing.notice,
    "neighbour": playing.neighbour,
    "surge": surge.surge,
    "contact_bounded": oneshot.bounded,
    "contact_edges": oneshot.edges,
    "contact_pause": oneshot.pause,
    "contact_dead_meter": oneshot.dead_meter,
    "contact_power": oneshot.without_power,
    "contact_coil": oneshot.coil,
    "contact_line": contact.line,
    "contact_closes": contact.closes,
    "contact_loss": contact.loss,
    "contact_ringing": contact.rings,
    "contact_surge": contact.surge_on_it,
    "production": production.rows,
    "references": production.middles,
}
