# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from scripts import call, script_of

from linetap_bench.script.script import repeated
from linetap_core.errors import BadInput

SCENARIOS = Path(__file__).parents[1] / "scenarios"

CALLER, KEYS, TONE = "[call.caller_id]\n", "[[call.keys]]\n", "[[call.tone]]\n"


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        script_of(folder, text)
    return [line.removeprefix(f"{folder}/calls.toml:") for line in str(caught.value).splitlines()]


def test_all_errors_are_reported_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = "lines = 4\nspeed = 2\n" + call(direction="sideways") + call(start_s=-1) + call(bounce_ms=16)
    found = problems(tmp_path, text)
    assert [line.split(":")[0] for line in found] == ["2", "6", "9", "15"]
    assert "unknown key speed" in found[0]
    assert "call[1].direction" in found[1]
    assert "call[3].bounce_ms" in found[3]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (call(line=9), 2, "lines = 8"),
        (call(digits="123"), 5, "only an outgoing call dials"),
        (call(outcome="busy"), 5, "only an outgoing call can be busy"),
        (call(outcome="unanswered", answer_in_burst_ms=5), 6, "not answered"),
        (call(direction="out", shake=True), 5, "only ringing shakes"),
        (call(direction="out", dialling="pulse", digits="12*"), 6, "0-9 only"),
        (call(flash_at_s=[10.6]), 5, "not over before the talk ends"),
        (call() + call(start_s=12.0), 7, "busy with another call until"),
        (call(outcome="congestion"), 5, "only an outgoing call can be congestion"),
        (call(loop_break_ms=500), 5, 'ends = "far"'),
        (call(direction="out", digits="1", fax="calling"), 6, "whom one calls answers"),
        (call(fax="answer"), 5, "who calls does not answer"),
        (call(direction="out", digits="1", outcome="busy", fax="answer"), 7, "not answered"),
        (call(direction="out") + CALLER + 'kind = "v23"\n', 5, "only an incoming call has caller ID"),
        (call() + CALLER + 'kind = "v23"\nnumber = "12"\nwithheld = true\n', 8, "or has a number"),
        (call() + CALLER + 'kind = "v23"\nmessage = "sdmf"\nname = "Kim"\n', 8, "only FSK in MDMF"),
        (call() + CALLER + 'kind = "v23"\nname = "ў"\n', 7, "EUC-KR"),
        (call() + KEYS + 'at_s = 10.5\ndigits = "**9"\n', 6, "not over before the talk ends"),
        (call(outcome="unanswered") + KEYS + 'at_s = 1.0\ndigits = "**9"\n', 7, "not over before the talk ends"),
        (call() + KEYS + 'at_s = 1.0\ndigits = "E"\n', 7, "call[1].keys[1].digits"),
        (call() + TONE + 'at_s = 8.0\ntone = "dial"\nfor_s = 3.0\n', 6, "not over before the talk ends"),
        (call() + TONE + 'at_s = 8.0\ntone = "whistle"\nfor_s = 1.0\n', 7, "call[1].tone[1].tone"),
        ("duration_s = 5.0\n" + call(), 4, "ends at"),
        ('duration_s = 5.0\n[[smdr]]\nat_s = 6.0\ntext = "x"\n', 3, "the script is over at 5 s"),
        ('[[smdr]]\nat_s = 1.0\ntext = "a\\nb"\n', 3, "smdr[1].text"),
        ("[[expect]]\nline = 9\n", 2, "lines = 8"),
        ("[[expect]]\nfate = 9\n", 2, "unknown key expect[1].fate"),
        ("[[line]]\nnumber = 2\n[[line]]\nnumber = 2\n", 4, "set up twice"),
    ],
)
def test_what_does_not_fit_together_is_reported(tmp_path: Path, text: str, line: int, says: str) -> None:
    (only,) = problems(tmp_path, text)
    assert only.startswith(f"{line}: ")
    assert says in only


@pytest.mark.parametrize("text", ["lines = ", 'lines = "eight"', "call = 5", "\x00"])
def test_what_is_no_script_is_one_error(tmp_path: Path, text: str) -> None:
    assert len(problems(tmp_path, text)) == 1


@pytest.mark.parametrize("path", sorted(SCENARIOS.rglob("*.toml")), ids=lambda path: path.stem)
def test_the_scenarios_can_be_read(tmp_path: Path, path: Path) -> None:
    assert script_of(tmp_path, path.read_text()).call


def test_a_repeated_script_shifts_each_repetition(tmp_path: Path) -> None:
    text = "duration_s = 100.0\n" + call() + '[[smdr]]\nat_s = 50.0\ntext = "x"\n'
    thrice = repeated(script_of(tmp_path, text), 3)
    assert [one.start_s for one in thrice.call] == [1.0, 101.0, 201.0]
    assert [one.at_s for one in thrice.smdr] == [50.0, 150.0, 250.0]
    assert thrice.duration_ms == 300_000


@pytest.mark.parametrize("times", [0, 865])
def test_no_longer_than_a_day(tmp_path: Path, times: int) -> None:
    with pytest.raises(BadInput, match=r"--repeat \d+: 1 to 864 expected"):
        repeated(script_of(tmp_path, "duration_s = 100.0\n" + call()), times)
