# SPDX-License-Identifier: Apache-2.0
"""An update from its request to the reboot that tries it: in order, once, between two calls, and resumed
after a cut.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import msgspec
import pytest

from linetap.idle import HOLDS_S, line_in_use
from linetap.update import install as installing
from linetap.update import judge, state
from linetap.update.fetch import Progress
from linetap.update.rauc import Info
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core.clock import NS_PER_S
from linetap_core.records import UpdateState, UpdateStep
from update_rig import BUNDLE, SHA256, WANTED, Rig


@pytest.fixture
def rig(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    (run_dir / "release").write_text("NAME=linetap\nVERSION=0.1.0\n")
    monkeypatch.setattr(judge, "RELEASE", run_dir / "release")
    return Rig(run_dir)


def test_a_version_is_fetched_installed_and_tried(rig: Rig) -> None:
    rig.critical_findings = lambda _: ["line_cut 2"]
    rig.want()
    rig.install()
    assert rig.machine.calls == ["info", "install", "try_other", "reboot"]
    assert rig.machine.current == "b"
    found = rig.state
    assert (found.step, found.version, found.by, found.slot, found.before) == (
        "trying", "0.2.0", "command", "b", ["line_cut 2"],
    )  # fmt: skip
    assert not rig.path.exists()
    assert rig.bundles() == []


def test_what_comes_and_goes_was_there_before(rig: Rig) -> None:
    rig.critical_findings = lambda s: [f"face {round(s / installing.READINGS_EVERY_S) % 5}"]
    rig.want()
    rig.install()
    assert rig.state.before == [f"face {n}" for n in range(5)]


def test_a_bundle_from_a_stick_is_not_fetched(rig: Rig) -> None:
    rig.from_stick(msgspec.structs.replace(WANTED, url=None))
    rig.install()
    assert (rig.fetched, rig.state.step, rig.state.by) == (0, "trying", "stick")
    assert rig.bundles() == []
    assert not (rig.folder / state.STICK).exists()


def test_a_line_in_use_keeps_the_old_version(rig: Rig) -> None:
    seen: list[tuple[float, str]] = []
    rig.clock.doing = lambda s: "recording" if s < 500 else "idle"
    rig.clock.passes = lambda s: seen.append((s, rig.state.step))
    rig.want()
    rig.install()
    assert {step for s, step in seen if s < 500 + HOLDS_S} == {"waiting"}
    assert rig.machine.current == "b"


def test_a_line_that_is_never_idle_is_reported_and_not_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "WAIT_DAYS", 0.01)
    rig.clock.doing = lambda _: "recording"
    rig.want()
    rig.install()
    assert rig.outcome() == ("failed", "update_busy")
    assert "line 1 is in use" in rig.state.text
    assert "try_other" not in rig.machine.calls
    assert not rig.path.exists()


@pytest.mark.parametrize("by_stick", [False, True])
def test_a_dead_recorder_does_not_keep_its_remedy_away(
    rig: Rig, by_stick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "WAIT_DAYS", 0.05)
    rig.clock.doing = lambda s: "recording" if s < 100 else None
    if by_stick:
        rig.from_stick(msgspec.structs.replace(WANTED, url=None))
    else:
        rig.want()
    rig.install()
    assert (rig.outcome(), rig.machine.current) == (("trying", ""), "b")
    assert 100 + installing.SILENT_S <= rig.clock.seconds < 100 + installing.SILENT_S + 3 * installing.LOOK_AGAIN_S


def test_a_recorder_that_comes_back_in_a_call_is_waited_for(rig: Rig) -> None:
    """Also one that comes back while the restart is prepared."""
    busy = (*range(800, 1000, 1), *range(2100, 2400, 1))
    rig.clock.doing = lambda s: "recording" if int(s) in busy else "idle" if s >= 2400 else None
    rig.want()
    rig.install()
    assert rig.clock.seconds >= 1000 + installing.SILENT_S
    assert rig.state.step == "trying"


class TestACallThatBeginsMeanwhile:
    """After the pause was found come the boot loader and a diagnosis, and the line rings."""

    @pytest.fixture
    def at_reboot(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
        """The line in use at each reboot."""
        found: list[str | None] = []
        reboot = rig.machine.reboot

        def look_and_reboot() -> None:
            found.append(line_in_use(rig.config, None, rig.clock))
            reboot()

        monkeypatch.setattr(rig.machine, "reboot", look_and_reboot)
        return found

    def calls_in_the_reading(self, rig: Rig, until_s: float) -> None:
        """A call in each reading after the trial was prepared, until `until_s`."""

        def reading(s: float) -> list[str]:
            if "try_other" in rig.machine.calls and s < until_s:
                end = s + 90
                rig.clock.doing = lambda at: "recording" if at < end else "idle"
                rig.clock.sleep(4)
            return []

        rig.critical_findings = reading

    def test_is_not_cut(self, rig: Rig, at_reboot: list[str | None]) -> None:
        seen: list[tuple[str, bool]] = []
        rig.clock.passes = lambda _: seen.append((rig.state.step, rig.path.exists()))
        self.calls_in_the_reading(rig, 300)
        rig.want()
        rig.install()
        assert at_reboot == [None]
        assert rig.clock.seconds > 300
        assert set(seen) == {("waiting", True)}, "and a power cut in it changes nothing"
        assert rig.machine.calls == ["info", "install", "try_other", "reboot"], "what is prepared stays so"
        assert (rig.state.step, rig.state.slot, rig.path.exists()) == ("trying", "b", False)

    def test_is_not_cut_in_a_line_of_them(
        self, rig: Rig, at_reboot: list[str | None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(installing, "WAIT_DAYS", 0.01)
        self.calls_in_the_reading(rig, 1e9)
        rig.clock.passes = lambda s: setattr(rig.clock, "doing", lambda _: "recording") if s > 300 else None
        rig.want()
        rig.install()
        assert (rig.outcome(), at_reboot) == (("failed", "update_busy"), [])

    def test_is_not_cut_after_the_power_was(self, rig: Rig, at_reboot: list[str | None]) -> None:
        """The trial is prepared, and not begun: the old version starts, and goes on with it."""

        def cut(s: float) -> None:
            if "try_other" in rig.machine.calls and s > 100:
                raise Cut

        self.calls_in_the_reading(rig, 1e9)
        rig.clock.passes = cut
        rig.want()
        with pytest.raises(Cut):
            rig.install()
        rig.clock.passes, rig.clock.doing, rig.critical_findings = lambda _: None, lambda _: "idle", lambda _: []
        rig.machine.tried = False  # the firmware was asked for nothing
        rig.trial()
        assert (rig.outcome(), rig.path.exists()) == (("waiting", ""), True)
        rig.install()
        assert (rig.state.step, rig.machine.current, at_reboot) == ("trying", "b", [None])
        assert rig.machine.calls.count("install") == 1


@pytest.mark.parametrize(
    ("info", "code"),
    [
        (Info("toaster", "0.2.0"), "update_other_product"),
        (Info("linetap", "0.3.0"), "update_other_version"),
        (Info("linetap", "newest"), "update_other_version"),
    ],
)
def test_a_bundle_that_is_another_is_not_installed(rig: Rig, info: Info, code: str) -> None:
    rig.machine.bundle = info
    rig.want()
    rig.install()
    assert rig.outcome() == ("failed", code)
    assert rig.machine.calls == ["info"]
    assert rig.bundles() == []


def test_an_older_one_is_not_installed(rig: Rig) -> None:
    rig.machine.bundle = Info("linetap", "0.0.9")
    rig.want(msgspec.structs.replace(WANTED, version="0.0.9"))
    rig.install()
    assert rig.outcome() == ("failed", "update_older")
    assert rig.fetched == 0
    assert "0.1.0" in rig.state.text


@pytest.mark.parametrize("call", ["info", "install", "try_other"])
def test_the_output_of_rauc_is_reported(rig: Rig, call: str) -> None:
    rig.machine.faults[call] = UpdateFault("update_install", "rauc install: the reason")
    rig.want()
    rig.install()
    assert rig.outcome() == ("failed", "update_install")
    assert rig.state.text == "rauc install: the reason"
    assert "reboot" not in rig.machine.calls
    assert not rig.path.exists()
    assert rig.bundles() == []


def test_the_version_that_runs_is_not_installed_again(rig: Rig) -> None:
    rig.from_stick(msgspec.structs.replace(WANTED, version="0.1.0", url=None))
    rig.install()
    assert rig.machine.calls == []
    assert rig.bundles() == []
    assert state.load(rig.folder) is None


def test_a_machine_that_is_no_image_takes_none(rig: Rig) -> None:
    judge.RELEASE.unlink()
    rig.want()
    rig.install()
    assert rig.outcome() == ("failed", "update_not_here")


def test_where_there_is_no_room_nothing_is_fetched(rig: Rig) -> None:
    storage = msgspec.structs.replace(rig.config.storage, reserve_mb=1 << 30)
    rig.config = msgspec.structs.replace(rig.config, storage=storage)
    rig.want()
    rig.install()
    assert rig.outcome() == ("failed", "update_no_room")
    assert rig.fetched == 0


@pytest.mark.parametrize("missing", [0, 1])
def test_what_a_power_cut_left_of_it_needs_no_room_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    rig.want()
    begun = rig.folder / f"{state.FETCHED}.{SHA256[:16]}.part"
    begun.write_bytes(BUNDLE[:-100])
    other = rig.folder / f"{state.FETCHED}.{'0' * 16}.part"
    other.write_bytes(BUNDLE)

    def free(_: Path) -> os.statvfs_result:
        assert not other.exists(), "of an earlier version: it only takes room"
        blocks = 100 - missing
        return os.statvfs_result((1, 1, blocks, blocks, blocks, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", free)
    rig.install()
    assert rig.fetched == 1 - missing
    assert (rig.outcome()[1] == "update_no_room") is bool(missing)


def test_the_slot_that_is_the_way_back_is_not_written(rig: Rig) -> None:
    rig.machine.current = "b"
    rig.want()
    rig.install()
    assert rig.outcome() == ("failed", "update_on_trial")
    assert rig.machine.calls == []


def test_a_trial_is_waited_for(rig: Rig) -> None:
    rig.want()
    rig.install()
    rig.want(msgspec.structs.replace(WANTED, version="0.3.0"))
    rig.machine.bundle = Info("linetap", "0.3.0")

    def kept_after_a_minute(s: float) -> None:
        if s >= 60 and rig.state.step == "trying" and rig.state.version == "0.2.0":
            rig.machine.primary = "b"
            state.save(rig.folder, msgspec.structs.replace(rig.state, step="done"))

    rig.clock.passes = kept_after_a_minute
    rig.install()
    assert (rig.state.version, rig.state.step, rig.machine.current) == ("0.3.0", "trying", "a")


def test_the_operators_word_comes_before_the_sticks(rig: Rig) -> None:
    rig.from_stick(msgspec.structs.replace(WANTED, version="0.1.5", url=None))
    rig.want()
    rig.install()
    assert (rig.state.version, rig.state.by) == ("0.2.0", "command")
    assert (rig.folder / state.STICK).exists(), "it is looked at after the trial"


def test_another_version_may_be_wanted_while_one_waits(rig: Rig) -> None:
    rig.clock.doing = lambda s: "recording" if s < 200 else "idle"

    def wanted_anew(s: float) -> None:
        if 100 < s < 101:
            rig.want(msgspec.structs.replace(WANTED, version="0.3.0"))
            rig.machine.bundle = Info("linetap", "0.3.0")

    rig.clock.passes = wanted_anew
    rig.want()
    rig.install()
    assert rig.machine.calls == ["info", "install", "info", "install", "try_other", "reboot"]
    assert rig.state.version == "0.3.0"


def test_a_version_that_came_while_another_failed_is_not_lost(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tired(Exception):
        pass

    second = msgspec.structs.replace(WANTED, version="0.3.0")

    def install(_bundle: Path) -> None:
        if rig.machine.bundle.version == "0.3.0":
            raise Tired
        rig.want(second)
        rig.machine.bundle = Info("linetap", "0.3.0")
        raise UpdateFault("update_install", "no")

    monkeypatch.setattr(rig.machine, "install", install)
    rig.want()
    with pytest.raises(Tired):
        rig.install()
    assert state.read_request(rig.path) == second


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"version":"0.2.0"}', b"\xff" * 5000, b'{"url":1}'])
def test_what_is_no_wish_goes(rig: Rig, text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    rig.want(text)
    rig.install()
    assert not rig.path.exists()
    assert rig.machine.calls == []
    assert "update_wish: " in caplog.text


def test_a_link_in_the_recorders_folder_is_not_followed(rig: Rig) -> None:
    elsewhere = rig.config.vault_path.parent / "elsewhere"
    elsewhere.write_bytes(msgspec.json.encode(WANTED))
    rig.path.symlink_to(elsewhere)
    rig.install()
    assert rig.machine.calls == []
    assert elsewhere.exists()
    assert not rig.path.is_symlink()


@pytest.fixture(params=["folder", "full folder", "link", "FIFO", "socket", "unreadable"])
def invalid(rig: Rig, request: pytest.FixtureRequest) -> str:
    """Puts there what a recorder that was taken over can put in place of its request."""
    match request.param:
        case "folder":
            rig.path.mkdir()
        case "full folder":
            (rig.path / "a" / "b").mkdir(parents=True)
        case "link":
            rig.path.symlink_to(rig.config.vault_path)
        case "FIFO":
            os.mkfifo(rig.path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(rig.path))
        case _:
            rig.path.write_bytes(b"?")
            rig.path.chmod(0)
    return str(request.param)


@pytest.mark.usefixtures("invalid")
def test_what_is_in_the_recorders_place_does_not_keep_out_a_stick(rig: Rig) -> None:
    rig.from_stick(msgspec.structs.replace(WANTED, url=None))
    rig.install()
    assert (rig.state.step, rig.state.by, rig.machine.current) == ("trying", "stick", "b")


def test_what_cannot_be_removed_is_reported_and_asked_for_once_a_minute(rig: Rig, invalid: str) -> None:
    rig.install()
    if "folder" not in invalid:
        assert (rig.path.exists(), state.load(rig.folder)) == (False, None)
        return
    assert rig.outcome() == ("failed", "update_wish")
    assert rig.clock.seconds >= installing.LOOK_AGAIN_S, "systemd starts it again at once"


@pytest.mark.parametrize(("step", "code"), [("failed", "update_self_test"), ("waiting", ""), ("trying", "")])
def test_what_cannot_be_removed_does_not_hide_another_update(rig: Rig, step: UpdateStep, code: str) -> None:
    """A stick that stays in would otherwise be tried again at each start: stick.accept."""
    of_stick = UpdateState(step=step, version="0.2.0", sha256=SHA256, by="stick", at="", code=code)
    state.save(rig.folder, of_stick)
    rig.path.mkdir()
    rig.install()
    assert rig.state == of_stick


def test_a_request_that_stays_is_not_tried(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has become read-only: it would be tried again after each fall back."""

    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == rig.path:
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(path, missing_ok)

    rig.want()
    with monkeypatch.context() as patch:
        rig.clock.passes = lambda _: patch.setattr(Path, "unlink", refuse) if rig.state.step == "waiting" else None
        rig.install()
    assert rig.outcome() == ("failed", "update_wish")
    assert "reboot" not in rig.machine.calls


