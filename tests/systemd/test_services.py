# SPDX-License-Identifier: Apache-2.0
"""The four services under systemd: their users, their sandboxes, their watchdogs, and a call through all."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from guest import Guest, guest, skip_reason, until
from heldthread import held, threads_of
from systemd_rig import (
    CONFIG,
    LOG,
    SERVICES,
    lay_cable,
    lost,
    make_unit,
    next_recorded,
    obeyed,
    pid_of,
    record_of,
    state_of,
)

from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, sshsig
from linetap_core.log import message_id
from linetap_core.records import RecorderState
from linetap_core.vaultformat import bringupreport as bringup

WORST_EXPOSURE = 1.2
NUMBER, DIALLED = "01047116328", "0269185543"
# Line 1 is called every 15 s; line 2 makes one outgoing call.
SCRIPT = (
    "lines = 2\nduration_s = 1000.0\n"
    + "".join(
        f'[[call]]\nline = 1\nstart_s = {1.0 + 15 * n}\ndirection = "in"\nrings = 2\ntalk_s = 6.0\n'
        f'caller_id = {{ kind = "bell202", number = "{NUMBER}" }}\n'
        for n in range(64)
    )
    + f'[[call]]\nline = 2\nstart_s = 2.0\ndirection = "out"\ndigits = "{DIALLED}"\nrings = 1\ntalk_s = 4.0\n'
)
# As slow to restart as on a small machine: longer than the permitted age of a state file. Between the report of a
# hanging thread and the watchdog's reset there is time for a command that observes it.
SOON = "[Service]\nWatchdogSec=6\nRestartSec=2s\n"

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


PEOPLE: dict[str, Ed25519PrivateKey] = {}


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    with guest() as made:
        PEOPLE.update(make_unit(made, SCRIPT))
        made.write("/etc/systemd/system/linetap-recorder.service.d/90-soon.conf", SOON)
        made.boot()
        lay_cable(made)
        made.run("systemctl", "start", "mosquitto.service", "linetap.target", *(f"{name}.service" for name in SERVICES))
        yield made


def as_seen_by(unit: Guest, service: str, *words: str) -> str:
    """The output of a command in the service's own mounts and network, as root: what even root cannot see there is
    absent.
    """
    return unit.run("nsenter", "-t", pid_of(unit, service), "-m", "-n", *words, check=False)


def test_each_is_ready_as_a_user_of_its_own(unit: Guest) -> None:
    """`systemctl start` has returned: each has sent READY=1."""
    assert {unit.property(name, "SubState") for name in SERVICES} == {"running"}
    users = {unit.run("stat", "-c", "%U", f"/proc/{pid_of(unit, name)}") for name in SERVICES}
    assert users == {"linetap-capture", "linetap-recorder", "linetap-reporter", "linetap-panel"}


def test_recording_comes_before_panel_and_reporter_and_all_of_it_before_the_rest(unit: Guest) -> None:
    capture, recorder, reporter, panel, slice_ = (
        _weight(unit, name) for name in (*(f"{service}.service" for service in SERVICES), "linetap.slice")
    )
    assert min(capture, recorder) > panel > reporter
    assert slice_ > _weight(unit, "system.slice")


def _weight(unit: Guest, name: str) -> int:
    """The weight of a unit; 100 by default."""
    said = unit.property(name, "CPUWeight")
    return int(said) if said.isdigit() else 100


def test_a_call_is_sealed_and_reported(unit: Guest) -> None:
    find = ("find", "/var/lib/linetap/vault", "-name", sealed.SIGNATURE)
    until(lambda: unit.run(*find) != "", "a call is sealed")
    unit.run("sh", "-c", "echo floor-03 $(cat /etc/linetap/unit.key.pub) > /tmp/signers")
    said = unit.run("linetap", "verify", "/var/lib/linetap/vault", "--signers", "/tmp/signers")
    assert "-L01\n" in said
    topic = ("mosquitto_sub", "-t", "linetap/v1/floor-03/status", "-C", "1", "-W", "120")
    assert '"state":"online"' in unit.run(*topic)


def test_the_unit_measures_itself(unit: Guest) -> None:
    """`linetap bringup` as root: the figures of systemd and the kernel's control groups for the four."""
    said = unit.run("sh", "-c", "linetap bringup --config /etc/linetap/unit.toml --minutes 0 -o /tmp 2>&1", check=False)
    name = said.splitlines()[-1]
    assert name.endswith(bringup.SUFFIX), said
    report = bringup.decode(unit.run("cat", name).encode())
    found = {figure.name: figure for figure in report.figures}
    assert (found["services_ready_s"].value or 0) > 0, found["services_ready_s"].note
    assert 40 < (found["memory_mb"].value or 0) < 600, found["memory_mb"].note
    assert found["cpu_percent"].note.endswith("a minute at least expected"), "its control groups were read"
    assert report.calls > 0
    with_signature = f"ssh-keygen -Y verify -f /tmp/signers -I floor-03 -n linetap-bringup -s {name}.sig <{name}"
    assert "Good" in unit.run("sh", "-c", with_signature)


