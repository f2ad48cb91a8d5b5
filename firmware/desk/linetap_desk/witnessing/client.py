# SPDX-License-Identifier: Apache-2.0
"""Requests a cosignature from one witness over HTTP. The answer is not trusted: its signature is verified."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.checkpoint import AddRequest
from linetap_core.evidence.witness.note import BadNote, Line, Note
from linetap_core.evidence.witness.quorum import Policy, Witness
from linetap_core.httplimits import Limits

_ANSWER_S, _EXCHANGE_S = 30.0, 120.0  # for each piece, and for all
_ANSWER_LIMIT_BYTES = 64 << 10
_WHY = {
    400: "it does not understand the request",
    403: "it does not know the key that signed the checkpoint",
    404: "it does not know this log: its operator takes in the log's key first",
    422: "the log that it has seen is not the beginning of this one: one of the two was rewritten",
}


class NotCosigned(Refusal):
    """The witness gave no cosignature; `code` distinguishes a network failure (no_answer) from a fault of the log."""

    def __init__(self, text: str, code: str = "not_cosigned") -> None:
        super().__init__(text)
        self.code = code


def require_urls(policy: Policy) -> None:
    """BadInput names the witness with an invalid URL."""
    for witness in policy.witnesses.values():
        if witness.url:
            _require_url(witness)


def _require_url(witness: Witness) -> None:
    try:
        parts = urlsplit(witness.url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.query or parts.fragment:
        raise BadInput(f"witness {witness.name}: {witness.url!r} is no URL; https://witness.example/ expected")


def request_cosignature(
    witness: Witness, signed: Note, known: int, proof: Callable[[int], list[bytes]], ca: Path | None = None
) -> list[Line]:
    """The witness's cosignature lines. `known`: the last size that it is known to have cosigned; `proof(old)`: that the
    log continues from `old`."""
    size, old = checkpoint.decode(signed.text).size, known
    for _ in range(2):
        status, body = _post(witness, AddRequest(old, tuple(proof(old)), signed).encode(), ca)
        if status == http.client.OK:
            return _own(witness, signed, body)
        seen = checkpoint.decode_size(body) if status == http.client.CONFLICT else None
        if seen is None:
            why = _WHY.get(status, "")
            raise NotCosigned(f"{witness.url}: it answers {status}" + (f": {why}" if why else ""))
        if seen > size:
            text = f"it has seen {seen} leaves of this log, {size} are here: some were removed, or this copy is old"
            raise NotCosigned(f"{witness.url}: {text}", "rollback")
        old = seen
    raise NotCosigned(f"{witness.url}: the log grows at the witness during the request: another process carries it")


def _own(witness: Witness, signed: Note, body: bytes) -> list[Line]:
    """The lines by the witness's own key; others are ignored."""
    try:
        lines = [line for line in note.parse_lines(body) if _is_of(witness, signed, line)]
    except BadNote as error:
        raise NotCosigned(f"{witness.url}: {error}") from None
    if not lines:
        raise NotCosigned(f"{witness.url}: its answer holds no cosignature of the key that the policy has for it")
    return lines


def _is_of(witness: Witness, signed: Note, line: Line) -> bool:
    return checkpoint.cosigned_at(Note(signed.text, (line,)), witness.public, witness.key_name) is not None


def _post(witness: Witness, body: bytes, ca: Path | None) -> tuple[int, bytes]:
    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "linetap", "Accept-Encoding": "identity"}
    parts = urlsplit(witness.url)
    limits = Limits.within(_EXCHANGE_S, _ANSWER_S)
    context = None if parts.scheme == "http" else _trust(ca)
    try:
        with contextlib.closing(limits.connection(parts.hostname or "", parts.port, context=context)) as connection:
            connection.request("POST", parts.path.rstrip("/") + checkpoint.PATH, body, headers)
            with contextlib.closing(connection.getresponse()) as answer:
                data = answer.read(_ANSWER_LIMIT_BYTES + 1)
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        why = f"none within {_EXCHANGE_S:g} s" if limits.is_over else error
        raise NotCosigned(f"{witness.url}: no answer: {why}", "no_answer") from None
    if len(data) > _ANSWER_LIMIT_BYTES:
        raise NotCosigned(f"{witness.url}: an answer of more than {_ANSWER_LIMIT_BYTES} bytes is no cosignature")
    return answer.status, data


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise BadInput(f"{ca}: {error.strerror or error}; a CA certificate (PEM) expected") from None
