// SPDX-License-Identifier: Apache-2.0
// Sends a form once after a double click. Otherwise the person would see the response to the second
// submission: a step that "was taken already", or a second request.
const WAIT_MS = 10000; // then it may be sent again: the page is still open after a download
let sent = new WeakSet();

// On the window, after all other listeners: a form that one of them prevented was not sent.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (sent.has(form)) return event.preventDefault();
  sent.add(form);
  setTimeout(() => sent.delete(form), WAIT_MS);
});

// Back on the page: a new attempt.
window.addEventListener("pageshow", () => {
  sent = new WeakSet();
});