def test_reporter_and_panel_see_no_audio_and_the_others_no_network(unit: Guest) -> None:
    assert "ring-1" in as_seen_by(unit, "linetap-recorder", "ls", "/run/linetap/audio")
    for service in ("linetap-reporter", "linetap-panel"):
        assert as_seen_by(unit, service, "ls", "/run/linetap/audio") == ""
        assert as_seen_by(unit, service, "ls", "/run/linetap/calls") == ""
        assert as_seen_by(unit, service, "ls", "/dev/shm") == ""
    assert as_seen_by(unit, "linetap-panel", "ls", "/var/lib/linetap") == "config"
    assert "outbox" in as_seen_by(unit, "linetap-reporter", "ls", "/var/lib/linetap/vault")
    assert "Read-only" in unit.run(
        "nsenter", "-t", pid_of(unit, "linetap-reporter"), "-m", "sh", "-c",
        "touch /var/lib/linetap/vault/x 2>&1", check=False,
    )  # fmt: skip
    own = unit.run("readlink", "/proc/1/ns/net")
    for service in SERVICES:
        alone = unit.run("readlink", f"/proc/{pid_of(unit, service)}/ns/net") != own
        assert alone == (service != "linetap-reporter"), service


@pytest.mark.parametrize("service", ["linetap-recorder", "linetap-reporter"])
def test_who_looks_at_the_machine_sees_it_from_within_its_sandbox(unit: Guest, service: str) -> None:
    """There everything is read-only, and the vault has another name."""
    said = as_seen_by(unit, service, "linetap", "check", "--config", "/etc/linetap/unit.toml")
    assert said, "it ran at all"
    unseen = said.rpartition("not on this machine: ")[2] if "not on this machine" in said else ""
    assert "memory_low" not in unseen
    assert "vault_read_only" not in said
    assert "_dead" not in said


def test_who_has_pins_has_a_folder_for_their_library(unit: Guest) -> None:
    """Without one `import lgpio` fails in a sandbox, and a unit that works here would fail on a Pi."""
    for service in ("linetap-capture@1", "linetap-panel"):
        environment = unit.run("sh", "-c", f"tr '\\0' '\\n' </proc/{pid_of(unit, service)}/environ").splitlines()
        folder = dict(word.split("=", 1) for word in environment)["LG_WD"]
        assert as_seen_by(unit, service, "sh", "-c", f"test -w {folder} && echo yes") == "yes"
        assert as_seen_by(unit, service, "sh", "-c", "test -w / && echo yes") == "", "or no folder were needed"


def test_the_signing_key_is_the_recorders_alone(unit: Guest) -> None:
    assert unit.run("stat", "-c", "%U %a", "/etc/linetap/unit.key") == "root 600"
    for service in SERVICES:
        held = as_seen_by(unit, service, "sh", "-c", "cat /run/credentials/*/unit.key")
        assert ("PRIVATE KEY" in held) == (service == "linetap-recorder"), service


def test_no_service_has_a_capability_and_all_their_system_calls_are_filtered(unit: Guest) -> None:
    for service in SERVICES:
        status = unit.run("cat", f"/proc/{pid_of(unit, service)}/status")
        found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert found["CapBnd"] == "0" * 16, service
        assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "1"), service


def test_who_is_asked_to_end_is_not_dead_before_it_could_be_there_again(unit: Guest) -> None:
    """As for an upgrade, or when the PBX's cable is plugged in; on a small machine a start takes longer than the
    permitted age of a state file. A service that stays away is still reported: tests/checks.
    """
    before = deaths(unit)
    for name in ("linetap-capture@1", "linetap-recorder"):
        unit.run("systemctl", "stop", name)
        unit.run("sleep", "3")
        unit.run("systemctl", "start", name)
    assert deaths(unit) == before


def test_who_lives_without_working_is_started_anew_and_goes_on_with_the_call(unit: Guest) -> None:
    before, call_id = pid_of(unit, "linetap-recorder"), next_recorded(unit)
    unit.run("kill", "-STOP", before)
    until(lambda: pid_of(unit, "linetap-recorder") not in (before, "0"), "the watchdog has bitten")
    assert unit.property("linetap-recorder", "NRestarts") == "1"
    record = record_of(unit, call_id)
    assert (record.ended_by, lost(record)) == ("on_hook", [])
    assert deaths(unit) >= 1


