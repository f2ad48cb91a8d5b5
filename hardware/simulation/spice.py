# SPDX-License-Identifier: Apache-2.0
"""Runs ngspice in batch mode: a deck in, measurements out."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from math import nan
from pathlib import Path

from linetap_core.errors import Refusal
from simulation.netlist import MODELS, Netlist

MOST_S = 240  # limit for a run of 1 s on an idle machine; a circuit that does not converge is aborted
MEASURED = re.compile(r"^(\w+)\s*=\s*([-+]?[0-9][0-9.eE+-]*|[-+]?nan|[-+]?inf|failed)", re.MULTILINE)
PRINTED = re.compile(r"^\d+\t([-+0-9.e]+)\t([-+0-9.e]+)(?:\t([-+0-9.e]+))?", re.MULTILINE)
NOT_FOUND = re.compile(r"^\s*\.meas\s+\w+\s+(\w+)\s.*failed!", re.MULTILINE)
_SIGNAL = re.compile(r"\b(i|v|vm|vdb)\(([^)]+)\)")
HANGING = "singular matrix"
MOST_KEPT = 1024  # outputs, of a few kilobytes: several rows start from the same circuit
OPTIONS = ".options method=gear gmin=1e-14 abstol=1e-13 reltol=1e-3"


@dataclass(frozen=True, slots=True)
class Supply:
    """The rails of the card, in volts. `relay` is the output of one pin of the meter, `contact` that of another, as an
    expression of ngspice; `coil` and `relay` may be sources too; `ohm` is the source resistance of 3.3 V and 5 V.
    """

    v3: float = 3.3
    v5: float = 5.0
    vref: float = 3.0
    coil: float | str = 5.0
    relay: float | str = 0.0
    contact: str = "0"
    ohm: float = 1e-6


@dataclass(frozen=True, slots=True)
class Deck:
    """A deck. `lines` are the surroundings of the card: exchange, telephone, analysis; `measures` the .meas lines."""

    netlist: Netlist
    lines: Sequence[str]
    measures: Sequence[str]
    supply: Supply = field(default_factory=Supply)
    celsius: float = 27.0

    def text(self) -> str:
        """The deck as text. Resistors stand for the loads on the pins: the Pi, the meter, the codec."""
        at = self.supply
        return "\n".join([
            "linetap", _save(self.measures),
            f".temp {self.celsius}", f'.include "{MODELS}"', OPTIONS, self.netlist.text(),
            f"V3 v3 0 {at.v3}", f"Rv3 v3 +3V3 {at.ohm}", f"V5 v5 0 {at.v5}", f"Rv5 v5 +5V {at.ohm}",
            f"Vref VREF 0 {at.vref}",
            f"Vcoil COIL 0 {at.coil}", f"Vrelay /RELAY1 0 {at.relay}",
            f"Bcontact pin1 0 V = {at.contact}", "Rcontact pin1 /CONTACT1 50",
            "Rrx /RX1 0 1Meg", "Crx /RX1 adc 1u", "Radc adc 0 10k", "Rtx /TX1 0 10k",
            *self.lines, *self.measures, ".end", "",
        ])  # fmt: skip


def _save(measures: Iterable[str]) -> str:
    """Saves only the measured nodes: saving every node of every step takes a fifth of a run."""
    signals = [signal for each in measures for signal in _SIGNAL.findall(each)]
    return " ".join([".save", *sorted({f"{'i' if kind == 'i' else 'v'}({node})" for kind, node in signals})])


def run(deck: Deck) -> dict[str, float]:
    """The result of each .meas, nan for a missing one. Refusal if ngspice does not finish."""
    output = _output(deck.text())
    if HANGING in output:  # ngspice still finds a solution, which is wrong by a decibel or ten
        raise Refusal("ngspice: a node hangs nowhere: " + _line_of(HANGING, output))
    found = dict.fromkeys(NOT_FOUND.findall(output), nan)
    found |= {name: nan if value == "failed" else float(value) for name, value in MEASURED.findall(output)}
    names = [line.split()[2] for line in deck.measures]
    if not any(name in found for name in names):
        raise Refusal("ngspice measured nothing: " + " / ".join(output.splitlines()[-3:]))
    return {name: found.get(name.lower(), nan) for name in names}


def waveform(deck: Deck, net: str) -> list[tuple[float, float]]:
    """(second, volts) of a net at each step. Refusal if ngspice does not finish, or stops before the deck's end."""
    return [(second, volts) for second, volts in waveforms(deck, f"v({net})")]


def waveforms(deck: Deck, *signals: str) -> list[tuple[float, ...]]:
    """(second, each of at most two signals) at each step. Refusal as `waveform`."""
    names = " ".join(signals)
    text = deck.text().replace(_save(deck.measures), f".save {names}").replace("\n.end", f"\n.print tran {names}\n.end")
    output = _output(text)
    rows = [tuple(float(value) for value in found.groups() if value) for found in PRINTED.finditer(output)]
    if not rows or len(rows[0]) != 1 + len(signals) or HANGING in output:
        raise Refusal("ngspice printed nothing: " + " / ".join(output.splitlines()[-3:]))
    return rows


@lru_cache(MOST_KEPT)
def _output(text: str) -> str:
    """The output of ngspice for a deck, cached because it is deterministic."""
    with tempfile.TemporaryDirectory(prefix="linetap-spice-") as folder:
        path = Path(folder) / "deck.cir"
        path.write_text(text)
        try:
            done = subprocess.run(
                ["ngspice", "-b", path.name], cwd=folder, capture_output=True, text=True, timeout=MOST_S, check=False
            )
        except FileNotFoundError:
            raise Refusal("ngspice is not installed; ./build.sh setup installs it") from None
        except subprocess.TimeoutExpired:
            raise Refusal(f"ngspice has not come to an end in {MOST_S} s") from None
    return done.stdout + done.stderr


def _line_of(word: str, said: str) -> str:
    return next(line for line in said.splitlines() if word in line)


def run_all(decks: Iterable[Deck]) -> list[dict[str, float]]:
    """Runs the decks in parallel, as many at a time as the smallest build machine has cores; results in their order."""
    return each(run, decks)


def each[A, B](work: Callable[[A], B], over: Iterable[A]) -> list[B]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, over))
