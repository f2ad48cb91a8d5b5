# SPDX-License-Identifier: Apache-2.0
"""Attempts to reduce recording, notices, retention or reports: alone, with an additional key, by a file, by the clock.

Each is refused, or is in the log, with an alert that only another person can clear.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import config_file
from attack_house import HOUR, House, a_weaker, put_in_place
from keeping_rig import DAY, UNIT
from linetap import learned
from linetap.config import config_sha256, load_config
from linetap.config.schema import Policy, RetentionClass
from linetap.learned import Learned
from linetap.recorder.vault.commands import configchange
from linetap.recorder.vault.weakening import inforce, memory
from linetap_core import cli
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.durable.copies import twin_of
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import Epoch, KeyList, Overflow
from linetap_core.evidence.signing import namespaces, sshsig
from unit_rig import save_notice, spoken

WEAKER: list[tuple[str, str, dict[str, Any]]] = [
    ("line_exempt", "line", {"exempt": True}),
    ("retention_shorter", "retention", {"classes": [RetentionClass(name="standard", days=59),
                                                   RetentionClass(name="marked", days=180)]}),
    ("internal_wider", "recording", {"internal_pattern": r"^[2-9]\d{3}$"}),
    ("record_unannounced", "recording", {"on_notice_failure": "record_and_flag"}),
]  # fmt: skip


@pytest.fixture
def unit(run_dir: Path) -> House:
    return House(run_dir)


# --- who has to sign -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "part", "changes"), WEAKER, ids=[code for code, _, _ in WEAKER])
@pytest.mark.parametrize(
    "by",
    [("operator",), ("operator", "operator2"), ("operator", "desk"), ("operator", "custodian"),
     ("operator", "authority"), ("operator", "operator2", "desk", "custodian", "authority")],
    ids="-".join,
)  # fmt: skip
def test_fewer_than_two_roles_weaken_nothing(
    unit: House, code: str, part: str, changes: dict[str, Any], by: tuple[str, ...]
) -> None:
    before = unit.file.read_bytes()
    answer = unit.ask(unit.with_(part, **changes), *by)
    assert (answer.done, answer.code) == (False, "config_weakens")
    assert code in answer.text
    assert "\n" not in answer.text
    for word in ("vault", "approver", "cosign"):
        assert word in answer.text, "who has to sign"
    unit.quietly()
    assert unit.file.read_bytes() == before
    assert unit.upkeep.change.pending is None
    assert not unit.standing
    assert unit.leaves("command")[-1]["code"] == "config_weakens", "who tried stands in the log"


@pytest.mark.parametrize(("code", "part", "changes"), WEAKER, ids=[code for code, _, _ in WEAKER])
@pytest.mark.parametrize("second", ["vault", "privacy"])
def test_two_roles_weaken_and_it_stands_in_log_and_alert(
    unit: House, code: str, part: str, changes: dict[str, Any], second: str
) -> None:
    new, before = unit.with_(part, **changes), config_sha256(unit.config)
    answer = unit.ask(new, "operator", second)
    assert answer.done, answer.text
    (stands,) = unit.standing
    assert stands.id in answer.text
    assert (stands.by, stands.codes, stands.in_effect) == ("command", [code], False)
    unit.quietly()
    assert load_config(unit.file) == new
    assert [each.in_effect for each in unit.standing] == [True]
    asked, in_effect = unit.leaves("weakening")
    assert (asked["step"], in_effect["step"]) == ("asked", "in_effect")
    assert asked["codes"] == [code]
    assert asked["signers"] == [f"{unit.ROLES[name]} {unit.fingerprint(name)}" for name in ("operator", second)]
    assert (asked["sha256"], asked["replaces"]) == (config_sha256(new), before)
    assert "the operator" not in json.dumps(asked), "no name is in a log that is there for ever"


def test_what_strengthens_or_is_neutral_takes_one(unit: House) -> None:
    for part, changes in (
        ("recording", {"recommended_call_s": 900}),
        ("recording", {"internal_pattern": r"^[2-5]\d{3}$"}),
        ("retention", {"classes": [RetentionClass(name="standard", days=90), RetentionClass(name="marked", days=180)]}),
    ):
        assert unit.ask(unit.with_(part, **changes), "operator").done
    unit.quietly()
    assert not unit.standing


def test_the_same_command_comes_again_with_one_more_signature(unit: House) -> None:
    alone = unit.asking(a_weaker(unit), "operator")
    assert unit.command(alone).code == "config_weakens"
    assert unit.command(unit.cosigned(alone, "vault")).done, "its counter was not used up"


def test_a_signature_that_was_taken_away_on_the_way_burns_nothing(unit: House) -> None:
    both = unit.asking(a_weaker(unit), "operator", "vault")
    envelope = json.loads(both)
    end = "-----END SSH SIGNATURE-----\n"
    envelope["sig"] = envelope["sig"].split(end)[0] + end
    assert unit.command(json.dumps(envelope).encode()).code == "config_weakens"
    assert unit.command(both).done


def test_an_old_cosigned_command_is_good_for_nothing(unit: House) -> None:
    old = unit.asking(a_weaker(unit), "operator", "vault")
    assert unit.command(old).done
    assert unit.command(old).code == "command_repeated"
    assert unit.ask(unit.config, "operator").done, "taken back"
    assert unit.command(old).code == "command_repeated"
    late = unit.asking(a_weaker(unit), "operator", "vault")
    assert unit.ask(unit.with_("recording", recommended_call_s=900), "operator").done
    unit.quietly()
    unit.restart()
    assert unit.command(late).code in ("command_repeated", "config_other")
    unit.quietly()
    assert not unit.config.line[0].exempt


def test_a_cosignature_is_for_one_command(unit: House) -> None:
    harmless = json.loads(unit.asking(unit.with_("recording", recommended_call_s=900), "operator", "vault"))
    weaker = json.loads(unit.asking(a_weaker(unit), "operator"))
    end = "-----END SSH SIGNATURE-----\n"
    weaker["sig"] += harmless["sig"].split(end, 1)[1]
    assert unit.command(json.dumps(weaker).encode()).code == "command_unsigned"


# --- who may confirm -----------------------------------------------------------------------------------------


def test_only_somebody_who_did_not_sign_confirms(unit: House) -> None:
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    (stands,) = unit.standing
    assert unit.say("confirm", stands.id, "privacy").code == "weakening_waits"
    unit.quietly()
    unit.restart()
    for name in ("operator", "operator2", "desk", "custodian"):
        assert unit.say("confirm", stands.id, name).code == "command_role"
    assert unit.say("confirm", stands.id, "vault").code == "weakening_signer"
    assert unit.say("confirm", "0" * 16, "privacy").code == "weakening_unknown"
    assert unit.standing
    assert unit.say("confirm", stands.id, "vault2").done, "another person"
    assert not unit.standing
    unit.restart()
    assert not unit.standing
    assert unit.steps() == ["asked", "in_effect", "confirmed"]
    assert unit.leaves("weakening")[-1]["signers"] == [f"vault {unit.fingerprint('vault2')}"]


def test_the_alert_outlives_restarts_power_and_the_old_configuration(unit: House) -> None:
    strong = unit.config
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    unit.quietly()
    (stands,) = unit.standing
    for boot in (False, True, True):
        unit.restart(boot=boot, off_ns=DAY if boot else 0)
        unit.look()
        assert [each.id for each in unit.standing] == [stands.id]
    assert unit.ask(strong, "operator").done
    unit.quietly()
    unit.restart()
    unit.look()
    assert load_config(unit.file) == strong
    assert [each.id for each in unit.standing] == [stands.id], "something was not recorded meanwhile"


def test_a_confirmation_is_good_for_one_weakening(unit: House) -> None:
    strong = unit.config
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    unit.quietly()
    unit.restart()
    (first,) = unit.standing
    kept = unit.envelope("confirm", "legal", {"weakening": first.id})
    assert unit.say("confirm", first.id, "privacy").done
    assert unit.ask(strong, "operator").done
    unit.quietly()
    unit.restart()
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    unit.quietly()
    assert unit.command(kept).code == "weakening_unknown"
    assert len(unit.standing) == 1


def test_whoever_verifies_the_vault_is_told(unit: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    unit.quietly()
    unit.restart()
    unit.look()
    unit.lay(unit.with_("recording", internal_pattern=".*"))
    unit.look()
    first = next(each for each in unit.standing if each.by == "command")
    assert unit.say("confirm", first.id, "privacy").done
    unit.log.publish()
    unit.outbox.close()
    signers = unit.file.with_name("allowed_signers")
    assert cli.main(["verify", str(unit.vault), "--signers", str(signers)]) in (0, 1)
    said = capsys.readouterr().out
    assert re.search("weakened by command at .*: line_exempt .confirmed.", said)
    assert "weakened.json" not in said
    assert re.search("weakened by file at .*: internal_wider .not confirmed.", said)
    assert "bad_leaf" not in said


# --- by a file -----------------------------------------------------------------------------------------------


def test_an_edited_file_is_found_while_the_recorder_runs(unit: House) -> None:
    """capture reads unit.toml when it starts: a line can be exempted without a restart of the recorder."""
    unit.look()
    unit.lay(a_weaker(unit))
    unit.look()
    (stands,) = unit.standing
    assert (stands.by, stands.codes, stands.in_effect) == ("file", ["line_exempt"], True)
    unit.restart()
    unit.look()
    assert [each.id for each in unit.standing] == [stands.id], "once, not at every start"
    assert unit.steps() == ["found"]
    assert unit.say("confirm", stands.id, "vault").done


def test_an_edited_file_is_found_at_the_next_start(unit: House) -> None:
    unit.look()
    unit.lay(unit.with_("recording", internal_pattern=".*"))
    unit.restart(boot=True)
    unit.look()
    assert [(each.by, each.codes) for each in unit.standing] == [("file", ["internal_wider"])]


def test_a_weaker_file_that_is_put_back_unconfirmed_stays_in_the_log(unit: House) -> None:
    unit.look()
    strong = unit.file.read_bytes()
    unit.lay(a_weaker(unit))
    unit.look()
    unit.file.write_bytes(strong)
    unit.look()
    assert [each.codes for each in unit.standing] == [["line_exempt"]]


def test_what_two_have_signed_once_is_not_allowed_for_ever(unit: House) -> None:
    """The same configuration, once applied by a command and withdrawn by another: the next time by a file."""
    strong = unit.config
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    unit.quietly()
    weak = unit.file.read_bytes()
    unit.restart()
    unit.look()
    (stands,) = unit.standing
    assert unit.say("confirm", stands.id, "privacy").done
    assert unit.ask(strong, "operator").done
    unit.quietly()
    unit.restart()
    unit.look()
    unit.file.write_bytes(weak)
    unit.look()
    assert [(each.by, each.codes) for each in unit.standing] == [("file", ["line_exempt"])]


def test_by_files_too_it_is_not_allowed_for_ever(unit: House) -> None:
    """Nor after a withdrawal by a file."""
    strong = unit.file.read_bytes()
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    unit.quietly()
    weak = unit.file.read_bytes()
    unit.restart()
    unit.look()
    assert unit.say("confirm", unit.standing[0].id, "privacy").done
    for data in (strong, weak):
        unit.file.write_bytes(data)
        unit.look()
    assert [(each.by, each.codes) for each in unit.standing] == [("file", ["line_exempt"])]


def test_a_command_that_an_earlier_version_had_begun_weakens_nothing(unit: House) -> None:
    """It had checked one signature, and recorded none."""
    data = unit.asking(a_weaker(unit), "operator")
    path = unit.vault / "commands.json"
    saved = json.loads(path.read_bytes().splitlines()[-1])
    command = json.loads(json.loads(data)["command"])
    saved["begun"] = {"name": "old", "envelope": data.decode(), "command": command, "at": "2026-11-24T03:00:00.000Z"}
    path.write_text(json.dumps(saved))
    unit.restart(boot=True)
    unit.tick()
    assert unit.leaves("command")[-1]["code"] == "config_weakens"
    unit.quietly()
    assert not load_config(unit.file).line[0].exempt


@pytest.mark.parametrize("spelling", ["comment", "order", "defaults", "literal"])
def test_another_spelling_of_the_same_is_none(unit: House, spelling: str) -> None:
    unit.look()
    text = unit.file.read_text()
    changed = {
        "comment": f"# exempt = true\n{text}",
        "order": text.replace('[recording]\nnotice = "ko"\n', "[recording]\n").replace(
            "deaf_calls = 3", 'deaf_calls = 3\nnotice = "\\u006bo"'
        ),
        "defaults": text.replace("deaf_calls = 3\n", ""),
        "literal": text.replace(r'"^[2-8]\\d{3}$"', r"'^[2-8]\d{3}$'"),
    }[spelling]
    assert changed != text
    unit.file.write_text(changed)
    unit.look()
    unit.restart()
    unit.look()
    assert not unit.standing


def test_a_pattern_of_the_same_numbers_is_none_and_one_more_number_is(unit: House) -> None:
    unit.look()
    config_file.write(unit.file, unit.with_("recording", internal_pattern=r"[2-8][0-9][0-9]\d"))
    unit.look()
    assert not unit.standing
    config_file.write(unit.file, unit.with_("recording", internal_pattern=r"[2-8][0-9][0-9]\d|01012345678"))
    unit.look()
    assert [each.codes for each in unit.standing] == [["internal_wider"]]


def test_what_lies_there_as_next_and_nobody_has_signed_is_let_go(unit: House, caplog: pytest.LogCaptureFixture) -> None:
    unit.look()
    config_file.write(unit.file.with_name(f"unit.toml{configchange.NEXT}"), a_weaker(unit))
    unit.restart()
    unit.quietly()
    assert not load_config(unit.file).line[0].exempt
    assert "config_dropped" in caplog.text
    assert unit.ask(unit.with_("recording", recommended_call_s=900), "operator").done
    config_file.write(unit.file.with_name(f"unit.toml{configchange.NEXT}"), a_weaker(unit))
    unit.quietly()
    assert not load_config(unit.file).line[0].exempt, "put in the place of what was signed"


def test_silence_in_the_place_of_the_notice(unit: House) -> None:
    unit.look()
    save_notice(Path(unit.config.notices) / "ko.wav", spoken(1.0) * 0)
    unit.look()
    assert [(each.by, each.codes) for each in unit.standing] == [("file", ["notice_changed"])]


def test_silence_by_way_of_no_notice_at_all(unit: House) -> None:
    unit.look()
    notice = Path(unit.config.notices) / "ko.wav"
    notice.unlink()
    unit.look()
    save_notice(notice, spoken(1.0) * 0)
    unit.look()
    assert [each.codes for each in unit.standing] == [["notice_changed"]]


@pytest.mark.parametrize("how", ["taken away first", "replaced", "written over"])
def test_what_was_learned_of_a_line_is_made_deaf(unit: House, how: str) -> None:
    folder, at = Path(unit.config.learned), "2026-11-24T00:00:00.000Z"
    learned.save(folder, 1, Learned(on_hook_v=48.0, off_hook_v=8.0, learned_at=at))
    unit.look()
    learned.save(folder, 1, Learned(on_hook_v=46.0, off_hook_v=7.5, learned_at=at))
    unit.look()
    assert not unit.standing, "measured again"
    if how == "taken away first":
        learned.path_of(folder, 1).unlink()
        unit.look()
    deaf = Learned(on_hook_v=99.0, off_hook_v=90.0, learned_at=at)
    if how == "written over":  # its folder shows no change
        learned.path_of(folder, 1).write_bytes(msgspec.json.encode(deaf))
    else:
        learned.save(folder, 1, deaf)
    unit.look()
    assert [each.codes for each in unit.standing] == [["learned"]]


@pytest.mark.parametrize("how", ["written over", "taken away first", "replaced, and the recorder off"])
def test_another_table_of_pins(unit: House, how: str) -> None:
    """With two pins exchanged a line is never off-hook again, without a change in unit.toml."""
    pins = Path(unit.config.board.pins)
    unit.lay(unit.with_("board", kind="hardware", pins=str(pins)))
    pins.write_text("[hook]\npins = [17, 27]\n")
    unit.restart()
    unit.look()
    before = len(unit.standing)  # of the board itself
    unit.restart()
    unit.look()
    assert len(unit.standing) == before, "the same table, after a restart"
    if how == "taken away first":
        pins.unlink()
        unit.look()
    pins.write_text("[hook]\npins = [27, 17]\n")
    if how == "replaced, and the recorder off":
        unit.restart()
    unit.look()
    assert len(unit.standing) == before + 1
    assert (unit.standing[-1].by, unit.standing[-1].codes) == ("file", ["hardware"])


class Earlier(msgspec.Struct, frozen=True):
    """The configuration in force as recorded by a version that did not read the table of pins."""

    config: dict[str, Any]
    notices: dict[str, str]
    custodians: list[str]
    learned: dict[str, Learned]
    list_end: inforce.ListEnd | None


def test_what_an_earlier_version_knew_is_the_one_of_the_log(unit: House) -> None:
    """The log has its hash as made by that version: an update alone raises no alert."""
    learned.save(Path(unit.config.learned), 1, Learned(on_hook_v=48.0, learned_at="2026-11-24T00:00:00.000Z"))
    unit.look()
    known = unit.upkeep.weakened._memory.saved.in_force
    assert known is not None
    assert known.learned
    assert known.pins == ""
    earlier = Earlier(**{name: getattr(known, name) for name in Earlier.__struct_fields__})
    assert inforce.sha256(known) == hashlib.sha256(msgspec.json.encode(earlier, order="sorted")).hexdigest()


def test_many_small_steps_of_what_was_learned_are_a_large_one(unit: House) -> None:
    folder, at = Path(unit.config.learned), "2026-11-24T00:00:00.000Z"
    told = []
    for step in range(5):
        learned.save(folder, 1, Learned(on_hook_v=48.0 * 1.2**step, echo_db=-20.0 + 5 * step, learned_at=at))
        unit.look()
        told.append(len(unit.standing))
        if step == 1:
            unit.restart()
            learned.save(folder, 1, Learned(learned_at=at))
            unit.look()
            assert len(unit.standing) == told[-1], "what is not known for now is remembered"
    assert told == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("how", ["fifo", "giant", "folder", "gone", "no toml", "not utf-8"])
def test_what_lies_in_the_place_of_the_file_holds_nobody_up(unit: House, how: str) -> None:
    """A starting service reports the fault; the running recorder continues with its old configuration."""
    unit.look()
    good = unit.file.read_bytes()
    put_in_place(unit.file, how)
    unit.look()
    assert [each.codes for each in unit.standing] == ([] if how in ("gone", "folder") else [["file_unusable"]])
    assert unit.say("confirm", "0" * 16, "privacy").code == "weakening_unknown", "commands are obeyed"
    unit.file.unlink(missing_ok=True)
    unit.file.write_bytes(good.replace(b"exempt = false", b"exempt = true"))
    unit.look()
    assert [each.codes for each in unit.standing][-1:] == [["line_exempt"]]


@pytest.mark.parametrize("how", ["gone", "torn", "torn, and its twin", "another"])
def test_a_memory_that_was_tampered_with_is_found(unit: House, how: str) -> None:
    """The comparison for the file and every standing alert are lost with it. With an intact twin, neither is."""
    unit.look()
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    unit.quietly()
    path = unit.vault / memory.NAME
    match how:
        case "gone":
            path.unlink()
        case "torn":
            path.write_bytes(b"{")
        case "torn, and its twin":
            path.write_bytes(b"{")
            twin_of(path).write_bytes(b"{")
        case "another":
            saved = memory.FILE.decode(path.read_bytes())
            path.write_bytes(memory.FILE.encode(msgspec.structs.replace(saved, standing=[])))
    unit.restart(boot=True)
    unit.look()
    if how == "torn":
        assert [each.codes for each in unit.standing] == [["line_exempt"]]
        return
    assert ["memory"] in [each.codes for each in unit.standing]


def test_a_unit_of_an_earlier_version_starts_without_an_alert(unit: House) -> None:
    """It has no memory yet, and its log refers to none; later, a missing key has its default."""
    path = unit.vault / memory.NAME
    saved = memory.FILE.decode(path.read_bytes())
    assert saved.in_force is not None
    config = {name: each for name, each in saved.in_force.config.items() if name != "policy"}
    old = msgspec.structs.replace(saved.in_force, config=config | {"gone": 1})
    unit.upkeep.weakened._memory.write(in_force=old, version="0.0.9")
    unit.restart()
    unit.look()
    assert not unit.standing


def test_an_update_that_changes_a_default_is_no_exception(unit: House) -> None:
    """The file is unchanged to the byte; its effect is not."""
    memory = unit.upkeep.weakened._memory
    assert memory.saved.in_force is not None
    config = dict(memory.saved.in_force.config)
    config["recording"] = dict(config["recording"]) | {"deaf_calls": 2}
    memory.write(in_force=msgspec.structs.replace(memory.saved.in_force, config=config), version="0.0.9")
    unit.restart()
    unit.look()
    assert [(each.by, each.codes) for each in unit.standing] == [("update", ["alert_later"])]


# --- by the authority ----------------------------------------------------------------------------------------


def test_the_authority_alone_replaces_everybody_and_is_seen(unit: House) -> None:
    """It is permitted: k of n at the authority is a separate matter. But it cannot hide it, nor confirm it itself."""
    unit.roles_are(2, "vault2", "desk", "operator2", "privacy", "legal")
    (stands,) = unit.standing
    assert (stands.by, stands.codes) == ("authority", ["roles"])
    assert unit.say("confirm", stands.id, "authority").code == "weakening_signer"
    assert unit.say("confirm", stands.id, "vault2").done, "who was there before"


def test_whom_the_authority_brought_does_not_confirm_that_he_came(unit: House) -> None:
    unit.roles_are(2, "desk", "operator", "privacy", "vault2")
    (first,) = unit.standing
    assert unit.say("confirm", first.id, "privacy").done
    unit.roles_are(3, "desk", "operator", "privacy", "vault2", "vault", "legal")
    (second,) = unit.standing
    assert unit.say("confirm", second.id, "vault").code == "weakening_signer"
    assert unit.say("confirm", second.id, "legal").code == "weakening_signer"
    assert unit.say("confirm", second.id, "vault2").done


def a_list(unit: House, version: int, days: int, custodians: list[str], needed: int = 2) -> bytes:
    """Each day and the overflow epoch are a group of three, two of whom open together."""

    def recipient() -> str:
        three = [keys.new_identity().recipient for _ in range(3)]
        return f"{needed}:{','.join(three)}" if needed > 1 else three[0]

    made = unit.days.setdefault("epochs", [])
    first = date(2026, 11, 20)
    while len(made) < days:
        made.append(Epoch((first + timedelta(len(made))).isoformat(), recipient(), recipient()))
    over = unit.days.setdefault("overflow", [Overflow(2, recipient())])
    return keylist.encode(KeyList(version=version, made_at="2026-11-20T00:00:00.000Z", zone="Asia/Seoul",
                                  epochs=made[:days], overflow=[*over], custodians=custodians))  # fmt: skip


def bring(unit: House, data: bytes, *by: str) -> Answer:
    """Applies a command of the authority, cosigned by these."""
    return unit.command(unit.cosigned(unit.signed("key_list", "authority", data, namespaces.KEY_LIST), *by))


def test_the_authority_alone_makes_nobody_a_custodian(unit: House) -> None:
    mine, theirs = unit.config.keys.custodians, [keys.new_identity().recipient]
    assert bring(unit, a_list(unit, 1, 200, mine)).done, "as it was"
    unit.look()
    assert not unit.standing
    other = a_list(unit, 2, 200, theirs)
    for by in ((), ("operator",), ("desk", "custodian")):
        answer = bring(unit, other, *by)
        assert answer.code == "key_list_weakens"
        assert "custodians 1 of 1 -> 1 of 1, other keys" in answer.text
        assert unit.epochs.custodians == mine
    alone = unit.signed("key_list", "authority", other, namespaces.KEY_LIST)
    assert unit.command(alone).code == "key_list_weakens"
    assert unit.command(unit.cosigned(alone, "vault")).done, "its counter was not used up"
    (stands,) = unit.standing
    assert (stands.by, stands.codes) == ("authority", ["keys"])
    assert unit.say("confirm", stands.id, "vault").code == "weakening_signer"
    assert unit.say("confirm", stands.id, "authority").code == "weakening_signer"
    assert unit.say("confirm", stands.id, "privacy").done
    assert not unit.standing


@pytest.mark.parametrize("what", ["days", "overflow"])
def test_the_authority_alone_lets_no_fewer_open_days_to_come(unit: House, what: str) -> None:
    mine = unit.config.keys.custodians
    assert bring(unit, a_list(unit, 1, 200, mine)).done
    if what == "days":
        fewer = a_list(unit, 2, 210, mine, needed=1)
    else:
        unit.days["overflow"].append(Overflow(3, keys.new_identity().recipient))
        fewer = a_list(unit, 2, 200, mine)
    answer = bring(unit, fewer)
    assert answer.code == "key_list_weakens"
    assert f"{what} from" in answer.text
    assert bring(unit, fewer, "privacy").done
    assert [each.codes for each in unit.standing] == [["keys"]]


def test_a_list_that_was_laid_down_is_found(unit: House) -> None:
    """It is signed by the authority, without a cosignature: it takes effect as before, and is reported."""
    mine = unit.config.keys.custodians
    assert bring(unit, a_list(unit, 1, 200, mine)).done
    unit.look()
    other = a_list(unit, 2, 210, [keys.new_identity().recipient], needed=1)
    path = unit.file.with_name("keylist.json")
    signature = sshsig.sign(other, unit.people.authority, namespaces.KEY_LIST)
    path.with_name("keylist.json.sig").write_text(signature)
    path.write_bytes(other)
    unit.restart()
    unit.look()
    (stands,) = unit.standing
    assert (stands.by, stands.codes) == ("authority", ["keys"])
    told = unit.leaves("weakening")[-1]["what"]
    assert told[0].startswith("custodians: ")
    assert told[1] == "days from 2027-06-08 on: 2 -> 1 people open together"
    assert unit.say("confirm", stands.id, "authority").code == "weakening_signer"


# --- delay ---------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(run_dir: Path) -> House:
    unit = House(run_dir, delay_h=24)
    assert unit.ask(a_weaker(unit), "operator", "vault").done
    return unit


def is_weaker(unit: House) -> bool:
    unit.quietly()
    return load_config(unit.file).line[0].exempt


def test_a_weakening_waits_the_delay_of_the_policy_under_an_alert(slow: House) -> None:
    (stands,) = slow.standing
    assert (stands.in_effect, stands.waits_s) == (False, 24 * 3600)
    slow.clock.advance(23 * HOUR)
    assert not is_weaker(slow)
    assert slow.standing[0].waits_s == 3600
    slow.clock.advance(HOUR)
    assert is_weaker(slow)
    assert slow.standing[0].in_effect
    assert slow.steps() == ["asked", "in_effect"]


def test_a_clock_that_is_set_ahead_makes_it_no_shorter(slow: House) -> None:
    slow.clock = ManualClock(slow.clock.utc_ns() + 400 * DAY, slow.clock.monotonic_ns())
    slow.restart()
    slow.clock.advance(HOUR)
    assert not is_weaker(slow)
    body = {"challenge": slow.upkeep.time.challenge, "utc": rfc3339(slow.clock.utc_ns())}
    told = slow.command(slow.cosigned(slow.envelope("time", "vault", body), "vault2"))
    assert told.done, "two officers' word moves retention, and not this"
    assert not is_weaker(slow)
    assert slow.standing[0].waits_s == 23 * 3600


@pytest.mark.parametrize("off_ns", [0, 30 * DAY])
def test_neither_do_starts_and_power_cuts(slow: House, off_ns: int) -> None:
    for _ in range(50):
        slow.clock.advance(20 * 60 * NS_PER_S)
        slow.tick()
        slow.restart(boot=True, off_ns=off_ns)
        assert not is_weaker(slow)
    assert 24 * 3600 - 50 * 1200 <= slow.standing[0].waits_s <= 24 * 3600 - 50 * (1200 - 60)
    slow.clock.advance(24 * HOUR)
    assert is_weaker(slow)


def test_repeating_it_or_shortening_the_delay_ends_no_delay(slow: House) -> None:
    slow.clock.advance(HOUR)
    slow.tick()
    assert slow.ask(a_weaker(slow), "operator", "privacy").done
    assert slow.standing[0].waits_s == 23 * 3600, "the same one, not anew"
    shorter = msgspec.structs.replace(a_weaker(slow), policy=Policy())
    assert slow.ask(shorter, "operator").code == "config_weakens"
    assert slow.ask(shorter, "operator", "vault").done
    (stands,) = slow.standing
    assert stands.codes == ["delay_shorter", "line_exempt"]
    assert stands.waits_s == 24 * 3600
    assert slow.steps() == ["asked", "withdrawn", "asked"]
    assert not is_weaker(slow)


@pytest.mark.parametrize("by", ["vault2", "privacy", "authority", "vault"])
def test_any_one_of_them_cancels_it(slow: House, by: str) -> None:
    (stands,) = slow.standing
    assert slow.say("cancel", stands.id, by).done
    slow.clock.advance(48 * HOUR)
    assert not is_weaker(slow)
    assert not slow.standing
    assert slow.upkeep.change.pending is None
    slow.restart()
    slow.clock.advance(48 * HOUR)
    assert not is_weaker(slow)
    assert slow.steps() == ["asked", "cancelled"]


@pytest.mark.parametrize("by", ["operator2", "desk", "custodian"])
def test_nobody_else_does(slow: House, by: str) -> None:
    assert slow.say("cancel", slow.standing[0].id, by).code == "command_role"


def test_what_is_in_effect_is_not_cancelled(slow: House) -> None:
    slow.clock.advance(24 * HOUR)
    assert is_weaker(slow)
    assert slow.say("cancel", slow.standing[0].id, "privacy").code == "weakening_in_effect"


def test_to_lay_it_in_place_by_hand_is_found(slow: House) -> None:
    """An impatient edit of the file is detected like any other edit."""
    config_file.write(slow.file, a_weaker(slow))
    slow.look()
    assert {each.by for each in slow.standing} == {"command", "file"}


def test_the_log_takes_every_leaf_of_it(unit: House) -> None:
    """The longest possible texts: a leaf that is too long would end the recorder at every start."""
    long = "\u200b가" * 40
    notices = Path(unit.config.notices)
    for name in ("x" * 79, "y" * 79):
        (notices / f"{name}.wav").write_bytes((notices / "ko.wav").read_bytes())
    cards = msgspec.structs.replace(unit.config.card[0], channels=32)
    first = msgspec.structs.replace(unit.config.line[0], notice="x" * 79)
    lines = [msgspec.structs.replace(first, number=n, channel=n) for n in range(1, 33)]
    wide = msgspec.structs.replace(unit.config, card=[cards], line=lines)
    unit.lay(wide)
    unit.look()
    unit.restart()
    unit.look()
    new = msgspec.structs.replace(
        wide,
        line=[msgspec.structs.replace(each, exempt=True, extension="1" * 60, notice="y" * 79) for each in lines],
        recording=msgspec.structs.replace(wide.recording, emergency_numbers=[long] * 20, trunk_prefixes=[long]),
    )
    assert unit.ask(new, "operator", "vault", "privacy", "legal", "vault2", "desk", "custodian").done
    unit.quietly()
    assert unit.upkeep.change.pending is None
    assert unit.leaves("config")[-1]["changes"][-1].startswith("and ")
    assert unit.config.unit == UNIT
