// SPDX-License-Identifier: Apache-2.0
// Ends an open page with its session: when the session is locked or over, the browser leaves the page,
// and typed text is kept (draft.js). A warning precedes that. Typing postpones the lock; reading does
// not, and the warning's button does.
import { here, save } from "/static/draft.js";

const EVERY_MS = 15000;
const USED_EVERY_MS = 60000;
const csrf = document.querySelector("meta[name=csrf]").content;
const box = document.querySelector("#ending");

// One request at a time, and none after leaving: a second reload would cancel the first one's answer.
let asking = false;
let usedMs = -USED_EVERY_MS;

async function look() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch("/alive", { headers: { accept: "text/plain" }, cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) {
      await save();
      return void location.replace(here);
    }
    if (answer.ok) warn(await answer.json());
  } catch {
    // The desk cannot be reached: the page was permitted when it was shown, and the next poll decides.
  }
  asking = false;
}

// Shows a time, not a countdown: a screen reader reads each change of an alert.
function warn({ locks_s: locks, ends_s: ends, warn_s: before }) {
  const left = Math.min(locks, ends);
  if (left > before) {
    box.hidden = true;
    return;
  }
  if (!box.hidden) return;
  const at = new Date(Date.now() + left * 1000).toLocaleTimeString(document.documentElement.lang);
  box.querySelector("p").textContent = (ends <= locks ? box.dataset.ends : box.dataset.locks).replace("{at}", at);
  box.querySelector("button").hidden = ends <= locks;
  box.className = "note warning";
  box.setAttribute("role", "alert");
  box.hidden = false;
}

async function stay() {
  usedMs = performance.now();
  try {
    await fetch("/stay", { method: "POST", headers: { "x-csrf-token": csrf, accept: "text/plain" } });
  } catch {
    // The desk cannot be reached: the next poll decides.
  }
  if (!box.hidden) {
    box.hidden = true;
    look();
  }
}

box.querySelector("button").addEventListener("click", stay);
document.addEventListener("input", (event) => {
  if (event.isTrusted && performance.now() - usedMs >= USED_EVERY_MS) stay();
});
setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
