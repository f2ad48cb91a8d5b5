// SPDX-License-Identifier: Apache-2.0
// Copies the player's position into a field of a span.
const at = document.getElementById("at");
for (const button of document.querySelectorAll("[data-take]")) {
  button.addEventListener("click", () => {
    const field = document.getElementById(button.dataset.take);
    field.value = Number(at.value).toFixed(1);
    field.focus();
  });
}
