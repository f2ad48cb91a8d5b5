# SPDX-License-Identifier: Apache-2.0
"""The way to a broker, as a unit's reporter and the desk's ingest both go it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType


def _import_paho() -> None:
    """Without urllib.request, which brings http and email: paho takes it to find a proxy, where there is a module that
    speaks to one (socks), and looks at nothing of it where there is none. Whoever else imports it gets it."""
    name = "urllib.request"
    if name in sys.modules or find_spec("socks") is not None:
        return
    sys.modules[name] = ModuleType(name)
    try:
        import paho.mqtt.client  # noqa: F401 - with what stands there now
    finally:
        del sys.modules[name]


_import_paho()
