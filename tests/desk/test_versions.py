# SPDX-License-Identifier: Apache-2.0
"""`linetap versions`: a log cosigned by independent witnesses, and proofs read by another implementation."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aics_tlog
import pytest

from linetap_core.cli import main
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.leaflog import LEAVES, LeafLog
from linetap_core.evidence.witness import checkpoint, quorum, tlogproof
from linetap_core.versions import entry, payload
from slots_rig import LIMIT_S, Signer, skip_reason
from versions_rig import COMMIT, ROOT, VersionLog, bundle, version_log

DOCUMENTS = Path(__file__).parents[2] / "docs"

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VersionLog]:
    with version_log(tmp_path_factory.mktemp("log")) as made:
        yield made


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer.new(tmp_path_factory.mktemp("signer"), "release")


@pytest.fixture(scope="module")
def bundles(log: VersionLog, signer: Signer) -> list[Path]:
    """Three versions, added one after the other."""
    made = [bundle(log.root / version, version, signer) for version in ("0.1.9", "0.2.0", "0.3.0")]
    for each in made:
        assert log.add(each) == 0
    return made


def said(capsys: pytest.CaptureFixture[str], status: int, expected: int) -> str:
    found = capsys.readouterr()
    assert status == expected, found.out + found.err
    return found.out + found.err


def test_an_entry_is_of_what_the_bundle_contains(log: VersionLog, bundles: list[Path]) -> None:
    lines = (log.folder / LEAVES).read_bytes().splitlines()
    assert len(lines) == 3
    found = entry.decode(lines[1])
    stock = subprocess.run(  # the bundle without the signature and its length, hashed by coreutils
        ["bash", "-c", 'n=$((16#$(tail -c 8 "$1" | od -An -tx1 | tr -d " \\n"))); head -c -$((n + 8)) "$1" | sha256sum',
         "-", str(bundles[1])], capture_output=True, text=True, timeout=LIMIT_S, check=True,
    ).stdout.split()[0]  # fmt: skip
    assert (found.product, found.version, found.payload, found.root, found.commit) == (
        "linetap", "0.2.0", stock, ROOT, COMMIT,
    )  # fmt: skip


@pytest.mark.parametrize("number", [0, 1, 2])
def test_another_implementation_verifies_the_proof(log: VersionLog, bundles: list[Path], number: int) -> None:
    """aics-tlog of PyPI: inclusion, the log's signature, and a quorum of three witnesses. The file is split only by its
    documented format.
    """
    head, _, note = entry.proof_path(bundles[number]).read_text().partition("\n\n")
    first, extra, index, *path = head.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", f"index {number}")
    leaf = base64.b64decode(extra.removeprefix("extra "), validate=True)
    read = aics_tlog.parse_note(note)
    found = aics_tlog.parse_checkpoint(read.text)
    nodes = [base64.b64decode(node, validate=True) for node in path]
    assert aics_tlog.verify_leaf_inclusion(leaf, number, found.size, nodes, found.root)
    assert not aics_tlog.verify_leaf_inclusion(leaf + b" ", number, found.size, nodes, found.root)
    own = aics_tlog.parse_vkey(checkpoint.log_key(log.key.public_key()).vkey())
    names = [line.name for line in read.signatures][1:]
    theirs = [aics_tlog.cosignature_vkey(name, each.public) for each in log.witnesses for name in names]
    result = aics_tlog.verify_checkpoint(read, own, theirs, quorum=3)
    assert result.ok, result.error
    assert leaf == (log.folder / LEAVES).read_bytes().splitlines()[number]


def test_the_same_bundle_again_adds_nothing(
    log: VersionLog, bundles: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (log.folder / LEAVES).read_bytes()
    good = entry.proof_path(bundles[0]).read_bytes()
    entry.proof_path(bundles[0]).unlink()
    assert "linetap 0.1.9" in said(capsys, log.add(bundles[0]), 0)
    assert entry.proof_path(bundles[0]).read_bytes() == good, "under the first head that covers it, as before"
    entry.proof_path(bundles[0]).unlink()
    said(capsys, log.run("prove", bundles[0], "--log", log.folder), 0)
    assert entry.proof_path(bundles[0]).read_bytes() == good
    assert (log.folder / LEAVES).read_bytes() == before


def test_a_version_is_published_once(
    log: VersionLog, bundles: list[Path], signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundles
    before = (log.folder / LEAVES).read_bytes()
    other = bundle(tmp_path, "0.2.0", signer)
    assert "a published version does not change" in said(capsys, log.add(other), 1)
    assert not entry.proof_path(other).exists()
    assert (log.folder / LEAVES).read_bytes() == before


def test_signed_cards_have_an_update_of_their_own_for_each_version(
    signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with version_log(tmp_path) as made:
        usual = bundle(tmp_path / "usual", "0.2.0", signer)
        signed = bundle(tmp_path / "signed", "0.2.0", signer, for_signed=True)
        assert made.add(usual) == made.add(signed) == 0
        assert "linetap-signed 0.2.0" in said(capsys, made.run("verify", usual, signed, "--log", made.folder), 0)
        data = entry.proof_path(signed).read_bytes()
        policy = entry.demanded(made.policy)
        assert entry.require_logged(policy, data, "0.2.0", payload.sha256(signed)).product == entry.SIGNED
        with pytest.raises(entry.NotLogged, match="the bundle has"):
            entry.require_logged(policy, data, "0.2.0", payload.sha256(usual))


def test_the_whole_log_and_its_bundles_verify(
    log: VersionLog, bundles: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, log.run("verify", *bundles, "--log", log.folder), 0)
    assert f"ok   {log.folder}: 3 versions, each once and witnessed\n" in told
    assert told.count("ok   ") == 4
    said(capsys, log.run("verify", bundles[1]), 0)


def test_a_monitor_names_every_lie(
    log: VersionLog, bundles: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made by somebody with the log's key who writes into its files; the heads are those cosigned by witnesses."""
    assert bundles
    good = (log.folder / LEAVES).read_bytes().splitlines()

    def told(*lines: bytes) -> str:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(log.folder, copy)
        (copy / LEAVES).write_bytes(b"".join(line + b"\n" for line in lines))
        return said(capsys, log.run("verify", "--log", copy), 1)

    secret = good[1].replace(entry.decode(good[1]).payload.encode(), b"66" * 32)
    twice = told(*good, secret)
    assert "[version_twice]" in twice
    assert "entry 3 is linetap 0.2.0, payload 6666666666666666" in twice
    assert f"entry 1 of the same version is {entry.decode(good[1]).text}" in twice
    assert "1 of 4 entries are under no head" in twice
    assert told(good[0], secret, good[2]).count("[forked]") == 2
    assert told(*good[:2]).count("[rolled_back]") == 1
    assert "entry 1: not an entry" in told(good[0], b"{}", good[2])
    assert "[not_an_entry]" in told(good[0], good[1].replace(b'","', b'", "', 1), good[2])


