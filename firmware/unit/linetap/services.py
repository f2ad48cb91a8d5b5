# SPDX-License-Identifier: Apache-2.0
"""The four services as commands: each reads unit.toml and runs, or waits if unit.toml is unusable.

Only the requested service is imported.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from linetap.config import Config, load_config
from linetap.config.require import require_card
from linetap_core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Service:
    name: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--config", type=Path, required=True, metavar="unit.toml")

    def run(self, args: argparse.Namespace) -> int:
        """Runs a service. Exit status 0 when stopped, START_AGAIN when the configuration was replaced."""
        try:
            config = load_config(args.config)
        except BadInput as error:
            return self._without_config(args, error)
        return self._start(config, args)

    def _start(self, config: Config, _args: argparse.Namespace) -> int:
        return int(self._module().run(config))

    def _without_config(self, args: argparse.Namespace, error: BadInput) -> int:
        standby = import_module("linetap.standby")
        if not standby.is_supervised():
            raise error
        return int(standby.wait_for_config(self.name, getattr(args, "card", 1), args.config.absolute(), error))

    def _module(self) -> Any:
        return import_module(f"linetap.{self.name}.service")


class _Capture(Service):
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        Service.add_arguments(self, parser)
        parser.add_argument("--card", type=int, default=1, metavar="N", help="default %(default)s")

    def _start(self, config: Config, args: argparse.Namespace) -> int:
        require_card(config, args.config, args.card)
        return int(self._module().run(config, args.card))


class _Recorder(Service):
    def _start(self, config: Config, args: argparse.Namespace) -> int:
        return int(self._module().run(config, config_file=args.config.absolute()))


class _Panel(Service):
    def _without_config(self, args: argparse.Namespace, error: BadInput) -> int:
        """Waits for a configuration while the LEDs show its error, under any supervisor."""
        return int(import_module("linetap.panel.unconfigured").run(args.config.absolute(), error))


capture = _Capture("capture")
recorder = _Recorder("recorder")
reporter = Service("reporter")
panel = _Panel("panel")
