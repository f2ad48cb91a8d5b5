# SPDX-License-Identifier: Apache-2.0
"""Retention time: it never goes back, and never forward without an explanation."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from linetap.recorder.vault.retention.clock import TOLERANCE_NS, Memory, RetentionClock, Sample
from linetap_core.clock import NS_PER_S

DAY = 86_400 * NS_PER_S
NOON = 20_000 * DAY
GAP_DAYS = 7


@dataclass
class World:
    """The true time, and a unit whose clock is ahead by `error_ns`. `passes` advances both."""

    true_ns: int = NOON
    error_ns: int = 0
    mono_ns: int = 5 * NS_PER_S
    boot: int = 1
    synced: bool = True

    def __post_init__(self) -> None:
        self.clock = RetentionClock(Memory(), GAP_DAYS * DAY)

    @property
    def now(self) -> int | None:
        return self.clock.memory.now_ns

    @property
    def now_days(self) -> float:
        assert self.now is not None
        return (self.now - NOON) / DAY

    def sample(self) -> Sample:
        return Sample(self.true_ns + self.error_ns, self.mono_ns, str(self.boot), self.synced)

    def passes(self, days: float, look: bool = True) -> World:
        self.true_ns += round(days * DAY)
        self.mono_ns += round(days * DAY)
        if look:
            self.clock.see(self.sample())
        return self

    def off(self, days: float) -> World:
        """Switches off for this long; the next reading is of another boot."""
        self.true_ns += round(days * DAY)
        self.boot, self.mono_ns = self.boot + 1, 7 * NS_PER_S
        return self.passes(0)

    def told(self, confirms: bool, asked_days_ago: float = 0, error_days: float = 0) -> str | None:
        """A signed answer, made now, to an earlier question."""
        asked = self.mono_ns - round(asked_days_ago * DAY)
        return self.clock.answer(self.true_ns + round(error_days * DAY), asked, self.sample(), confirms)


def test_the_first_agreed_clock_is_believed_and_none_before() -> None:
    world = World(synced=False).passes(1).passes(3)
    assert world.now is None
    world.synced = True
    assert world.passes(1).now_days == 5


def test_without_agreement_it_stands_and_catches_up_when_there_is_one_again() -> None:
    world = World().passes(1)
    world.synced = False
    assert world.passes(10).now_days == 1
    world.synced = True
    assert world.passes(1).now_days == 12


def test_what_was_counted_without_agreement_is_explained_in_the_next_boot_too() -> None:
    world = World().passes(1)
    world.synced = False
    world.passes(20).off(0.01)
    assert world.now_days == 1
    world.synced = True
    assert round(world.passes(1).now_days, 2) == 22.01


def test_a_jump_forward_moves_nothing_but_what_was_counted() -> None:
    world = World().passes(1)
    world.error_ns = 400 * DAY
    assert world.passes(1).now_days == 2
    assert world.clock.memory.waiting_ns == 400 * DAY
    world.error_ns = 0
    assert world.passes(1).now_days == 3
    assert world.clock.memory.waiting_ns == 0


def test_a_jump_back_postpones_nothing() -> None:
    world = World().passes(1)
    world.error_ns = -30 * DAY
    assert world.passes(5).now_days == 6
    assert world.clock.memory.behind_ns == 30 * DAY


def test_a_clock_without_agreement_that_is_behind_what_was_counted_is_known_to_be_wrong() -> None:
    """A Pi that starts without a network has the time of its switching off, or 1970."""
    world = World().passes(10)
    world.synced, world.error_ns = False, -(NOON + 10 * DAY)
    world.off(0.5)
    assert world.clock.memory.behind_ns > 0
    assert world.now_days == 10
    world.synced, world.error_ns = True, 0
    assert world.passes(0.5).now_days == 11
    assert world.clock.memory.behind_ns == 0


def test_a_small_gap_across_boots_is_believed_a_large_one_is_not() -> None:
    world = World().passes(1).off(3)
    assert world.now_days == 4
    world.off(30)
    assert world.now_days == 4
    assert world.clock.memory.waiting_ns
    assert world.passes(1).now_days == 5, "what is counted in this boot counts"


def test_small_gaps_do_not_add_up_to_more_than_the_large_one() -> None:
    """An attacker who switches the unit off and sets its time gains no more than largest_gap."""
    world = World().passes(1)
    for _ in range(60):
        world.error_ns += DAY
        world.off(0.0001)
    assert world.now_days < 1 + GAP_DAYS + 0.1


def test_in_one_boot_small_jumps_do_not_add_up() -> None:
    world = World().passes(0)
    for _ in range(10_000):
        world.error_ns += TOLERANCE_NS // 2
        world.passes(0.0001)
    assert world.now_days < 1 + 0.001


def test_two_officers_confirm_a_month_off() -> None:
    world = World().passes(1).off(31)
    assert world.now_days == 1
    assert world.told(confirms=False) == "time_ahead"
    assert world.now_days == 1
    assert world.told(confirms=True) is None
    assert world.now_days == 32
    assert world.passes(1).now_days == 33


def test_an_answer_that_was_days_on_its_way_confirms_no_clock_beyond_it() -> None:
    """A stick travels for three days; meanwhile somebody has moved the clock by a year."""
    world = World().passes(1).off(31).passes(0, look=False)
    world.passes(3)
    world.error_ns = 365 * DAY
    said = world.true_ns - 3 * DAY
    assert world.clock.answer(said, world.mono_ns - 3 * DAY, world.sample(), confirms=True) is None
    assert world.now_days == 32, "it is at least what the answer said, and no more"
    world.passes(1)
    assert world.now_days == 33
    assert world.clock.memory.waiting_ns


def test_an_old_question_does_not_confirm_a_clock_of_weeks_later() -> None:
    """Asked a month ago and answered at once: the kernel's clock is compared with its value then, not with today's."""
    world = World().passes(1)
    world.passes(30)
    world.error_ns = 20 * DAY
    said = world.true_ns - 10 * DAY
    assert world.clock.answer(said, world.mono_ns - 30 * DAY, world.sample(), confirms=True) is None
    assert world.now_days == 31


def test_the_desk_frees_nothing_of_the_gap_that_was_used_up_and_two_officers_do() -> None:
    world = World().passes(1).off(6).off(0.5)
    assert world.told(confirms=False) is None
    assert world.off(6).now_days == 7.5
    assert world.told(confirms=False) == "time_ahead"
    assert world.told(confirms=True) is None
    assert world.now_days == 13.5
    assert world.off(6).now_days == 19.5


def test_nine_answers_of_the_desk_are_worth_one_gap() -> None:
    """Each once allowed another seven days: nine of them ended calls of sixty."""
    world = World().passes(1)
    for _ in range(9):
        world.boot, world.mono_ns = world.boot + 1, 7 * NS_PER_S
        world.clock.see(world.sample())
        world.told(confirms=False, error_days=min(6.9 * (world.boot - 1), 400))
    assert world.now_days < 1 + GAP_DAYS + 0.001


def test_many_boots_with_a_clock_ten_seconds_ahead_add_up_to_one_gap() -> None:
    world = World().passes(1)
    world.clock = RetentionClock(world.clock.memory, largest_gap_ns=NS_PER_S)
    for _ in range(1000):
        world.error_ns += TOLERANCE_NS
        world.off(0)
        world.told(confirms=False, error_days=TOLERANCE_NS / DAY)
    assert world.now is not None
    assert world.now - world.true_ns <= NS_PER_S


def test_an_answer_without_a_synchronised_kernel_moves_time_alone() -> None:
    world = World().passes(1)
    world.synced = False
    world.passes(2)
    assert world.told(confirms=False) is None
    assert world.now_days == 3
    assert world.passes(4).now_days == 3


def test_an_answer_puts_nothing_back_that_was_counted_since_two_officers_confirmed() -> None:
    world = World().passes(1)
    assert world.told(confirms=True) is None
    world.passes(5)
    assert world.told(confirms=False, error_days=-3) == "time_back"
    assert world.told(confirms=True, error_days=-3) == "time_back"
    assert world.now_days == 6


def test_two_officers_put_back_a_first_clock_that_was_wrong() -> None:
    world = World(error_ns=4000 * DAY).passes(1)
    assert world.now_days == 4001
    world.error_ns = 0
    assert world.passes(1).clock.memory.behind_ns
    assert world.told(confirms=False) == "time_back"
    assert world.told(confirms=True) is None
    assert world.now_days == 2
    assert world.passes(1).clock.memory.behind_ns == 0


class TestAge:
    """The certainly elapsed time, by which calls are destroyed."""

    def test_a_clock_moves_it_nowhere(self) -> None:
        world = World().passes(1)
        sealed = world.clock.moment(world.sample())
        world.passes(2)
        world.error_ns = 300 * DAY
        world.off(5).told(confirms=False)
        world.passes(3)
        assert round(world.clock.age_ns(sealed, None) / DAY, 3) == 5

    def test_two_officers_make_good_what_was_off_for_calls_sealed_before(self) -> None:
        world = World().passes(1)
        world.told(confirms=True)
        before = world.clock.moment(world.sample())
        world.passes(2).off(30)
        between = world.clock.moment(world.sample())
        world.passes(1)
        assert world.clock.age_ns(before, None) == 3 * DAY
        assert world.told(confirms=True) is None
        after = world.clock.moment(world.sample())
        ages = [round(world.clock.age_ns(each, None) / DAY, 3) for each in (before, between, after)]
        assert ages == [33, 1, 0], "what is younger than the gap gets nothing of it"

    def test_the_first_confirmation_makes_nothing_older(self) -> None:
        """The clock's values before it prove nothing."""
        world = World(synced=False).passes(1)
        sealed = world.clock.moment(world.sample())
        world.off(30).told(confirms=True)
        assert world.clock.age_ns(sealed, None) == 0

    def test_of_an_old_record_the_clock_counts_as_far_as_the_old_memory_goes(self) -> None:
        world = World()
        world.clock = RetentionClock(Memory(now_ns=NOON, since_ns=NOON, name="a", boot="1", boots=3), GAP_DAYS * DAY)
        world.passes(0).passes(2)
        assert world.clock.age_ns(None, NOON - 50 * DAY) == 52 * DAY
        assert world.clock.age_ns(None, None) == 2 * DAY, "nobody had synchronised its clock"
        assert world.clock.age_ns(None, NOON + 30 * DAY) == 2 * DAY, "its clock was ahead of what the unit believed"

    def test_a_memory_that_was_lost_makes_nothing_older(self) -> None:
        world = World().passes(90)
        sealed = world.clock.moment(world.sample())
        world.clock = RetentionClock(Memory(now_ns=0, name="another"), GAP_DAYS * DAY)
        world.passes(1).passes(1)
        assert world.clock.age_ns(sealed, None) == DAY