def test_a_thread_of_the_recorder_that_hangs_is_named_and_the_recorder_started_anew(unit: Guest) -> None:
    """Each thread except the first, held alone by ptrace(2): the main thread continues meanwhile."""
    for number in range(1, len(threads_of(unit, "linetap-recorder"))):
        before = pid_of(unit, "linetap-recorder")
        with held(threads_of(unit, "linetap-recorder")[number]):
            until(lambda: state_of(unit, "recorder", RecorderState).standing != [], "the thread is named")
            said = unit.run("linetap", "check", "--config", "/etc/linetap/unit.toml", check=False)
            assert "recorder_dead" in said
            assert "_stands" in said or number > 1, "an alert that comes and goes has other words later"
            until(lambda was=before: pid_of(unit, "linetap-recorder") not in (was, "0"), "the watchdog has bitten")
        until(lambda: unit.property("linetap-recorder", "SubState") == "running", "it works again")
        assert state_of(unit, "recorder", RecorderState).standing == []


def deaths(unit: Guest) -> int:
    """The number of dead services that the reporter has reported."""
    said = unit.run(*LOG, "-o", "cat", "LINETAP_CODE=recorder_dead", "LINETAP_CODE=capture_dead", check=False)
    return said.count(": critical: ")


def test_a_command_changes_the_configuration_between_two_calls(unit: Guest) -> None:
    """Written by the recorder in its sandbox, read by all in theirs: the affected services restart."""
    officer = keys.new_unit_key()
    people = [
        Person("the operator", "operator", keys.public_line(PEOPLE["operator"].public_key())),
        Person("the officer", "vault", keys.public_line(officer.public_key())),
    ]
    text = document.encode(Roles(1, people, []))
    body = {"document": text.decode(), "sig": sshsig.sign(text, PEOPLE["authority"], "linetap-roles")}
    assert obeyed(unit, "roles", "authority", PEOPLE["authority"], body)["done"]

    before, called_for = {name: pid_of(unit, name) for name in SERVICES}, deaths(unit)
    old, replaced = unit.run("cat", CONFIG) + "\n", state_of(unit, "recorder", RecorderState).config_sha256
    new = old.replace("number = 2\n", 'number = 2\ncaller_id = "off"\n').replace("deaf_calls = 3", "deaf_calls = 4")
    body = {"document": new, "replaces": replaced}
    told = obeyed(unit, "config", "operator", PEOPLE["operator"], body, officer)
    assert told["done"], told
    until(lambda: state_of(unit, "recorder", RecorderState).config_sha256 == told["config_sha256"], "it is in effect")
    assert unit.run("cat", CONFIG) == new.strip()
    meant = {"linetap-recorder", "linetap-capture@1"}
    # A newly started capture first works for ten seconds.
    until(lambda: {name for name in SERVICES if pid_of(unit, name) != before[name]} >= meant, "they have begun anew")
    until(lambda: {unit.property(name, "SubState") for name in SERVICES} == {"running"}, "all run again")
    assert deaths(unit) == called_for, "nobody is called for a change that was signed"
    assert {name for name in SERVICES if pid_of(unit, name) != before[name]} == meant
    assert all(unit.property(name, "Result") == "success" for name in SERVICES)


def test_what_weakens_by_hand_is_in_force_in_none_of_them(unit: Guest) -> None:
    """Edited in the file's place, and in place of its link: each service reads it with its own user's rights."""
    people = [
        Person("the operator", "operator", keys.public_line(PEOPLE["operator"].public_key())),
        Person("another officer", "vault", keys.public_line(keys.new_unit_key().public_key())),
    ]
    text = document.encode(Roles(2, people, []))
    body = {"document": text.decode(), "sig": sshsig.sign(text, PEOPLE["authority"], "linetap-roles")}
    assert obeyed(unit, "roles", "authority", PEOPLE["authority"], body)["done"]
    until(lambda: '"binds":true' in unit.run("cat", f"{CONFIG}.kept"), "the recorder holds what is in force")
    old, before = unit.run("cat", CONFIG) + "\n", state_of(unit, "recorder", RecorderState).config_sha256
    weaker = old.replace("number = 2\n", "number = 2\nexempt = true\n")
    try:
        unit.write(CONFIG, weaker)
        _start_anew_holding(unit)
        unit.write(CONFIG, old)
        unit.run("rm", "/etc/linetap/unit.toml")
        unit.write("/etc/linetap/unit.toml", weaker)
        _start_anew_holding(unit)
    finally:
        unit.write(CONFIG, old)
        unit.run("ln", "-sfn", CONFIG, "/etc/linetap/unit.toml")
    assert state_of(unit, "recorder", RecorderState).config_sha256 == before
    until(
        lambda: ["line_exempt"] in [each.codes for each in state_of(unit, "recorder", RecorderState).weakenings],
        "it is shown",
    )


