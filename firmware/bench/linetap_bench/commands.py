# SPDX-License-Identifier: Apache-2.0
"""The commands of the bench. Nothing is imported here: each command loads its own module."""

from linetap_core.cli import Command

COMMANDS = {
    "bench": Command(
        "linetap_bench.exchange.command", "run the simulated exchange", "--config unit.toml --script calls.toml"
    ),
    "fleet": Command(
        "linetap_bench.fleet.command",
        "simulate a thousand units at a broker",
        "--units 1000 --broker mqtt://127.0.0.1:1883 --happens storm@30 --happens outage@60+10",
    ),
}
