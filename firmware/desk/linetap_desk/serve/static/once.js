// SPDX-License-Identifier: Apache-2.0
// A double click sends a form once. Without this the second sending is what a person sees the answer
// of: a step that "was taken already", or a second request beside the first.
const WAIT_MS = 10000; // then it may be sent again: a file was downloaded, and the page is still here
let sent = new WeakSet();

// On the window, behind all other listeners: a form that one of them has held back was not sent.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (sent.has(form)) return event.preventDefault();
  sent.add(form);
  setTimeout(() => sent.delete(form), WAIT_MS);
});

// Back to it: it is a new attempt.
window.addEventListener("pageshow", () => {
  sent = new WeakSet();
});