def test_a_bundle_that_is_another_than_its_proof(
    log: VersionLog, bundles: list[Path], signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = bundle(tmp_path / "x", "0.2.0", signer)
    shutil.copy(entry.proof_path(bundles[1]), entry.proof_path(other))
    assert "[not_logged]" in said(capsys, log.run("verify", other), 1)
    assert "no entry has the payload" in said(capsys, log.run("prove", other, "--log", log.folder), 1)


def test_without_a_quorum_there_is_no_proof_until_there_is_one(
    tmp_path: Path, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    with version_log(tmp_path) as made:
        whole = made.policy
        gone = [each.line("http://127.0.0.1:9/") for each in made.witnesses[1:]]
        lines = [made.witnesses[0].line(), *gone, "group two 2 sigsum ours aics\nquorum two\n"]
        (made.root / "policy").write_text(f"log {made.public}\n" + "".join(lines))
        one = bundle(tmp_path / "one", "0.2.0", signer)
        told = said(capsys, made.add(one), 1)
        assert told.count("[no_answer]") == 2
        assert "[not_witnessed]" in told
        assert not entry.proof_path(one).exists()
        (made.root / "policy").write_text(whole)
        said(capsys, made.add(one), 0)
        assert entry.decode(tlogproof.decode(entry.proof_path(one).read_bytes(), extra=True).extra).version == "0.2.0"


def test_what_cannot_be_added(
    log: VersionLog, bundles: list[Path], signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "plain format" in said(capsys, log.add(log.root / "policy"), 2)
    assert "$.commit" in said(capsys, log.add(bundles[0], "0f3a4bb3"), 2), "a commit is named whole"
    verity = bundle(tmp_path, "0.4.0", signer, "verity")
    assert "format verity" in said(capsys, log.add(verity), 2)
    words = ["--log", log.folder, "--policy", log.root / "policy", "--commit", COMMIT, "--key", tmp_path / "other.key"]
    (tmp_path / "other.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    (tmp_path / "other.key").chmod(0o600)
    assert "names another log" in said(capsys, main(["versions", "add", str(bundles[0]), *map(str, words)]), 2)
    assert "or bundles" in said(capsys, log.run("verify"), 2)


@pytest.mark.parametrize("changed", ["log none", "quorum none", "own witness", "no log", "not a policy"])
def test_a_policy_that_demands_too_little_is_refused(
    log: VersionLog, changed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = log.policy.splitlines(keepends=True)
    text = {
        "log none": log.policy.replace(log.public, "none"),
        "quorum none": log.policy.replace("quorum together", "quorum none"),
        "own witness": log.policy.replace(log.witnesses[0].public.hex(), log.public),
        "no log": "".join(lines[1:]),
        "not a policy": "yes\n",
    }[changed]
    (tmp_path / "policy").write_text(text)
    said(capsys, main(["versions", "verify", "--log", str(log.folder), "--policy", str(tmp_path / "policy")]), 2)


def test_a_log_that_was_cut_takes_nothing_more(
    log: VersionLog, bundles: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "versions"
    shutil.copytree(log.folder, copy)
    data = (copy / LEAVES).read_bytes().splitlines(keepends=True)
    (copy / LEAVES).write_bytes(b"".join(data[:2]))
    words = ["--log", copy, "--policy", log.root / "policy", "--commit", COMMIT, "--key", log.root / "versions.key"]
    assert "nothing is added" in said(capsys, main(["versions", "add", str(bundles[2]), *map(str, words)]), 2)
    assert (copy / LEAVES).read_bytes() == b"".join(data[:2])


def test_a_rewritten_log_gets_no_cosignature(
    log: VersionLog, bundles: list[Path], signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log's keeper restarts it, with a secret version in place of a published one."""
    secret = bundle(tmp_path / "secret", "0.2.0", signer)
    lines = (log.folder / LEAVES).read_bytes().splitlines()
    fresh = LeafLog(tmp_path / "versions")
    fresh.append_lines([lines[0]])
    fresh.close()
    words = ["--log", tmp_path / "versions", "--policy", log.root / "policy", "--commit", COMMIT]
    words += ["--key", log.root / "versions.key"]
    told = said(capsys, main(["versions", "add", str(secret), *map(str, words)]), 1)
    assert told.count("[rollback]") == 3
    assert not entry.proof_path(secret).exists()
    for each in bundles[2:]:
        shutil.copy(each, tmp_path)
        told = said(capsys, main(["versions", "add", str(tmp_path / each.name), *map(str, words)]), 1)
    assert told.count("one of the two was rewritten") == 3
    assert payload.sha256(secret) != payload.sha256(bundles[1])


def test_the_documents_recipes_say_the_same_with_stock_tools(
    log: VersionLog, bundles: list[Path], tmp_path: Path
) -> None:
    """docs/update.md takes bundle and proof apart, docs/log.md checks the result; neither uses linetap."""
    (apart,) = (text for text in recipes("update.md") if "$BUNDLE" in text)
    (check,) = (text for text in recipes("log.md") if "$POLICY" in text)
    env = {**os.environ, "BUNDLE": str(bundles[1]), "PROOF": "proof", "LEAF": "entry.json"}
    env["POLICY"] = str(log.root / "policy")

    def run(recipe: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-e", "-o", "pipefail", "-c", recipe]
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    told = run(apart)
    found = entry.decode((tmp_path / "entry.json").read_bytes())
    assert told.stdout.split() == [found.payload, "-"], told.stderr
    told = run(check)
    assert told.returncode == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["sigsum", "ours", "aics"]
    (tmp_path / "entry.json").write_bytes(found.encode().replace(b"0.2.0", b"0.2.1"))
    assert run(check).returncode != 0


def test_a_missing_policy_is_named_once(log: VersionLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "nopolicy"
    assert main(["versions", "verify", "--log", str(log.folder), "--policy", str(missing)]) == 2
    assert capsys.readouterr().err == f"{missing}: No such file or directory\n"


def test_the_keys_of_the_document(tmp_path: Path) -> None:
    """Its first commands, with stock sigsum-key, give the key that the line `log` of a policy takes."""
    (made,) = (text for text in recipes("update.md") if "keygen unit -o versions.key" in text)
    script = made.partition("linetap versions")[0] + "sigsum-key to-vkey -k versions.key.pub\n"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    key, vkey = done.stdout.split()
    by_key, by_vkey = (quorum.parse(f"log {text}\nquorum none\n".encode()) for text in (key, vkey))
    assert list(by_key.logs) == list(by_vkey.logs) != []


def test_the_document_names_every_code() -> None:
    text = (DOCUMENTS / "update.md").read_text()
    for code in [
        "version_twice",
        "forked",
        "rolled_back",
        "not_witnessed",
        "not_an_entry",
        "not_logged",
        "update_not_logged",
    ]:
        assert f"`{code}`" in text, code


def recipes(name: str) -> list[str]:
    return re.findall(r"```bash\n(.*?)```", (DOCUMENTS / name).read_text(), re.DOTALL)
