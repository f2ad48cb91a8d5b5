# SPDX-License-Identifier: Apache-2.0
"""allowed_signers, generated, read by us and by Debian's ssh-keygen: never looser, stricter only where documented."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signers_maker import NASTY, PRINCIPAL, file_of

import windows_like
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import signerline, signers, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.signing.sshsig import SignatureFault
from linetap_desk.bundle import report
from linetap_desk.proofs import callfolder
from sealing_rig import run

DATA, NAMESPACE = b"data", "linetap-record"
AT = datetime(2026, 11, 24, 22, 56, tzinfo=UTC)
AT_OPTION = "-Overify-time=20261124225600Z"
FILES = 140  # of each zone; the soak uses as many as time permits
ZONES = ["UTC", "Asia/Seoul", "Europe/Berlin", "America/New_York"]
STRICTER = ("NUL byte", "not base64", "not a time", "is not after", "nobody sees")  # documented in signerline.py


@dataclass(frozen=True)
class Stock:
    """ssh-keygen's verdicts on one file."""

    folder: Path

    def _asked(self, text: bytes, *words: str) -> tuple[bool, bytes]:
        (self.folder / "allowed_signers").write_bytes(text)
        done = run(["ssh-keygen", "-Y", *words, "-f", str(self.folder / "allowed_signers")], stdin=DATA)
        return done.returncode == 0, done.stdout

    def verifies(self, text: bytes, at: datetime = AT) -> bool:
        words = ["verify", "-I", PRINCIPAL, "-n", NAMESPACE, "-s", f"{self.folder}/sig"]
        return self._asked(text, *words, f"-Overify-time={at:%Y%m%d%H%M%S}Z")[0]

    def found(self, text: bytes) -> bytes:
        return self._asked(text, "find-principals", "-s", f"{self.folder}/sig", AT_OPTION)[1]

    def matching(self, text: bytes) -> bytes:
        return self._asked(text, "match-principals", "-I", PRINCIPAL)[1]


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    (tmp_path / "sig").write_text(sshsig.sign(DATA, KEY, NAMESPACE))
    return Stock(tmp_path)


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


KEY, *_OTHERS = (Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in range(3))  # from seeds
LINE = keys.public_line(KEY.public_key())
P256 = ec.derive_private_key(1234567, ec.SECP256R1()).public_key()
OTHERS = [*(keys.public_line(key.public_key()) for key in _OTHERS), keys.public_line(P256)]


def trusts(text: str, at: datetime = AT) -> bool:
    """Whether the signature is trusted; BadInput if the file is refused as a whole."""
    try:
        signers.require_trust(KEY.public_key(), NAMESPACE, signers.parse(text), PRINCIPAL, at)
    except SignatureFault:
        return False
    return True


def compare(stock: Stock, seed: int) -> str:
    """The common verdict on the file of this seed; an AssertionError names the seed."""
    text = file_of(Random(seed), LINE, OTHERS)
    data = text.encode("utf-8")
    theirs = stock.verifies(data)
    try:
        ours = trusts(text)
    except BadInput as error:
        return _refused(stock, data, str(error))
    assert ours == theirs, (seed, text)
    blob = keys.public_blob(KEY.public_key())
    named = next((s for s in signers.parse(text) if s.blob == blob and _is_valid_then(s)), None)
    principals = [] if named is None else list(takewhile(bool, named.principals.split(",")))
    assert stock.found(data) == _printed(principals), (seed, text)
    lines = [line for each in data.split(b"\n") if (line := signerline.parse(each)) is not None]
    if all(line.key_type in ("ssh-ed25519", "ecdsa-sha2-nistp256") for line in lines):
        matched = [line.principals for line in lines if signerline.in_list(PRINCIPAL, line.principals)]
        assert stock.matching(data) == _printed(matched), (seed, text)
    return "both yes" if ours else "both no"


def _is_valid_then(signer: Signer) -> bool:
    return (signer.valid_after or AT) <= AT <= (signer.valid_before or AT)


def _refused(stock: Stock, data: bytes, why: str) -> str:
    """Asserts that a line for which we refuse the file is ignored by ssh-keygen, or documented as stricter."""
    number = int(why.removeprefix("line ").partition(":")[0])
    line = data.split(b"\n")[number - 1] + b"\n"
    if not stock.verifies(line):
        return "refused"
    assert any(reason in why for reason in STRICTER), (why, line)
    return "stricter"


