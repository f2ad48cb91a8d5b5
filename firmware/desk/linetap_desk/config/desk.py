# SPDX-License-Identifier: Apache-2.0
"""Reads desk.toml, or the same options on the command line, which take precedence; and the ingest's settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta

from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source
from linetap_core.wire.hosts import BROKER_WANTED, LOOPBACK, is_host, is_tls_host
from linetap_core.wire.mqtt import Broker
from linetap_core.zones import KOREA

_Address = Annotated[str, Meta(max_length=254, pattern=r"\A[^\s<>,;@]+@[^\s<>,;@]+\Z")]


def is_https(text: str) -> bool:
    """Whether it is an HTTPS address, in ASCII as HTTP sends it, without a user."""
    try:
        url = urlsplit(text)
        named = is_host(url.hostname or "") and url.port != 0 and "@" not in url.netloc
    except ValueError:
        return False
    return named and url.scheme == "https" and text.isascii() and text.isprintable() and " " not in text


class SummaryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[summary]. Without `mail_server` and `webhook` it is printed to standard output."""

    mail_server: str | None = None  # mail.city.example:465
    mail_tls: Literal["tls", "starttls"] = "tls"
    mail_from: _Address | None = None
    mail_to: tuple[_Address, ...] = ()
    mail_user: str | None = None
    mail_password: str | None = None  # path of the file that contains it
    webhook: str | None = None  # https://...: a POST of JSON
    ca: str | None = None  # of the server of either; default: the machine's
    zone: str = KOREA  # time zone of the day
    attempts: Annotated[int, Meta(ge=1, le=10)] = 4
    pause_s: Annotated[int, Meta(ge=0, le=3600)] = 60  # before the second attempt; doubled each time

    def checked(self) -> Self:
        """The settings. BadInput for contradictory ones."""
        if self.webhook is not None and not is_https(self.webhook):
            raise BadInput("summary.webhook: https://chat.city.example/hook expected")
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
            raise BadInput(f"summary.mail_server {self.mail_server}: mail.city.example:465 expected")
        return host.strip("[]"), int(port)


class OidcConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The OIDC provider, which identifies a person; `linetap desk people` sets what the person may do."""

    issuer: str  # https://id.city.example
    client_id: str
    client_secret: str  # path of the file that contains it
    ca: str | None = None  # default: the machine's
    name: str = "OIDC"  # name on the login page


class ServeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    listen: str = "127.0.0.1:8443"
    url: str | None = None  # address that people type; default: https:// and the listening address
    certificate: str | None = None  # TLS, with its key; optional on the loopback
    key: str | None = None
    db: str = "sqlite:///serve.db"  # the pages' own database: people, sessions, access log
    log_key: str = "serve-log.key"  # signs only the access log's head: `linetap keygen unit` makes one
    zone: str = KOREA
    proxies: tuple[str, ...] = ()  # trusted senders of X-Forwarded-For
    idle_minutes: Annotated[int, Meta(ge=1, le=1440)] = 15
    # for accounts with only the role `watch`, as at a wall display
    watch_idle_minutes: Annotated[int, Meta(ge=1, le=10080)] = 720
    session_hours: Annotated[int, Meta(ge=1, le=168)] = 12
    working_hours: str = "08:00-19:00"  # Monday to Friday; accesses at other times are counted in the review
    lines: str | None = None  # CSV: unit,line,extension,department,from, as for `linetap find --table`
    extensions: str | None = None  # the register of extensions, as `linetap desk coverage import` writes it
    complaints: Annotated[str, Meta(max_length=120)] = ""  # where a caller may complain: an office and its number
    metrics: str | None = None  # HOST:PORT of the loopback: figures for Prometheus
    access_days: Annotated[int, Meta(ge=731, le=3660)] = 731  # two years
    roles: str | None = None  # roles.json signed by the authority, with its .sig; required for releases and holds
    authority: str | None = None  # the authority's .pub file
    passkey_roles: tuple[str, ...] = ()  # accounts with one of these roles log in by passkey only
    signing: str | None = None  # address of the signing page, on a separate host; required for approvals by passkey
    oidc: OidcConfig | None = None
    fleet_certificate: str | None = None  # for the broker, with its key; its name must be unique
    fleet_key: str | None = None


_EXAMPLE = "mqtt://127.0.0.1:1883 expected, and a [broker] with its ca in desk.toml for one on the network"


class CopyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The second copy. Rates are per unit; absent: unlimited, 0: no transfer in these hours."""

    store: str  # file:///srv/linetap-copy, or s3://bucket/prefix?endpoint=https://s3.example
    incoming: str | None = None  # with s3: a local folder for incomplete calls
    units_at_once: Annotated[int, Meta(ge=1, le=1000)] = 16
    day_kbit_s: Annotated[int, Meta(ge=0)] | None = 2000
    night_kbit_s: Annotated[int, Meta(ge=0)] | None = None
    night: str = "20:00-06:00"
    zone: str = KOREA
    holds: str | None = None  # the vault officer's folder, holds/<name>/hold.json: held copies are not deleted
    index: str | None = None  # with s3: a local folder for the sealed indexes; a file store contains them
    index_minutes: Annotated[int, Meta(ge=0, le=1440)] = 10  # between the requests for a unit's index; 0: none

    @property
    def index_root(self) -> Path | None:
        """The folder of the units' indexes: a unit's is `<root>/<unit>/index`. None: no folder, or no indexes are
        copied."""
        if not self.index_minutes:
            return None
        parts = urlsplit(self.store)
        beside = Path(unquote(parts.path)) if parts.scheme == "file" else None
        return beside if self.index is None else Path(self.index)


class WatchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[watch], for `linetap watch`. It has its own certificate, since a certificate can connect only once."""

    certificate: str | None = None
    key: str | None = None
    places: str | None = None  # file of the units' places


class SendConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[send], for `linetap command send`, with its own certificate as [watch]."""

    certificate: str | None = None
    key: str | None = None


class WitnessesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[witnesses]: the witnesses required before a call is opened, and the logs that `linetap checkpoint --config`
    carries."""

    policy: str | None = None  # in force if named here: without the file nothing is opened
    policy_sha256: str | None = None  # as printed by `sha256sum`; any other policy, such as an older one, is refused
    heads: str | None = None  # cosigned checkpoints: HEADS/UNIT/SIZE.checkpoint
    within_hours: Annotated[int, Meta(ge=1, le=8784)] = 24  # from a call's end to its first witness
    logs: str | None = None  # LOGS/UNIT: a copy of each unit's log
    keepers: str | None = None  # KEEPERS/UNIT.key: the key that signs the checkpoints of that log
    ca: str | None = None  # for the witnesses' https; default: the system's


class DeskConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole desk.toml. Paths are relative to the configuration file."""

    broker: Broker = Broker()
    watch: WatchConfig = WatchConfig()
    send: SendConfig = SendConfig()
    client_id: str = "linetap-desk"  # the broker keeps the ingest's session under this name
    # number of shares of the units, for several ingests on PostgreSQL; 1: one ingest has all
    shares: Annotated[int, Meta(ge=1, le=64)] = 1
    signers: str | None = None  # allowed_signers: the keys of the units
    key: str | None = None  # the desk's private key; without it nothing is confirmed or requested
    db: str | None = None  # sqlite:///desk.db, postgresql+psycopg://...
    outgoing: str | None = None  # the folder of uploaded commands, which the ingest sends to units
    copy: CopyConfig | None = None
    witnesses: WitnessesConfig = WitnessesConfig()
    serve: ServeConfig = ServeConfig()
    summary: SummaryConfig = SummaryConfig()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    broker: Broker
    client_id: str
    signers: Path
    key: Path | None
    db: str
    copy: CopyConfig | None = None
    outgoing: Path | None = None
    shares: int = 1
    zone: str = KOREA  # time zone of the figures' days
    roles: Path | None = None  # the ingest checks the pages' commands by these
    authority: Path | None = None


def ingest_settings(args: argparse.Namespace) -> Settings:
    """The ingest's settings. BadInput if a setting is missing or contradictory."""
    config, broker = read_config(args)
    signers, db = args.signers or config.signers, args.db or config.db
    if signers is None or db is None:
        raise BadInput(f"--{'db' if signers else 'signers'} is missing: expected here or in a desk.toml")
    key = args.key or config.key
    copy = config.copy
    if args.copy is not None:
        copy = msgspec.structs.replace(copy, store=args.copy) if copy else CopyConfig(store=args.copy)
    if copy is not None and key is None:
        raise BadInput("copy.store: requests to units need the desk's key: --key, or key in desk.toml, expected")
    if config.shares > 1 and not db.startswith("postgresql"):
        raise BadInput('shares: several ingests need PostgreSQL: db = "postgresql+psycopg://desk@host/linetap"')
    serve = config.serve
    if config.outgoing is not None and (serve.roles is None or serve.authority is None):
        raise BadInput("outgoing: serve.roles and serve.authority, which check the commands, are missing")
    return Settings(
        broker=broker,
        client_id=args.client_id or config.client_id,
        shares=config.shares,
        zone=serve.zone,
        signers=Path(signers),
        key=None if key is None else Path(key),
        db=db,
        copy=copy,
        outgoing=None if config.outgoing is None else Path(config.outgoing),
        roles=None if serve.roles is None else Path(serve.roles),
        authority=None if serve.authority is None else Path(serve.authority),
    )


def database_of(args: argparse.Namespace) -> str:
    """The URL of `--db`, or of the desk.toml of `--config`."""
    db = args.db or _read(args.config).db
    if db is None:
        raise BadInput(f"{args.config}: db is missing; sqlite:///desk.db expected")
    return str(db)


