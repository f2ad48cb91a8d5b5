# SPDX-License-Identifier: Apache-2.0
"""Delivers a day's figures by mail, in Korean and English on each line, or as JSON to a webhook. One attempt."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from http.client import HTTPException
from pathlib import Path
from typing import Any

import msgspec

from linetap_core.clock import from_utc_ns
from linetap_core.errors import BadInput
from linetap_core.httplimits import Limits
from linetap_desk.config.desk import SummaryConfig


def subject_line(found: dict[str, Any]) -> str:
    return f"linetap {found['day']}: 통화 calls {found['calls']['total']}"


def mail_text(found: dict[str, Any]) -> str:
    return "\n".join(_lines(found)) + "\n"


def _lines(found: dict[str, Any]) -> Iterator[str]:
    units, alerts = found["units"], found["alerts"]
    yield f"{found['day']} ({found['zone']})"
    yield f"통화 calls: {_kinds(found['calls'])}"
    yield from _coverage(found["coverage"])
    yield f"현재 경보 alerts now: {_kinds(alerts['standing'])}"
    yield f"데스크 경보 alerts of the desk: {_kinds(alerts['of_the_desk'])}"
    gone = found["destructions"]
    yield f"파기 destroyed: 통화 calls {gone['calls']}, 사본 copies {gone['copies']}"
    yield f"기기 units: {units['named']}"
    yield f"지연 late: {_of(units['late'])}"
    yield f"오프라인 offline: {_of(units['offline'])}"
    yield f"고장 at fault: {_of(units['at_fault'])}"
    yield f"보고 이력 없음 never reported: {_of(units['never_heard'])}"
    yield f"이날 녹음 중단 not recording for part of the day: {_of(units['not_recording_that_day'])}"
    if found["desk_heard_nothing"]:
        yield f"데스크 수신 중단 interruptions of the desk's reception: {found['desk_heard_nothing']}"
    if ending := ", ".join(f"{one['file']} {one['until']}" for one in found["certificates_that_end"]):
        yield f"곧 만료되는 인증서 certificates that end soon: {ending}"


def _coverage(found: dict[str, Any] | None) -> Iterator[str]:
    if found is None:
        yield "교환기 대조 coverage against the PBX: 보존 기간이 지나 삭제됨 no longer kept"
        return
    figures, differ, percent = found["told"], found["units_that_differ_from_the_pbx"], found["percent"]
    share = "-" if percent is None else f"{percent:.1f} %"
    yield f"교환기 대조 coverage against the PBX: {share}; 기기 units {figures['units']}, {_figures(figures)}"
    yield f"교환기와 다른 기기 units that differ from the PBX: {differ['count']}"
    yield from (f"  {unit['unit']}: {_figures(unit)}" for unit in differ["units"])
    if differ["count"] > len(differ["units"]):
        yield "  …"
    yield f"이날 대조 없음 no report for this day: {_of(found['told_nothing'])}"
    yield f"교환기 연결 여부 미확인 PBX connection unknown: {_of(found['unknown'])}"


def _figures(of: dict[str, Any]) -> str:
    return (f"교환기 통화 PBX calls {of['calls']}, 녹음 recorded {of['recorded']}, 누락 missing {of['missing']}, "
            f"교환기에 없는 녹음 not at the PBX {of['unseen']}")  # fmt: skip


def _kinds(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "0"


def _of(named: dict[str, Any]) -> str:
    more = "" if named["count"] <= len(named["units"]) else ", …"
    return f"{named['count']}" + (f" ({', '.join(named['units'])}{more})" if named["units"] else "")


TIMEOUT_S, EXCHANGE_S = 30, 120  # for each piece of an answer; for the whole exchange
_MOST_ANSWER_BYTES = 64 << 10


class NotDelivered(Exception):
    """The delivery failed; the reason is on one line. Another attempt may succeed."""


def context(config: SummaryConfig) -> ssl.SSLContext:
    """The TLS context. BadInput for an invalid `ca`."""
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
    """Sends the mail. NotDelivered if any recipient is refused: none may be left out silently."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = (
        subject_line(found),
        config.mail_from,
        ", ".join(config.mail_to),
    )
    message["Date"] = format_datetime(from_utc_ns(now_ns))
    message["Message-ID"] = make_msgid(domain=(config.mail_from or "").rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail_text(found))
    host, port = config.mail_host()
    secret, trust = password(config), context(config)
    try:
        with contextlib.closing(_connected(config, host, port, trust)) as server:
            if config.mail_user is not None:
                server.login(config.mail_user, secret)
            refused = server.send_message(message)
            with contextlib.suppress(OSError, smtplib.SMTPException):  # the mail is accepted
                server.quit()
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        raise NotDelivered(f"mail to {host}:{port}: {_line(error)}") from None
    if refused:
        raise NotDelivered(f"mail to {host}:{port}: {len(refused)} of {len(config.mail_to)} were refused")


def _connected(config: SummaryConfig, host: str, port: int, trust: ssl.SSLContext) -> smtplib.SMTP:
    """A connection with TLS: a server without STARTTLS gets no mail."""
    if config.mail_tls == "tls":
        return _Smtp(host, port, trust)
    server = _Smtp(host, port)
    try:
        server.starttls(context=trust)
    except BaseException:  # re-raised; closes the connection
        server.close()
        raise
    return server


class _Smtp(smtplib.SMTP):
    """An SMTP client whose whole exchange has limits. `trust`: for TLS from the beginning."""

    def __init__(self, host: str, port: int, trust: ssl.SSLContext | None = None) -> None:
        self._limits = Limits.within(EXCHANGE_S, TIMEOUT_S, most_bytes=_MOST_ANSWER_BYTES)
        self._trust = trust
        super().__init__(host, port, timeout=TIMEOUT_S)

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:
        """Replaces smtplib's, whose time limit begins anew with each address."""
        line = self._limits.connect((host, port))
        try:
            return line if self._trust is None else self._trust.wrap_socket(line, server_hostname=host)
        except BaseException:  # re-raised; closes the connection
            line.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = self._limits.reader(self.sock)
        return super().getreply()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which could lead to http, or to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def webhook(config: SummaryConfig, found: dict[str, Any]) -> None:
    request = urllib.request.Request(
        config.webhook or "", msgspec.json.encode(found), {"Content-Type": "application/json"}, method="POST"
    )
    opener = Limits.within(EXCHANGE_S, TIMEOUT_S).opener(context(config), _NoRedirect())
    try:
        with opener.open(request) as answer:
            answer.read(_MOST_ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        error.close()
        raise NotDelivered(f"webhook: {error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise NotDelivered(f"webhook: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
