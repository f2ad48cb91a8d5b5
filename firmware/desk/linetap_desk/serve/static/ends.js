// SPDX-License-Identifier: Apache-2.0
// Shows calls that are being ended, or have just been, on any open page of a supervisor. A hidden page does not poll.

const EVERY_MS = 3000;
const box = document.querySelector("#ends");
let shown = "[]";
let asking = false;

async function look() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch("/ended/now", { headers: { accept: "text/plain" }, cache: "no-store" });
    if (answer.ok) show(await answer.json());
  } catch {
    // The desk cannot be reached: each line shows its time, and the next poll decides.
  }
  asking = false;
}

// Writes only new lines: a screen reader reads each change of an alert.
function show(ends) {
  if (JSON.stringify(ends) === shown) return;
  shown = JSON.stringify(ends);
  box.querySelector("ul").replaceChildren(
    ...ends.map(({ state, text }) => {
      const item = document.createElement("li");
      item.dataset.state = state;
      item.textContent = text;
      return item;
    }),
  );
  box.hidden = ends.length === 0;
}

look();
setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", look);