def test_lost_memory_waits_for_two_officers() -> None:
    world = World()
    world.clock = RetentionClock(Memory(now_ns=0), GAP_DAYS * DAY)
    world.passes(1)
    assert world.clock.memory.waiting_ns
    assert world.told(confirms=False) == "time_ahead"
    assert world.told(confirms=True) is None
    assert world.now_days == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["passes", "off", "jump", "sync", "desk", "officers"]),
        st.floats(-400, 400, allow_nan=False),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_clock_and_desk_say_it_is_never_back_and_never_early(steps: list[tuple[str, float]]) -> None:
    """It leads the truth by at most one gap since two officers confirmed the time, which the desk cannot renew either;
    and no call counts as older than it is. The first agreed clock is right.
    """
    world = World().passes(0)
    last = world.now or 0
    sealed = [(world.true_ns, world.clock.moment(world.sample()))]
    for what, days in steps:
        if what == "passes":
            world.passes(abs(days) / 10)
        elif what == "off":
            world.off(abs(days) / 10)
        elif what == "jump":
            world.error_ns += round(days * DAY)
            world.passes(0)
        elif what == "sync":
            world.synced = not world.synced
        elif what == "desk":
            world.told(confirms=False, error_days=days)
        else:
            world.told(confirms=True)
            last = min(last, world.now or 0)  # they may correct an unconfirmed time
        sealed.append((world.true_ns, world.clock.moment(world.sample())))
        assert world.now is not None
        assert world.now >= last
        last = world.now
        assert world.clock.memory.unexplained_ns <= GAP_DAYS * DAY
        assert world.now - world.true_ns <= GAP_DAYS * DAY
        for at_ns, moment in sealed:
            assert world.clock.age_ns(moment, at_ns) <= world.true_ns - at_ns
