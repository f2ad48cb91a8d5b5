# SPDX-License-Identifier: Apache-2.0
"""Logs in by the one-time link over https: sets the password, then reads the fleet's page.

Run in the machine's network: `firstlogin.py LINK CA.pem`. Prints the page's title and units; exits with 1 if refused.
"""

from __future__ import annotations

import re
import ssl
import sys
import time
from urllib.parse import urlsplit

import httpx

PASSWORD = "correct horse battery"
LIMIT_S = 60


class Person:
    def __init__(self, url: str, ca: str) -> None:
        parts = urlsplit(url)
        self.url, name = f"https://{parts.netloc}", str(parts.hostname)
        self.client = httpx.Client(
            base_url=f"https://127.0.0.1:{parts.port}", verify=ssl.create_default_context(cafile=ca), timeout=LIMIT_S,
            headers={"host": parts.netloc, "accept": "text/html"},
        )  # fmt: skip
        self.name = {"sni_hostname": name}  # the expected name in the certificate, independent of the address

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path, extensions=self.name)

    def post(self, path: str, **fields: str) -> httpx.Response:
        found = re.search(r'name="csrf" content="(\w+)"', self.get(path).text)
        assert found, path
        data = {"csrf": found[1], **fields}
        return self.client.post(path, data=data, headers={"origin": self.url}, extensions=self.name)


def main(link: str, ca: str) -> int:
    person = Person(link, ca)
    name, _, code = urlsplit(link).fragment.partition("/")
    refused = person.get("/fleet")
    chosen = person.post("/first", name=name, code=code, new=PASSWORD, again=PASSWORD)
    finished = person.post("/first/passkey", without="on")
    end_s = time.monotonic() + LIMIT_S
    fleet = person.get("/fleet")
    while not _units(fleet) and time.monotonic() < end_s:  # the pages have their own connection to the broker
        time.sleep(1)
        fleet = person.get("/fleet")
    title = re.search(r"<title>(.*?)</title>", fleet.text, re.DOTALL)
    sys.stdout.write(f"{refused.status_code} {chosen.status_code} {finished.status_code} {fleet.status_code}\n")
    sys.stdout.write(f"{title[1].strip() if title else ''}\n")
    sys.stdout.writelines(f"{unit}\n" for unit in _units(fleet))
    return 0 if fleet.status_code == 200 and refused.status_code != 200 else 1


def _units(fleet: httpx.Response) -> list[str]:
    return sorted(set(re.findall(r"/fleet/unit/([\w-]+)", fleet.text)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
