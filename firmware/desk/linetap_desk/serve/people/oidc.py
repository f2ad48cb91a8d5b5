# SPDX-License-Identifier: Apache-2.0
"""Login by the city's OIDC provider, which identifies the person and does not determine their roles.

Authlib makes state, nonce and PKCE and checks the answer. The request requires a new authentication (`prompt=login`,
`max_age=0`), and the provider must state its time: otherwise a locked desk would be open to anyone who finds the
browser logged in at the provider.
"""

from __future__ import annotations

import logging
import secrets
import ssl
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import BadInput
from linetap_core.service import credential
from linetap_desk.config.desk import OidcConfig
from linetap_desk.web import secure

COOKIE = "__Host-linetap-oidc"
BACK = "/oidc/back"
WITHIN_S = 600
MOST_WAITING = 1000  # pending logins; the oldest is dropped
LEEWAY_S = 120
_ANSWER_S = 10
_SECRET_BYTES = 4096
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
# A token signed with a shared secret (HS256) or not at all (none) could be forged.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

log = logging.getLogger("linetap.serve")


@dataclass(frozen=True, slots=True)
class _PendingLogin:
    there: str  # the page to return to
    old: str  # the previous session
    since_ns: int
    session: dict[str, Any] = field(default_factory=dict)  # Authlib's own data: state, nonce, verifier


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    subject: str  # as in people.subject
    there: str
    old: str


class ProviderUnreachable(Exception):
    """The provider cannot be reached."""


class Oidc:
    """The logins at the provider. One process serves the pages, so pending logins are in its memory."""

    def __init__(self, config: OidcConfig, clock: Clock, url: str) -> None:
        from authlib.integrations.starlette_client import OAuth  # 20 MB with its client, which most desks do not need

        self._config, self._clock, self._url = config, clock, url
        self._pending: OrderedDict[str, _PendingLogin] = OrderedDict()
        self._app = OAuth().register(
            "desk",
            client_id=config.client_id,
            client_secret=_secret(Path(config.client_secret)),
            server_metadata_url=f"{config.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid",
                "code_challenge_method": "S256",
                "verify": ssl.create_default_context(cafile=config.ca),
                "timeout": _ANSWER_S,
            },
        )

    async def redirect_to_provider(self, request: Request, there: str, old: str) -> Response:
        """Redirects to the provider. ProviderUnreachable if it cannot be reached."""
        from httpx import HTTPError

        waiting = _PendingLogin(there, old, self._clock.utc_ns())
        request.scope["session"] = waiting.session
        try:
            await self._metadata()
            answer: Response = await self._app.authorize_redirect(
                request, f"{self._url}{BACK}", prompt="login", max_age="0"
            )
        except (HTTPError, ValueError, RuntimeError) as error:  # no answer, or not a provider's
            log.warning("oidc_away: %s", type(error).__name__)
            raise ProviderUnreachable from None
        token = secrets.token_urlsafe(32)
        self._pending[secure.digest(token)] = waiting
        while len(self._pending) > MOST_WAITING:
            self._pending.popitem(last=False)
        # Lax: it must be sent with the redirect from the provider.
        answer.set_cookie(COOKIE, token, path="/", max_age=WITHIN_S, secure=True, httponly=True, samesite="lax")
        return answer

    async def finish_login(self, request: Request) -> ProviderLogin | None:
        """The provider's answer; None if it did not identify the person, or if another browser began the login."""
        waiting = self._pending.pop(secure.digest(request.cookies.get(COOKIE, "")), None)
        now_ns = self._clock.utc_ns()
        if waiting is None or now_ns - waiting.since_ns > WITHIN_S * NS_PER_S:
            return None
        request.scope["session"] = waiting.session
        try:
            await self._metadata()
            token = await self._app.authorize_access_token(
                request,
                leeway=LEEWAY_S,
                claims_options={
                    "iss": {"essential": True, "values": [self._config.issuer]},
                    "aud": {"essential": True, "values": [self._config.client_id]},
                    "sub": {"essential": True},
                    "nonce": {"essential": True},
                },
            )
            claims = token["userinfo"]
            seen_s, subject = int(claims["auth_time"]), str(claims["sub"])
        except Exception as error:  # noqa: BLE001 - two libraries and a foreign answer: any fault is a refusal
            self._app.server_metadata.clear()  # Authlib keeps the provider's keys, even invalid ones
            log.warning("oidc_refused: %s", type(error).__name__)
            return None
        if not subject or seen_s < waiting.since_ns // NS_PER_S - LEEWAY_S:
            log.warning("oidc_refused: the provider did not see the person now")
            return None
        return ProviderLogin(f"{self._config.issuer} {subject}", waiting.there, waiting.old)

    async def _metadata(self) -> None:
        """Loads the provider's metadata once. ValueError for other content, which a provider in maintenance may answer:
        Authlib would use it until the pages' next start.
        """
        try:
            metadata = await self._app.load_server_metadata()
            if not all(isinstance(metadata.get(name), str) for name in _ENDPOINTS):
                raise ValueError(f"no {' or '.join(_ENDPOINTS)}")
            offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
            usable = [one for one in offered if one in _ALGORITHMS] or ["RS256"]
        except (TypeError, AttributeError, ValueError):
            self._app.server_metadata.clear()
            raise ValueError("not a provider's metadata") from None
        metadata["id_token_signing_alg_values_supported"] = usable


def _secret(path: Path) -> str:
    try:
        with credential(path).open("rb") as file:
            text = file.read(_SECRET_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error.strerror if isinstance(error, OSError) else 'not text'}") from None
    if not text:
        raise BadInput(f"{path}: empty; the client's secret at the provider expected")
    return text
