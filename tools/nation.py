#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the tables of docs/scale.md: what cities of some sizes, and a nation, need in events, machines and disks.

`.venv/bin/python tools/nation.py --write` puts them into the document, and a test holds the two together.
`--units 3000 --calls 60` answers for a city of one's own.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

from linetap.reporter.link import Patience
from linetap_core.wire.topics import HEALTH_EVERY_S
from storage import EVENTS_A_CALL, call_bytes

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
BEGIN, END = "<!-- tools/nation.py begins -->", "<!-- tools/nation.py ends -->"

# Measured; docs/desk-load.md and the named decisions describe how.
EVENTS_S = 472  # least rate at which an ingest stores beside page requests
ROW_BYTES = 2100  # of an event in the database, with its indexes (decision 0042)
ONE_BROKER_UNITS = 1000  # measured with one Mosquitto (decision 0050)

# Assumed.
LINES, CALLS, CALL_S = 8, 40, 180  # of a unit; of a line in a day; seconds of a recorded call
BUSY = 0.2  # share of a day's calls in its busiest hour
WORKDAYS, COPY_DAYS = 250, 60
NIGHT_S = 10 * 3600  # duration of the nightly fetch of a day's copies
STATES_A_CALL, ALERTS = 4, 1  # of a line; active, of a unit
SPARE = 1  # ingests in reserve
DATABASES = 2  # a primary and a standby
COPIES_STORED = 2  # of the store's bytes, on two machines
MACHINE_YEAR, TB_YEAR = 1.0, 0.1  # cost: a server for a year is 1; a terabyte of disk, with its machine's share

CITIES = ((82, 218, "a small city"), (1017, 7, "a large one"), (3005, 1, "the capital"))  # units, how many


@dataclass(frozen=True)
class City:
    units: int
    calls: float = CALLS

    @property
    def events_day(self) -> float:
        return self.units * LINES * self.calls * EVENTS_A_CALL

    @property
    def events_s(self) -> float:
        """The events a second in the busiest hour."""
        return self.events_day * BUSY / 3600

    @property
    def clustered(self) -> bool:
        return self.units > ONE_BROKER_UNITS

    @property
    def messages_s(self) -> float:
        """Messages a second from units at the broker: events, lines, health and status, and repeated state if it
        retains nothing.
        """
        steady = self.units * 2 / HEALTH_EVERY_S
        repeated = self.units * (LINES + ALERTS) / Patience().repeat_s if self.clustered else 0
        return self.events_s * (1 + STATES_A_CALL / EVENTS_A_CALL) + steady + repeated

    @property
    def ingests(self) -> int:
        return math.ceil(self.events_s / EVENTS_S) + SPARE

    @property
    def machines(self) -> int:
        """Two if one broker is enough: each runs everything, one in reserve. Otherwise brokers, databases, and ingests
        on the brokers' machines.
        """
        return 3 + DATABASES if self.clustered else 2

    @property
    def database_gb_year(self) -> float:
        return self.events_day * WORKDAYS * ROW_BYTES / 1e9

    @property
    def day_gb(self) -> float:
        """The size of all copies."""
        return self.units * LINES * self.calls * call_bytes(CALL_S) / 1e9

    @property
    def store_tb(self) -> float:
        return self.day_gb * COPY_DAYS / 1000

    @property
    def night_mbit_s(self) -> float:
        return self.day_gb * 8000 / NIGHT_S

    @property
    def cost(self) -> float:
        """The cost of a year: machines, and disks for a year of events on each database and two copies of the store."""
        disk_tb = DATABASES * self.database_gb_year / 1000 + COPIES_STORED * self.store_tb
        return self.machines * MACHINE_YEAR + disk_tb * TB_YEAR


def rows(calls: float = CALLS) -> list[tuple[str, list[str]]]:
    sizes = [(City(units, calls), count, name) for units, count, name in CITIES]
    columns = [_figures(city) for city, _, _ in sizes]
    total = {key: sum(_values(city)[key] * count for city, count, _ in sizes) for key in LABELS}
    return [(label, [*(column[key] for column in columns), _text(key, total[key])]) for key, label in LABELS.items()]


LABELS = {
    "units": "units",
    "events_s": "events a second in the busiest hour",
    "messages_s": "messages a second at the broker",
    "brokers": "brokers: RabbitMQ nodes, else Mosquitto",
    "ingests": "ingests, one in reserve",
    "machines": "machines",
    "database_gb_year": "database, GB a year",
    "store_tb": f"copies of {COPY_DAYS} days, TB",
    "night_mbit_s": "for the copies of a day, Mbit/s at night",
    "cost": "cost a year, in servers",
}


def _values(city: City) -> dict[str, float]:
    return {
        "units": city.units, "events_s": city.events_s, "messages_s": city.messages_s,
        "brokers": 3 if city.clustered else 1, "ingests": city.ingests, "machines": city.machines,
        "database_gb_year": city.database_gb_year, "store_tb": city.store_tb, "night_mbit_s": city.night_mbit_s,
        "cost": city.cost,
    }  # fmt: skip


def _figures(city: City) -> dict[str, str]:
    return {key: _text(key, value) for key, value in _values(city).items()}


def _text(key: str, value: float) -> str:
    return (
        f"{value:,.1f}" if value < 100 and key not in ("units", "brokers", "ingests", "machines") else f"{value:,.0f}"
    )


def tables(calls: float = CALLS) -> str:
    heads = [name for _, _, name in CITIES]
    counts = [str(count) for _, count, _ in CITIES]
    lines = [
        f"| | {' | '.join(heads)} | the nation |",
        f"|---|{'---|' * (len(heads) + 1)}",
        f"| how many | {' | '.join(counts)} | {sum(count for _, count, _ in CITIES)} |",
    ]
    lines += [f"| {label} | {' | '.join(found)} |" for label, found in rows(calls)]
    return "\n".join(lines)


def with_tables(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/scale.md")
    parser.add_argument("--units", type=int, metavar="N", help="of one city")
    parser.add_argument("--calls", type=float, default=CALLS, metavar="N", help="of a line in a day; %(default)s")
    args = parser.parse_args()
    if args.units is not None:
        for key, text in _figures(City(args.units, args.calls)).items():
            sys.stdout.write(f"{LABELS[key]}: {text}\n")
    elif args.write:
        DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
    else:
        sys.stdout.write(f"{tables(args.calls)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
