# SPDX-License-Identifier: Apache-2.0
"""The load of `./build.sh bench desk-load` in Locust: the same requests, pauses and people.

Locust is no dependency of the project (decision 0080); docs/desk-load.md has the command. The bench starts it, and
passes in the environment the pages' address, the logged-in people, and the certificate for verifying the server.
"""

import os
import random
import re
from collections.abc import Iterator
from datetime import date
from itertools import cycle

from locust import HttpUser, constant  # it patches sockets and threads: this process contains no linetap

_CALL = re.compile(r'href="(/calls/floor-[^"]+)"')
_TOKENS = os.environ["LINETAP_LOAD_SESSIONS"].split()
_LAST = date(2026, 11, 24).toordinal()  # the day of the bench's last call
_chance = random.Random(9)


class Somebody(HttpUser):  # type: ignore[misc]
    abstract, host = True, os.environ["LINETAP_LOAD_URL"]
    tokens: Iterator[str]  # one of each kind in turn: a session may have eight streams

    def on_start(self) -> None:
        self.client.trust_env = False
        self.client.verify = os.environ["LINETAP_LOAD_CA"]
        self.client.headers["accept"] = "text/html"
        self.client.cookies.set("__Host-linetap-session", next(self.tokens))

    def stream(self) -> None:
        for _ in self.client.get("/fleet/events", stream=True, name="stream").iter_lines():
            pass

    def fleet_page(self) -> None:
        self.client.get("/fleet", name="fleet page")

    def search(self) -> None:
        since = date.fromordinal(_LAST - _chance.randrange(3 * 365))
        unit = f"floor-{_chance.randrange(150) + 1:03d}"
        asked = _chance.choice((f"unit={unit}", f"from={since}", f"unit={unit}&line=3&from={since}", "mark=any"))
        found = _CALL.findall(self.client.get(f"/calls/found?{asked}", name="search").text)
        self.wait()
        if found:
            self.client.get(_chance.choice(found), name="a call")


class Screen(Somebody):
    fixed_count, tokens, tasks, wait_time = 20, cycle(_TOKENS), [Somebody.stream], constant(1)


class Loader(Somebody):
    fixed_count, tokens, tasks, wait_time = 2, cycle(_TOKENS), [Somebody.fleet_page], constant(2)


class Officer(Somebody):
    fixed_count, tokens, tasks, wait_time = 10, cycle(_TOKENS), [Somebody.search], constant(0.3)