def _printed(principals: list[str]) -> bytes:
    return "".join(f"{each}\n" for each in principals).encode("utf-8")


def test_the_verdicts_on_generated_files_agree(stock: Stock, zone: str) -> None:
    said = Counter(compare(stock, seed) for seed in range(ZONES.index(zone) * 1000, ZONES.index(zone) * 1000 + FILES))
    assert all(said[kind] >= 10 for kind in ("both yes", "both no", "refused")), said  # the files have enough variety


@pytest.mark.soak
def test_the_verdicts_agree_for_as_long_as_there_is_time(stock: Stock, zone: str) -> None:
    del zone
    end = time.monotonic() + int(os.environ["LINETAP_SOAK_MINUTES"]) * 60 / len(ZONES) / 10
    seed = 1_000_000
    while time.monotonic() < end:
        compare(stock, seed := seed + 1)


@pytest.mark.parametrize("separator", NASTY)
def test_a_key_behind_another_separator_is_in_the_comment(stock: Stock, separator: str) -> None:
    text = f"{PRINCIPAL} {OTHERS[0]} comment{separator}{PRINCIPAL} {LINE}\n"
    assert not stock.verifies(text.encode("utf-8"))
    assert not trusts(text)


@pytest.mark.parametrize("when", ["202607010030", "202603290230", "202610250130", "202611010130", "202603080230"])
@pytest.mark.parametrize("option", ["valid-after", "valid-before"])
def test_local_times_are_those_of_ssh_keygen_in_summer_and_between(
    stock: Stock, zone: str, option: str, when: str
) -> None:
    del zone
    text = f'{PRINCIPAL} {option}="{when}" {LINE}\n'
    middle = datetime.strptime(when, "%Y%m%d%H%M").replace(tzinfo=UTC)
    for hours in (-10, -9.25, -8.75, -3, -2.25, -1.75, -1.25, -0.75, 0, 0.75, 3.75, 4.25, 4.75, 5.25, 6):
        at = middle + timedelta(hours=hours)
        assert trusts(text, at) == stock.verifies(text.encode("utf-8"), at), at


@pytest.mark.parametrize("when", ["30010101", "30010707", "40000229", "70000331", "99991030"])
def test_local_times_far_ahead_are_read_on_windows_as_by_ssh_keygen(
    stock: Stock, zone: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`valid-before="99991030"` is written for *never*, and Windows knows no local time after 3000."""
    del zone
    monkeypatch.setattr(signerline, "time", SimpleNamespace(mktime=windows_like.mktime))
    text = f'{PRINCIPAL} valid-before="{when}" {LINE}\n'
    middle = datetime.strptime(when, "%Y%m%d").replace(tzinfo=UTC)
    for hours in (-9.25, -8.75, -2.25, -1.75, -1.25, -0.75, 0.25, 3.75, 4.25, 4.75, 5.25):
        at = middle + timedelta(hours=hours)
        assert trusts(text, at) == stock.verifies(text.encode("utf-8"), at), at


def test_a_file_is_never_read_in_part(tmp_path: Path) -> None:
    """Truncated at a limit, a line loses its end, and the following ones are not read: `!closet-3f` becomes
    `!closet`.
    """
    path = tmp_path / "allowed_signers"
    path.write_text(f"{PRINCIPAL} {LINE}\n" + "# comment\n" * 500_000)
    with pytest.raises(BadInput, match="larger than"):
        callfolder.load_signers(path)


@pytest.mark.parametrize("separator", NASTY)
def test_a_bundle_takes_whole_lines_along(separator: str) -> None:
    """A bundle's `signers` are lines of the file: none of them may begin within a comment."""
    hidden = f"{PRINCIPAL} {LINE}"
    facts = SimpleNamespace(signed=[SimpleNamespace(key=KEY.public_key())], calls=[])
    lines = report.signer_lines(facts, f"{PRINCIPAL} {OTHERS[0]} comment{separator}{hidden}\n".encode())  # type: ignore[arg-type]
    assert lines == b""
