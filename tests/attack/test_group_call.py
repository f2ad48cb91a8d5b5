# SPDX-License-Identifier: Apache-2.0
"""A call whose custodians and vault officers are groups: any 2 of 3 of each open it, with stock tools and with ours."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from group_rig import Members
from linetap.commission.template import Plan, render
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from sealing_rig import CALL_ID, Rig, noise, run
from unit_rig import START, make_unit, save_wav

SAMPLES = 9000


@dataclasses.dataclass(frozen=True)
class House:
    rig: Rig
    custodians: Members
    officers: Members
    call: Path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("house")
    custodians, officers = Members.make(root, 2, 3, "custodian-"), Members.make(root, 2, 3, "officer-")
    rig = dataclasses.replace(Rig.make(root), custodians=[custodians.text], epoch=officers.text)
    return House(rig, custodians, officers, rig.sealed_call(SAMPLES))


def opened(house: House, identities: list[Path], *words: str | Path) -> bytes | None:
    """The clear call.json and WAV's size by `linetap open`; None: exit status 1 and no file."""
    output = house.rig.root / "opened" / "call.wav"
    shutil.rmtree(output.parent, ignore_errors=True)
    output.parent.mkdir()
    command = ["open", str(house.call), "--signers", str(house.rig.signers_file), "-o", str(output), *map(str, words)]
    for path in identities:
        command += ["--identity", str(path)]
    status = main(command)
    assert status in (0, 1)
    assert (status == 0) == output.exists()
    return output.read_bytes() if status == 0 else None


def test_any_two_of_each_open_it_with_stock_tools(house: House) -> None:
    for officers, custodians in itertools.product(house.officers.subsets(2), house.custodians.subsets(2)):
        recipe = [
            f"{house.officers.stock_recipe('key.age', officers)} > {house.rig.root}/inner",
            f"{house.custodians.stock_recipe(f'{house.rig.root}/inner', custodians)} > {house.rig.root}/call.key",
            f"for p in audio.*.age; do age -d -i {house.rig.root}/call.key $p; done",
        ]
        done = run(["bash", "-o", "pipefail", "-ec", "\n".join(recipe)], cwd=house.call)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(noise(SAMPLES))