def read_config(args: argparse.Namespace) -> tuple[DeskConfig, Broker]:
    """The file of `--config`, and the broker of `--broker` or of the file."""
    config = _read(args.config) if args.config else DeskConfig()
    broker = broker_of_url(args.broker) if args.broker else config.broker
    if broker.ca is None and broker.host not in LOOPBACK:
        raise BadInput(f"broker {broker.host}: a broker on the network is reached by TLS only: its ca is missing")
    return config, broker


def _read(path: Path) -> DeskConfig:
    source = Source(path)
    config = source.convert(DeskConfig)
    source.check()
    assert config is not None
    _require_addresses(path, config)
    return _with_distinct_keys(path, config)


def _require_addresses(path: Path, config: DeskConfig) -> None:
    """BadInput for an address that cannot be split, so that every reader of the configuration can split it, and for a
    broker that no look-up finds."""
    serve = config.serve
    found = {"serve.url": serve.url, "serve.signing": serve.signing, "summary.webhook": config.summary.webhook}
    found |= {"serve.oidc.issuer": serve.oidc.issuer} if serve.oidc else {}
    found |= {"copy.store": config.copy.store} if config.copy else {}
    for name, text in found.items():
        try:
            _ = urlsplit(text or "").port
        except ValueError as error:
            raise BadInput(f"{path}: {name} {text}: {error}") from None
    if not (is_tls_host(config.broker.host) or config.broker.host in LOOPBACK):
        raise BadInput(f"{path}: broker.host {config.broker.host}: {BROKER_WANTED} expected")


def _with_distinct_keys(path: Path, config: DeskConfig) -> DeskConfig:
    """The configuration with absolute paths. BadInput if two settings share a key that signs, since each such key has
    one use. TLS keys are of another kind."""
    config = _all_absolute(path, config)
    serve = config.serve
    signing = {"key": config.key, "serve.log_key": serve.log_key}
    tls = {"broker.key": config.broker.key, "watch.key": config.watch.key, "send.key": config.send.key,
           "serve.key": serve.key, "serve.fleet_key": serve.fleet_key}  # fmt: skip
    taken: dict[str, str] = {}
    for name, file in (*signing.items(), *tls.items()):
        if file is None:
            continue
        if (other := taken.get(file)) is not None:
            raise BadInput(f"{path}: {name} and {other} are the same file, {file}; each needs a key of its own")
        if name in signing:
            taken[file] = name
    return config


def _all_absolute(path: Path, config: DeskConfig) -> DeskConfig:
    return msgspec.structs.replace(
        config,
        broker=_all_beside(path, config.broker, "ca", "certificate", "key"),
        watch=_all_beside(path, config.watch, "certificate", "key", "places"),
        send=_all_beside(path, config.send, "certificate", "key"),
        signers=_beside(path, config.signers),
        key=_beside(path, config.key),
        outgoing=_beside(path, config.outgoing),
        db=_database_beside(path, config.db),
        copy=_copy_beside(path, config.copy),
        witnesses=_all_beside(path, config.witnesses, "policy", "heads", "logs", "keepers", "ca"),
        serve=_serve_beside(path, config.serve),
        summary=_all_beside(path, config.summary, "mail_password", "ca"),
    )


def _all_beside[T: msgspec.Struct](path: Path, part: T, *names: str) -> T:
    return msgspec.structs.replace(part, **{name: _beside(path, getattr(part, name)) for name in names})


def _beside(path: Path, name: str | None) -> str | None:
    return None if name is None else str(path.absolute().parent / name)


def _copy_beside(path: Path, copy: CopyConfig | None) -> CopyConfig | None:
    beside = {name: _beside(path, getattr(copy, name)) for name in ("incoming", "holds", "index")} if copy else {}
    return copy and msgspec.structs.replace(copy, **beside)


def _serve_beside(path: Path, serve: ServeConfig) -> ServeConfig:
    oidc = serve.oidc and _all_beside(path, serve.oidc, "client_secret", "ca")
    names = (
        "certificate",
        "key",
        "log_key",
        "lines",
        "extensions",
        "roles",
        "authority",
        "fleet_certificate",
        "fleet_key",
    )
    serve = _all_beside(path, serve, *names)
    return msgspec.structs.replace(serve, oidc=oidc, db=_database_beside(path, serve.db))


def _database_beside(path: Path, url: str | None) -> str | None:
    """The URL with an absolute path: sqlite:///NAME is relative to the file; sqlite:////NAME is absolute already."""
    head, name = "sqlite:///", (url or "").removeprefix("sqlite:///")
    return f"{head}{path.absolute().parent / name}" if url and url.startswith(head) else url


def broker_of_url(text: str) -> Broker:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise BadInput(f"--broker {text}: {_EXAMPLE}") from None
    if url.scheme != "mqtt" or not url.hostname or url.path not in ("", "/") or url.query or url.username:
        raise BadInput(f"--broker {text}: {_EXAMPLE}")
    return Broker(host=url.hostname, port=port or 1883)