def _start_anew_holding(unit: Guest) -> None:
    for name in SERVICES:
        unit.run("systemctl", "restart", f"{name}.service")
        said = unit.run(*LOG, "-o", "cat", f"_PID={pid_of(unit, name)}")
        assert "config_held: /etc/linetap/unit.toml: it weakens" in said, f"{name}: {said}"


def test_the_journal_has_codes_to_look_for_and_nobodys_number(unit: Guest) -> None:
    unit.run("systemctl", "stop", "mosquitto.service")
    seek = (*LOG, "-o", "json", "LINETAP_CODE=broker_absent", f"MESSAGE_ID={message_id('broker_absent')}")
    until(lambda: unit.run(*seek) != "", "the broker's absence is in the journal")
    unit.run("systemctl", "start", "mosquitto.service")
    assert json.loads(unit.run(*seek).splitlines()[0])["_SYSTEMD_UNIT"] == "linetap-reporter.service"
    until(
        lambda: unit.run("find", "/var/lib/linetap/vault", "-path", f"*-L02/{sealed.RECORD}") != "", "both have called"
    )
    said = unit.run("journalctl", "--namespace=+linetap", "-o", "export", "-u", "linetap-*")
    assert f"-L{1:02d}" in said, "calls are named"
    assert "Started linetap-recorder.service" in said, "systemd's own words, which are in the machine's log"
    assert NUMBER not in said
    assert DIALLED not in said


@pytest.mark.parametrize(
    ("namespace", "most"), [("", {"Runtime Journal": 16 << 20}), ("linetap", {"System Journal": 32 << 20})]
)
def test_a_log_is_bounded_and_so_is_whoever_repeats_himself(unit: Guest, namespace: str, most: dict[str, int]) -> None:
    """The machine's in RAM, the services' on the disk. By journald's own message SD_MESSAGE_JOURNAL_USAGE."""
    log = ("journalctl", f"--namespace={namespace}")
    usage = unit.run(*log, "-o", "json", "MESSAGE_ID=ec387f577b844b8fa948f33cad9a75e6").splitlines()
    assert {each["JOURNAL_NAME"]: int(each["MAX_USE"]) for each in map(json.loads, usage)} == most
    name = f"chatter-{namespace}"
    said = ("systemd-run", "--quiet", "--wait", f"--unit={name}", "-p", f"LogNamespace={namespace}")
    unit.run(*said, "sh", "-c", "seq 20000")
    unit.run(*log, "--sync")
    kept = len(unit.run(*log, "-u", name, "-o", "cat").splitlines())
    assert 500 <= kept < 4000, "500 in half a minute, times what journald allows where there is much room"


def test_a_journald_that_died_comes_back_with_the_next_line(unit: Guest) -> None:
    """A line of a running service: systemd itself does not restart that journald, its socket does."""

    def absences() -> int:
        said = unit.run(*LOG, "-o", "cat", "LINETAP_CODE=broker_absent", check=False)
        return said.count("broker_absent: ")

    before = absences()
    unit.run("systemctl", "kill", "-s", "KILL", "systemd-journald@linetap.service")
    unit.run("systemctl", "stop", "mosquitto.service")
    until(lambda: absences() > before, "the broker's absence is in the journal")
    unit.run("systemctl", "start", "mosquitto.service")


def test_the_services_log_is_all_that_is_on_the_disk(unit: Guest) -> None:
    machine = unit.run("cat", "/etc/machine-id")
    assert unit.run("ls", "/var/log/journal") == f"{machine}.linetap"
    assert unit.run("ls", "/run/log/journal") == machine
    assert unit.run("journalctl", "-o", "cat", "LINETAP_SERVICE=recorder", check=False) in ("", "-- No entries --")


@pytest.mark.parametrize("service", SERVICES)
def test_exposure(unit: Guest, service: str) -> None:
    said = unit.run("systemd-analyze", "security", f"{service}.service", "--no-pager")
    exposure = float(said.splitlines()[-1].partition(".service: ")[2].split()[0])
    assert exposure <= WORST_EXPOSURE


def test_the_units_hold_together(unit: Guest) -> None:
    files = "*linetap*.service linetap*.timer linetap*.path linetap.target"
    own = [f"/usr/lib/linetap/{name}" for name in ("slots", "scrub")]  # the image's own: it waits for their end
    for path in own:
        unit.run("install", "-D", "-m", "755", f"/opt/linetap/image/root{path}", path)
    done = unit.run("sh", "-c", f"cd /etc/systemd/system && systemd-analyze verify {files} 2>&1")
    unit.run("rm", *own)
    assert done == ""
