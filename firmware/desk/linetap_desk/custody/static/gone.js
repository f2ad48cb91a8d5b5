// SPDX-License-Identifier: Apache-2.0
// Removes the content of an open page after the helper has ended.
const EVERY_MS = 5000;

async function look() {
  try {
    const answer = await fetch(`${document.body.dataset.room}/alive`, { cache: "no-store" });
    if (answer.ok) return;
  } catch {
    // The helper no longer answers.
  }
  clearInterval(looking);
  document.dispatchEvent(new Event("gone"));
  document.getElementById("main").replaceChildren(document.getElementById("gone").content.cloneNode(true));
}

const looking = setInterval(look, EVERY_MS);
