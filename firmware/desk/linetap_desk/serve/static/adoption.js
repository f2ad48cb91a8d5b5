// SPDX-License-Identifier: Apache-2.0
// Reloads the page of new units when a unit asks or progresses. While a person is typing, has opened a detail or reads
// a message, it only shows that there is news.

const EVERY_MS = 3000;
const note = document.getElementById("news");
let typed = false;

function isBusy() {
  return typed || location.pathname !== "/adoption" || document.querySelector("main details[open]") !== null;
}

async function look() {
  if (document.visibilityState === "hidden" || !note.hidden) return;
  try {
    const answer = await fetch("/adoption/news", { headers: { accept: "application/json" }, cache: "no-store" });
    if (!answer.ok || (await answer.json()).mark === note.dataset.mark) return;
    if (isBusy()) note.hidden = false;
    else location.reload();
  } catch {
    // The desk cannot be reached: retried with the next poll.
  }
}

document.addEventListener("input", () => (typed = true));
document.addEventListener("visibilitychange", look);
setInterval(look, EVERY_MS);