def test_any_two_of_each_open_it_and_no_fewer_do(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    for officers, custodians in (((1, 2), (2, 3)), ((2, 3), (1, 3)), ((1, 3), (1, 2))):
        assert opened(house, [*house.officers.some(*officers), *house.custodians.some(*custodians)])
    officers_of, custodians_of = house.officers.some, house.custodians.some
    few = [
        [*officers_of(1, 2), *custodians_of(2)],
        [*officers_of(3), *custodians_of(1, 2, 3)],
        custodians_of(1, 2, 3),
        officers_of(1, 2, 3),
    ]
    for identities in few:
        capsys.readouterr()
        assert opened(house, identities) is None
        assert capsys.readouterr().err.count("\n") == 1


def test_officers_and_custodians_in_two_places(house: House) -> None:
    inner = house.rig.root / "inner-2.age"
    words = ["unwrap", str(house.call), "-o", str(inner)]
    for path in house.officers.some(2, 3):
        words += ["--identity", str(path)]
    assert main(words) == 0
    assert opened(house, house.custodians.some(1, 3), "--inner", inner)
    assert opened(house, house.custodians.some(1), "--inner", inner) is None


def test_a_call_of_one_key_each_is_what_it_was(tmp_path: Path) -> None:
    """Byte for byte in the present form: CONTRACT's recipe opens it."""
    rig = Rig.make(tmp_path)
    call = rig.sealed_call(SAMPLES)
    assert rig.joined(call).endswith(noise(SAMPLES))
    key = (call / sealed.KEY).read_bytes()
    assert key.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert key.count(b"-> X25519 ") == 1


def test_from_the_line_to_the_opened_call(tmp_path: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recorder's own code seals to the groups of its configuration; two and two open its recording."""
    made = make_unit(tmp_path, run_dir)
    custodians, officers = Members.make(tmp_path, 2, 3, "custodian-"), Members.make(tmp_path, 2, 3, "officer-")
    plan = Plan(
        unit=made.config.unit, lines=2, custodians=custodians.group.recipients, needed=2, key="unit.key",
        epoch=officers.text, board="simulated", vault="vault", run_dir=str(run_dir), notices=made.config.notices,
    )  # fmt: skip
    (tmp_path / "unit.toml").write_text(render(plan))
    save_wav(tmp_path / "lines.wav", np.random.default_rng(2).integers(-2000, 2000, (2, 14 * 8000)).astype(np.int16))
    events = [(0.5, "ring", 1), (1.5, "ring", 0), (3.0, "hook", 1), (11.0, "hook", 0)]
    lines = [json.dumps({"t": t, "line": 1, kind: value}) + "\n" for t, kind, value in events]
    (tmp_path / "events.jsonl").write_text("".join(lines))
    paths = ["--config", "unit.toml", "--audio", "lines.wav", "--events", "events.jsonl", "--out", "out"]
    words = [word if word.startswith("--") else str(tmp_path / word) for word in paths]
    assert main(["replay", *words, "--start", START]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (call_id,) = [call["call_id"] for call in told if call["disposition"] == "recorded"]
    call = tmp_path / "out" / sealed.call_path(call_id)
    few = ["unwrap", str(call), "-o", str(tmp_path / "few.age"), "--identity", str(custodians.files[0])]
    assert main([*few, "--identity", str(officers.files[0])]) == 1
    inner = tmp_path / "inner.age"
    names = [word for path in officers.some(1, 3) for word in ("--identity", str(path))]
    assert main(["unwrap", str(call), *names, "-o", str(inner)]) == 0
    names = [word for path in custodians.some(2, 3) for word in ("--identity", str(path))]
    wav = tmp_path / "call.wav"
    command = ["open", str(call), *names, "--inner", str(inner), "--signers", str(made.signers), "-o", str(wav)]
    assert main(command) == 0
    assert len(wav.read_bytes()) > 40_000 * 2
    assert main(["verify", str(tmp_path / "out"), "--signers", str(made.signers)]) == 0


def test_a_hold_for_a_group_of_officers(house: House) -> None:
    """The hold's epoch may be a group too; any two of it open its key.age."""
    held = Members.make(house.rig.root / "held", 2, 3, "hold-")
    folder = house.rig.root / "holds" / CALL_ID
    words = ["hold", "wrap", str(house.call), "--to", held.text, "--case", "2026-117", "--basis", "Act 12"]
    words += ["--until", "2099-06-30", "-o", str(folder)]
    for path in house.officers.some(1, 3):
        words += ["--identity", str(path)]
    assert main(words) == 0
    done = run(["bash", "-o", "pipefail", "-c", held.stock_recipe("key.age", (2, 3))], cwd=folder)
    inner = house.rig.root / "from-hold"
    inner.write_bytes(done.stdout)
    opens = run(["bash", "-c", house.custodians.stock_recipe(str(inner), (1, 2))])
    assert opens.stdout.startswith(b"AGE-SECRET-KEY-1")


@pytest.mark.parametrize(
    ("text", "why"), [("2:{0}", "group of one"), ("9:{0},{1}", "1 to 2 needed"), ("{0},{1}", "age1")]
)
def test_a_hold_for_nobody_is_refused(house: House, text: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    some = [keys.new_identity().recipient for _ in range(2)]
    words = ["hold", "wrap", str(house.call), "--to", text.format(*some), "--case", "x", "--basis", "x", "--until"]
    assert main([*words, "2099-06-30", "--identity", str(house.officers.files[0])]) == 2
    error = capsys.readouterr().err
    assert why in error
    assert error.count("\n") == 1