class Cut(BaseException):
    """A power cut."""


class TestPower:
    @pytest.mark.parametrize("at", ["info", "install", "try_other", "reboot"])
    def test_the_next_start_goes_on(self, rig: Rig, at: str) -> None:
        """Each call is cut once. The old slot starts until the new one is kept."""
        original = getattr(rig.machine, at)

        def cut(*_: object) -> None:
            raise Cut

        setattr(rig.machine, at, cut)
        rig.want()
        with pytest.raises(Cut):
            rig.install()
        assert rig.machine.primary == "a"
        setattr(rig.machine, at, original)
        if at == "reboot":
            rig.trial()
            assert rig.outcome() == ("failed", "update_fell_back"), "nobody knows that it was not even tried"
            return
        rig.install()
        assert (rig.state.step, rig.machine.current) == ("trying", "b")
        assert rig.fetched == 1, "what is here is not fetched again"

    def test_while_it_waits_it_is_not_installed_again(self, rig: Rig) -> None:
        def cut(s: float) -> None:
            if s > 30:
                raise Cut

        rig.clock.doing, rig.clock.passes = lambda _: "recording", cut
        rig.want()
        with pytest.raises(Cut):
            rig.install()
        rig.clock.doing, rig.clock.passes = lambda _: "idle", lambda _: None
        rig.install()
        assert rig.machine.calls.count("install") == 1
        assert rig.state.step == "trying"

    def test_what_always_ends_it_is_given_up(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        def cut(_bundle: Path) -> Info:
            raise Cut

        monkeypatch.setattr(rig.machine, "info", cut)
        rig.want()
        for _ in range(installing.MOST_STARTS):
            with pytest.raises(Cut):
                rig.install()
        rig.install()
        assert rig.outcome() == ("failed", "update_gave_up")
        assert not rig.path.exists()

    def test_a_bundle_that_the_cut_has_spoiled_is_fetched_again(self, rig: Rig) -> None:
        (rig.folder / state.FETCHED).write_bytes(BUNDLE[:-1] + b"?")
        rig.want()
        rig.install()
        assert (rig.fetched, rig.state.step) == (1, "trying")


def test_how_far_it_is_stands_on_the_disk(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[UpdateState] = []

    def fetch(_requested: UpdateRequest, into: Path, tell: Progress) -> None:
        for size in (1000, 2000, 3000):
            rig.clock.advance(installing.TELL_EVERY_S * NS_PER_S)
            tell(size, "")
            told.append(rig.state)
        tell(3000, "connection reset")
        told.append(rig.state)
        into.write_bytes(BUNDLE)

    monkeypatch.setattr(rig, "fetch", fetch)
    rig.want()
    rig.install()
    assert [(each.step, each.fetched, each.text) for each in told] == [
        ("fetching", 1000, ""), ("fetching", 2000, ""), ("fetching", 3000, ""), ("fetching", 3000, "connection reset"),
    ]  # fmt: skip
    assert {each.size for each in told} == {len(BUNDLE)}
    assert {each.sha256 for each in told} == {SHA256}
