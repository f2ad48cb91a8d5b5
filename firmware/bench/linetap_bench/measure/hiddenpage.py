# SPDX-License-Identifier: Apache-2.0
"""How soon a fleet page that was hidden is right again: told what changed, or, after an hour, all of it at once.

Right is a page that has drawn the newest change which the server had at the moment of its coming back. After an hour
the journal has not the place of a page any more; here the page says at once that its place is one that nobody knows,
and is answered in the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linetap_bench.measure.row import Row
from linetap_core.errors import LinetapError

if TYPE_CHECKING:
    from playwright.sync_api import Page

TIMES = 5
HIDDEN_S = 6
MOST_MS = 30_000
TARGET_S = 2
_ID = re.compile(r'data-id="\w+-(\d+)"')
# Beside the page's own listeners; a frame later it is drawn.
HOOK = """
window.seen = { newest: -1, changes: 0, wholes: 0, forget: false, wanted: Infinity, right: null };
window.EventSource = class extends EventSource {
  constructor(url) {
    super(window.seen.forget ? url.replace(/after=[^&]*/, "after=nobody") : url);
    const note = (kind) => (event) => {
      const seen = window.seen;
      seen.changes += kind === "unit";
      seen.wholes += kind === "snapshot";
      seen.newest = Math.max(seen.newest, Number((event.lastEventId || "-0").split("-")[1]));
      if (seen.newest >= seen.wanted && seen.right) requestAnimationFrame(() => setTimeout(seen.right));
    };
    for (const kind of ["unit", "desk", "snapshot"]) this.addEventListener(kind, note(kind));
  }
};
"""
_SEE = """state => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_COME_BACK = """([wanted, forget, most]) => new Promise((right) => {
  Object.assign(window.seen, { changes: 0, wholes: 0, forget, wanted });
  const began = performance.now();
  const told = (ms) => right([ms, window.seen.changes, window.seen.wholes]);
  window.seen.right = () => { window.seen.right = null; told(performance.now() - began); };
  setTimeout(() => told(-1), most);
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "visible" });
  document.dispatchEvent(new Event("visibilitychange"));
  const loaded = Number(document.getElementById("fleet").dataset.id.split("-")[1]);
  if (!forget && Math.max(loaded, window.seen.newest) >= wanted) window.seen.right(); // nothing has changed
})"""


@dataclass(frozen=True)
class Found:
    """Of each coming back: milliseconds, and how many changes it was told."""

    changed: list[tuple[float, int]]
    whole: list[tuple[float, int]]


def look(page: Page, url: str) -> Found:
    """`page` shows the fleet, and had HOOK from its beginning."""
    back = [_back(page, url, forget) for _ in range(TIMES) for forget in (False, True)]
    return Found(back[::2], back[1::2])


def _back(page: Page, url: str, forget: bool) -> tuple[float, int]:
    page.evaluate(_SEE, "hidden")
    page.wait_for_timeout(HIDDEN_S * 1000)
    ms, changes, wholes = page.evaluate(_COME_BACK, [newest(page, url), forget, MOST_MS])
    if forget and not wholes:
        raise LinetapError("a page whose place nobody knows was not told all of it")
    return (float(ms) if ms >= 0 else float("inf")), int(changes)


def newest(page: Page, url: str) -> int:
    """The number of the last change that the server knows."""
    found = _ID.search(page.context.request.get(f"{url}/fleet").text())
    if found is None:
        raise LinetapError("the fleet page says no number of its last change")
    return int(found[1])


def rows(name: str, found: Found, method: str) -> list[Row]:
    changes = sorted(count for _, count in found.changed)
    hidden = f"hidden {TIMES} times for {HIDDEN_S} s while the fleet went on; until the newest change is drawn"
    return [
        Row(name=f"{name}: hidden tab, told what changed", figure=_worst_s(found.changed), unit="s", target=TARGET_S,
            method=f"{hidden}: {changes[0]} to {changes[-1]} changes; the worst. {method}"),
        Row(name=f"{name}: hidden tab, told all of it", figure=_worst_s(found.whole), unit="s", target=TARGET_S,
            method=f"{hidden}: a snapshot, as after an hour; the worst. {method}"),
    ]  # fmt: skip


def _worst_s(back: list[tuple[float, int]]) -> float:
    return max(ms for ms, _ in back) / 1000
