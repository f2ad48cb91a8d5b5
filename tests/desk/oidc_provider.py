# SPDX-License-Identifier: Apache-2.0
"""A small OIDC provider over https, with Authlib's protocol, which can return false tokens."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.errors import OAuth2Error
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.models import ClientMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo
from authlib.oidc.core.models import AuthorizationCodeMixin

from https_server import Listening

HOST = "127.0.0.1"
FORM = '<!doctype html><title>id</title><form method="post"><input name="sub"><button>in</button></form>'
CLIENT, SECRET = "linetap-desk", "only the two of us know"
Claims = dict[str, Any]


@dataclass
class Lies:
    """The faults of the next ID token."""

    claims: Callable[[Claims], Claims] = lambda claims: claims
    key: Any = None  # signs instead of the published one
    alg: str = "RS256"
    none: bool = False  # no ID token


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    code: str
    sub: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class Client(ClientMixin):  # type: ignore[misc]
    redirects: list[str] = field(default_factory=list)
    id_token_signed_response_alg: str = "RS256"

    def get_client_id(self) -> str:
        return CLIENT

    def get_default_redirect_uri(self) -> str:
        return self.redirects[0]

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirects

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class Asked(OAuth2Request):  # type: ignore[misc]
    def __init__(self, method: str, uri: str, form: dict[str, str], headers: Any) -> None:
        super().__init__(method, uri, headers=headers)
        self._query, self._form = dict(parse_qsl(urlsplit(uri).query)), form
        self.payload = BasicOAuth2Payload({**self._query, **form})

    @property
    def args(self) -> dict[str, str]:
        return self._query

    @property
    def form(self) -> dict[str, str]:
        return self._form


class Provider(AuthorizationServer):  # type: ignore[misc]
    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__(scopes_supported=["openid"])
        self.key = JsonWebKey.generate_key("RSA", 2048, {"kid": "1"}, is_private=True)
        self.lies, self.client, self.codes = Lies(), Client(), dict[str, Code]()
        self.asked: list[dict[str, str]] = []  # requests to the authorize endpoint
        self.odd: dict[str, str] = {}  # path -> what is answered there in its place
        self.register_token_generator("default", BearerTokenGenerator(lambda **_: "an access token, and no more"))
        self.register_grant(_grant(self), [_id_token(self), CodeChallenge(required=True)])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._http = Listening((HOST, 0), _handler(self))
        self._http.context = context
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"https://{HOST}:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    def authorize(self, asked: Asked, sub: str) -> Any:
        """`sub` has logged in here; empty: the person has cancelled."""
        try:
            grant = self.get_consent_grant(asked, end_user=sub)
        except OAuth2Error as error:
            return 400, str(error), []
        return self.create_authorization_response(asked, grant_user=sub or None, grant=grant)

    # ----- called by Authlib

    def query_client(self, client_id: str) -> Client | None:
        return self.client if client_id == CLIENT else None

    def save_token(self, _token: Any, _request: Any) -> None:
        """Does nothing: this provider's access tokens are not used."""

    def send_signal(self, _name: str, *_: Any, **_more: Any) -> None:
        """Does nothing: there is no receiver."""

    def create_oauth2_request(self, request: Asked) -> Asked:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Any:
        return status, json.dumps(body) if isinstance(body, dict) else body, headers


def _grant(provider: Provider) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        def save_authorization_code(self, code: str, request: Asked) -> None:
            data = request.payload.data
            provider.codes[code] = Code(
                code, str(request.user), data["redirect_uri"], data["scope"], data.get("nonce"),
                data.get("code_challenge"), data.get("code_challenge_method"),
            )  # fmt: skip

        def query_authorization_code(self, code: str, _client: Any) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del provider.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Code) -> str:
            return authorization_code.sub

    return Grant


def _id_token(provider: Provider) -> OpenIDCode:
    class IdToken(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, _nonce: str, _request: Any) -> bool:
            return False

        def get_jwt_config(self, _grant: Any, _client: Any = None) -> dict[str, Any]:
            return {"key": provider.key, "alg": "RS256", "iss": provider.url, "exp": 300, "kid": "1"}

        def generate_user_info(self, user: str, _scope: str) -> UserInfo:
            return UserInfo(sub=user, roles=["vault"], groups=["vault"])  # must have no effect

        def process_token(self, grant: Any, response: Any) -> Any:
            token, lies = super().process_token(grant, response), provider.lies
            body = token["id_token"].split(".")[1]
            claims = lies.claims(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
            header = {"alg": lies.alg, "kid": "1"}
            key = None if lies.alg == "none" else lies.key or provider.key
            token["id_token"] = JsonWebToken([lies.alg]).encode(header, claims, key).decode()
            if lies.none:
                del token["id_token"]
            return token

    return IdToken(require_nonce=True)


def _handler(provider: Provider) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if (odd := provider.odd.get(path)) is not None:
                self._answer(200, odd, [("Content-Type", "application/json")])
            elif path == "/.well-known/openid-configuration":
                self._answer(200, json.dumps(provider.metadata()), [("Content-Type", "application/json")])
            elif path == "/jwks":
                keys = {"keys": [provider.key.as_dict()]}
                self._answer(200, json.dumps(keys), [("Content-Type", "application/json")])
            elif path == "/authorize":
                provider.asked.append(dict(parse_qsl(urlsplit(self.path).query)))
                form = (
                    '<!doctype html><title>id</title><form method="post"><input name="sub"><button>in</button></form>'
                )
                self._answer(200, form, [("Content-Type", "text/html")])
            else:
                self._answer(404, "", [])

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            path = urlsplit(self.path).path
            if path == "/authorize":
                asked = Asked("GET", f"{provider.url}{self.path}", {}, self.headers)
                self._answer(*provider.authorize(asked, form.get("sub", "")))
            else:
                asked = Asked("POST", f"{provider.url}{self.path}", form, self.headers)
                self._answer(*provider.create_token_response(asked))

        def _answer(self, status: int, body: str, headers: Any) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    return Handler
