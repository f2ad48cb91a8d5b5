// SPDX-License-Identifier: Apache-2.0
// An open page must not outlive its session: when the session is locked or over, the page is left.
const EVERY_MS = 15000;

// One request at a time, and none after the page is left: a second reload would cancel the first
// one's answer.
let asking = false;

async function look() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch("/alive", { headers: { accept: "text/plain" }, cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) return void location.reload();
  } catch {
    // The desk cannot be reached: what is shown was allowed when it was shown, and the next poll decides.
  }
  asking = false;
}

setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
