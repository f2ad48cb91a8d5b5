# SPDX-License-Identifier: Apache-2.0
"""A file name belongs to one key: signing keys and TLS keys have different names in every document and example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from linetap_core.durable.signedfile import load_key
from linetap_core.enrolment import certificates
from linetap_core.errors import BadInput
from linetap_desk.config import pages
from linetap_desk.config.desk import ServeConfig

ROOT = Path(__file__).parents[2]
TEXTS = {
    path: path.read_text()
    for folder, kinds in (
        ("docs", ("*.md", "*.toml", "*.yaml")),
        ("firmware", ("*.py",)),
        ("systemd", ("*",)),
        ("tools", ("*",)),
    )
    for kind in kinds
    for path in (ROOT / folder).rglob(kind)
    if path.is_file() and path.suffix not in (".pyc", ".png")
}
_NAME = r"(?:[\w.]+/)*([\w-]+\.key)\b"
SIGNS = (
    rf"ssh-keygen [^\n]*-f {_NAME}",
    rf"keygen unit [^\n]*-o {_NAME}",
    rf"(?<!\.pem )--key {_NAME}",  # behind --cert NAME.pem it is mosquitto_sub's
    rf"log_key = \\?\"{_NAME}",
    rf"(?m)\Akey = \"{_NAME}|^signers = [^\n]*\nkey = \"{_NAME}",
)
OF_TLS = (
    rf"\.pem --key {_NAME}",
    r"pki (?:broker|desk) [^\n]*-o (?:[\w.]+/)*([\w-]+)\.pem",
    rf"(?:fleet_key|keyfile) =? ?\\?\"?(?:/[\w/]+/)?{_NAME}",
    rf"certificate = \\?\"[^\"]+\"(?:\\n|\n)key = \\?\"{_NAME}",
)


def names(patterns: tuple[str, ...]) -> dict[str, set[str]]:
    """Each name of a key -> the files that use it."""
    found: dict[str, set[str]] = {}
    for path, text in TEXTS.items():
        for pattern in patterns:
            for groups in re.finditer(pattern, text):
                name = next(group for group in groups.groups() if group)
                found.setdefault(name if name.endswith(".key") else f"{name}.key", set()).add(path.name)
    return found


def test_no_name_is_of_two_kinds() -> None:
    signing, tls = names(SIGNS), names(OF_TLS)
    assert {"desk.key", "serve-log.key", "officer.key"} <= signing.keys()
    assert {"desk-tls.key", "serve-tls.key", "desk-pages.key", "wall.key", "broker.key"} <= tls.keys()
    assert {name: signing[name] | tls[name] for name in signing.keys() & tls.keys()} == {}
    assert ServeConfig().log_key not in tls


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ('[serve]\ncertificate = "serve.pem"\nkey = "serve-log.key"\n', "serve.key and serve.log_key"),
        ('key = "a.key"\n[broker]\nca = "c"\ncertificate = "d"\nkey = "a.key"\n', "broker.key and key"),
        ('key = "a.key"\n[serve]\nlog_key = "./a.key"\n', "serve.log_key and key"),
    ],
)
def test_one_file_for_two_keys_is_refused(tmp_path: Path, table: str, names: str) -> None:
    (tmp_path / "desk.toml").write_text(table)
    with pytest.raises(BadInput, match=f"{names} are the same file"):
        pages.read_settings(tmp_path / "desk.toml")


def test_a_tls_key_in_the_place_of_one_that_signs_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "desk.key").write_bytes(certificates.key_pem(certificates.new_key()))
    with pytest.raises(BadInput, match=r"desk\.key: is a TLS key"):
        load_key(tmp_path / "desk.key")
