# SPDX-License-Identifier: Apache-2.0
"""Where 12 V comes in and where 5 V goes out to the Pi: the fuse outlasts plugging in, and no wire carries too much."""

from __future__ import annotations

from collections.abc import Iterator

from rules.card import Card
from simulation.budget import CONTACT_A, PI_A
from simulation.inrush import ENTRY, PULSES, charging_j

COLD = 1 / 1.15  # of its resistance in parts.toml, which is that of a warm fuse


def plugged(card: Card) -> Iterator[str]:
    """Of what charges the capacitors the fuse's own resistance turns no more into heat than they take.

    So this holds for any supply and cable; what the rest of the circuit leaves of it is simulated (inrush.py).
    """
    entry = {f"/supply/{net}" for net in ENTRY}
    takes = charging_j(part.kind for net in entry for part in card.on(net, "C"))
    fuses = card.between("/supply/plug", "/supply/fused", "F")
    if len(fuses) != 1:
        yield f"{len(fuses)} fuses between the plug of 12 V and what is behind it"
    for fuse in fuses:
        i2t = takes / (fuse.kind.ohm * COLD) if fuse.kind.ohm else float("inf")
        most = PULSES * fuse.kind.melts_a2s
        if i2t > most:
            name = f"{fuse.reference} ({fuse.kind.value})"
            yield f"{name}: {i2t:.3g} A2s as it is plugged in, stands {most:.3g} each time"


def carried(card: Card) -> Iterator[str]:
    """Each contact carries more than its part of the Pi's current, there and back."""
    for header in card.of("pi_header"):
        for name, net in (("5V", "+5V"), ("GND", "GND")):
            wires = sum(on == net and pin.startswith(name) for pin, on in header.nets.items())
            if not wires or PI_A / wires >= CONTACT_A:
                good = f"each good for less than {CONTACT_A:g} A"
                yield f"{header.reference}: {PI_A:g} A of {net}, contacts {wires}, {good}"
