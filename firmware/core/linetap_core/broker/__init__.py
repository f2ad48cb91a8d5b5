# SPDX-License-Identifier: Apache-2.0
"""The connection to a broker, for the unit's reporter and the desk's ingest."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType


def _import_paho() -> None:
    """Imports paho without urllib.request, which loads http and email: paho needs it only to find a proxy if the module
    `socks` is installed. Other importers get the real urllib.request.
    """
    name = "urllib.request"
    if name in sys.modules or find_spec("socks") is not None:
        return
    sys.modules[name] = ModuleType(name)
    try:
        import paho.mqtt.client  # noqa: F401 - loaded for its effect on sys.modules
    finally:
        del sys.modules[name]


_import_paho()
