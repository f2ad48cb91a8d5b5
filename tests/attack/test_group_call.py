# SPDX-License-Identifier: Apache-2.0
"""A call whose custodians and vault officers are groups: any 2 of 3 of each open it, with stock tools and with ours."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path

import pytest

from group_rig import Members
from linetap.cli import main
from linetap.evidence import keys, sealed
from sealing_rig import CALL_ID, Rig, noise, run

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
    """Byte for byte of today's form: CONTRACT's recipe opens it."""
    rig = Rig.make(tmp_path)
    call = rig.sealed_call(SAMPLES)
    assert rig.joined(call).endswith(noise(SAMPLES))
    key = (call / sealed.KEY).read_bytes()
    assert key.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert key.count(b"-> X25519 ") == 1


def test_a_hold_for_a_group_of_officers(house: House) -> None:
    """The hold's epoch may be a group too; its key.age opens with any two of it."""
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
