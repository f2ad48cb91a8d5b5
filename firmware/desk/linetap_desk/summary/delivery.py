# SPDX-License-Identifier: Apache-2.0
"""The letter by mail, the numbers to a webhook; each with TLS and a server whose name is checked. One attempt."""

from __future__ import annotations

import smtplib
import ssl
import urllib.error
import urllib.request
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Any

import msgspec

from linetap_core.clock import from_utc_ns
from linetap_core.errors import BadInput
from linetap_desk.summary import words
from linetap_desk.summary.settings import SummaryConfig

TIMEOUT_S = 30
_MOST_ANSWER_BYTES = 64 << 10


class NotDelivered(Exception):
    """Why, on one line. Another attempt may do."""


def context(config: SummaryConfig) -> ssl.SSLContext:
    """BadInput for a `ca` that is none."""
    try:
        return ssl.create_default_context(cafile=config.ca)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"summary.ca {config.ca}: {error}") from None


def password(config: SummaryConfig) -> str:
    if config.mail_password is None:
        return ""
    try:
        return Path(config.mail_password).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise BadInput(f"summary.mail_password {config.mail_password}: {error}") from None


def mail(config: SummaryConfig, found: dict[str, Any], now_ns: int) -> None:
    """NotDelivered also where one of several is refused: who is to read it must not be left out in silence."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = (
        words.subject(found),
        config.mail_from,
        ", ".join(config.mail_to),
    )
    message["Date"] = format_datetime(from_utc_ns(now_ns))
    message["Message-ID"] = make_msgid(domain=(config.mail_from or "").rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(words.letter(found))
    host, port = config.mail_host()
    secret, trust = password(config), context(config)
    try:
        with _connected(config, host, port, trust) as server:
            if config.mail_user is not None:
                server.login(config.mail_user, secret)
            refused = server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"mail to {host}:{port}: {_line(error)}") from None
    if refused:
        raise NotDelivered(f"mail to {host}:{port}: {len(refused)} of {len(config.mail_to)} were refused")


def _connected(config: SummaryConfig, host: str, port: int, trust: ssl.SSLContext) -> smtplib.SMTP:
    """Nothing is said in clear: a server without STARTTLS gets no letter."""
    if config.mail_tls == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=trust)
    server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    try:
        server.starttls(context=trust)
    except BaseException:  # whatever it was goes on its way, and leaves no connection open
        server.close()
        raise
    return server


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to http, or to somebody else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def webhook(config: SummaryConfig, found: dict[str, Any]) -> None:
    request = urllib.request.Request(
        config.webhook or "", msgspec.json.encode(found), {"Content-Type": "application/json"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context(config)), _NoRedirect())
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            answer.read(_MOST_ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        error.close()
        raise NotDelivered(f"webhook: {error.code} {error.reason}") from None
    except OSError as error:
        raise NotDelivered(f"webhook: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
