// SPDX-License-Identifier: Apache-2.0
// A page that lies open must not outlive its session: when that is locked or over, the page goes.
const EVERY_MS = 15000;

// A slow desk is asked one thing at a time, and a page that goes asks no more: a second reload would
// break off the first one's answer.
let asking = false;

async function look() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch("/alive", { headers: { accept: "text/plain" }, cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) return void location.reload();
  } catch {
    // The desk is not reached: what is shown was allowed when it was shown, and the next look decides.
  }
  asking = false;
}

setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
