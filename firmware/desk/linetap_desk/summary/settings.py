# SPDX-License-Identifier: Apache-2.0
"""The [summary] table of desk.toml. Paths are relative to the file."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from linetap_core.errors import BadInput
from linetap_core.zones import KOREA

_Address = Annotated[str, Meta(max_length=254, pattern=r"\A[^\s<>,;@]+@[^\s<>,;@]+\Z")]


class SummaryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Neither `mail_server` nor `webhook`: to standard output."""

    mail_server: str | None = None  # mail.city.example:465
    mail_tls: Literal["tls", "starttls"] = "tls"
    mail_from: _Address | None = None
    mail_to: tuple[_Address, ...] = ()
    mail_user: str | None = None
    mail_password: str | None = None  # a file
    webhook: str | None = None  # https://...: a POST of JSON
    ca: str | None = None  # of either's server; else the machine's own
    zone: str = KOREA  # of the day
    attempts: Annotated[int, Meta(ge=1, le=10)] = 4
    pause_s: Annotated[int, Meta(ge=0, le=3600)] = 60  # before the second attempt; doubled each time

    def checked(self) -> Self:
        """BadInput for what does not go together."""
        if self.webhook is not None:
            url = urlsplit(self.webhook)
            if url.scheme != "https" or not url.hostname or url.username:
                raise BadInput("summary.webhook: https://chat.city.example/hook would be right")
        if self.mail_server is not None:
            self.mail_host()
            if self.mail_from is None or not self.mail_to:
                raise BadInput("summary.mail_server: mail_from and mail_to are missing")
            if (self.mail_user is None) != (self.mail_password is None):
                raise BadInput("summary.mail_user and mail_password (a file) go together")
        return self

    def mail_host(self) -> tuple[str, int]:
        host, _, port = (self.mail_server or "").rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) <= 65_535:
            raise BadInput(f"summary.mail_server {self.mail_server}: mail.city.example:465 would be right")
        return host.strip("[]"), int(port)
