# SPDX-License-Identifier: Apache-2.0
"""How many times slower than this machine's processor a telephone's is, by the measure with which Chrome's developer
tools calibrate their own slowing: Lighthouse's BenchmarkIndex, a tenth of how often a second a text of 10,000 letters
is made and 100,000 numbers are copied, averaged. 1000 is a telephone of the middle (Pixel 5), 264 one of the slowest
(Moto G Power of 2022): midScore and lowScore of CalibrationController.ts in Chromium's devtools-frontend.
"""

from __future__ import annotations

from typing import Final

from linetap_bench.stage.plaintab import PlainTab

MIDDLE, SLOWEST = "a telephone of the middle", "one of the slowest"
SCORES: Final = {MIDDLE: 1000, SLOWEST: 264}
_LOOKS = 4  # the first of them warms the script's engine up
_STEPS = 6  # the slowing is not exactly what is asked for
_NEAR = 0.03
_SCORE = """(() => {
  const inOneSecond = (work) => {
    const end = performance.now() + 250
    let done = 0
    while (performance.now() < end) { for (let i = 0; i < 5; i++) work(done++) }
    return done / (performance.now() - end + 250) * 1000
  }
  const numbers = [Array.from({ length: 100000 }, (_, i) => i), Array.from({ length: 100000 }, (_, i) => i)]
  const letters = () => { let text = ""; for (let i = 0; i < 10000; i++) text += "a"; if (text.length === 1) throw text }
  const copies = (n) => { const from = numbers[n % 2], to = numbers[1 - n % 2]; for (let i = 0; i < 100000; i++) to[i] = from[i] }
  return (inOneSecond(letters) + inOneSecond(copies)) / 20
})()"""  # noqa: E501


def slow_down(tab: PlainTab, times: float) -> None:
    tab.send("Emulation.setCPUThrottlingRate", rate=times)


def score(tab: PlainTab) -> float:
    """The best of several: other work on the machine only takes."""
    return max(float(tab.evaluate(_SCORE)) for _ in range(_LOOKS))


def calibrate(tab: PlainTab) -> dict[str, tuple[float, float]]:
    """For each telephone, how many times slower the tab has to be, and the score that it then has. 1 where this
    machine is no quicker than the telephone."""
    slow_down(tab, 1)
    own = score(tab)
    found = {name: _slowed(tab, own, wanted) for name, wanted in SCORES.items()}
    slow_down(tab, 1)
    return found


def _slowed(tab: PlainTab, own: float, wanted: float) -> tuple[float, float]:
    times, reached = 1.0, own
    for _ in range(_STEPS):
        if abs(reached - wanted) <= _NEAR * wanted:
            break
        times = max(1.0, times * reached / wanted)
        slow_down(tab, times)
        reached = score(tab)
        if times == 1.0:
            break
    return times, reached
