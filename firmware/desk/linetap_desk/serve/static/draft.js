// SPDX-License-Identifier: Apache-2.0
// Keeps text typed into a form through a lock or a new login of the same person, in this tab only. It
// is encrypted; only this person gets the key from the desk, and only while logged in. Passwords, files
// and hidden fields are not kept, and all text is removed once the form was accepted.
const PLACE = "linetap-draft";
const SENT = "linetap-draft-sent";
const WAIT_MS = 400;
const MOST = 100000; // characters
const IV_BYTES = 12;
const REFUSED = "main [role=alert]:not([hidden])";
const LEFT_OUT = ["hidden", "password", "file", "submit", "button"];
const meta = document.querySelector("meta[name=draft]");
const unsent = document.querySelector("meta[name=unsent]");
const box = document.querySelector("#kept");
// For the response to a form: the address of the form's page, to which the typed text belongs.
export const here = meta?.dataset.here ?? "/";

let timer = 0;
let pending = false;
let restored = false;

function bytes(base64) {
  return Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
}

function base64(data) {
  return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
}

// The key as masked by the desk (web/secure.py): the first half is a pad.
function key() {
  const both = bytes(meta.content);
  const half = both.length / 2;
  const raw = both.slice(0, half).map((byte, n) => byte ^ both[half + n]);
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
}

// Each field with its place: the form's address, its name, its number among fields of that name.
function* fields() {
  for (const form of document.querySelectorAll("main form")) {
    const seen = {};
    for (const field of form.elements) {
      if (!field.name || LEFT_OUT.includes(field.type)) continue;
      seen[field.name] = (seen[field.name] ?? -1) + 1;
      yield [`${form.getAttribute("action")} ${field.name} ${seen[field.name]}`, field];
    }
  }
}

function isChoice(field) {
  return field.type === "checkbox" || field.type === "radio";
}

function initial(field) {
  if (isChoice(field)) return field.defaultChecked;
  if (field.options) return ([...field.options].find((one) => one.defaultSelected) ?? field.options[0])?.value;
  return field.defaultValue;
}

function value(field) {
  return isChoice(field) ? field.checked : field.value;
}

export async function save() {
  clearTimeout(timer);
  pending = false;
  if (!meta) return;
  const typed = [...fields()].filter(([, field]) => value(field) !== initial(field));
  if (!typed.length) return sessionStorage.removeItem(PLACE);
  const text = JSON.stringify({ here, typed: typed.map(([place, field]) => [place, value(field)]) });
  if (text.length > MOST) return;
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const data = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key(), new TextEncoder().encode(text));
  sessionStorage.setItem(PLACE, `${base64(iv)} ${base64(new Uint8Array(data))}`);
}

// Throws for text of another person, or encrypted with the key of an earlier process of the desk.
async function opened(kept) {
  const [iv, data] = kept.split(" ").map(bytes);
  return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await key(), data)));
}

async function restore() {
  const kept = sessionStorage.getItem(PLACE);
  const arrived = sessionStorage.getItem(SENT) !== null && document.querySelector(REFUSED) === null;
  sessionStorage.removeItem(SENT);
  if (!kept) return;
  const draft = arrived ? null : await opened(kept).catch(() => null);
  if (draft === null || draft.here !== here) return sessionStorage.removeItem(PLACE);
  const typed = new Map(draft.typed);
  for (const [place, field] of fields()) {
    if (!typed.has(place) || typed.get(place) === value(field)) continue; // or restored by the response itself
    if (isChoice(field)) field.checked = typed.get(place);
    else field.value = typed.get(place);
    field.closest("details")?.setAttribute("open", "");
    restored = true;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  if (!restored) return;
  box.setAttribute("role", "status"); // set before it is shown; a page has other live regions
  box.className = "note";
  box.hidden = false;
}

function discard() {
  for (const form of document.querySelectorAll("main form")) form.reset();
  sessionStorage.removeItem(PLACE);
  box.hidden = true;
}

// A page without the key has accepted no form: the login, the lock, the response to a form after the
// session's end.
if (!meta || unsent) {
  sessionStorage.removeItem(SENT);
} else {
  await restore();
  box.querySelector("button").addEventListener("click", discard);
  document.addEventListener("input", () => {
    clearTimeout(timer);
    pending = true;
    timer = setTimeout(save, WAIT_MS);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.getAttribute("action") === "/logout") return sessionStorage.removeItem(PLACE);
    if (!form.closest("main")) return;
    sessionStorage.setItem(SENT, "1");
    if (!pending || form.method !== "post") return;
    event.preventDefault(); // saves the last letters first: the session may be over, and the page is about to unload
    const again = () => form.requestSubmit(event.submitter);
    save().finally(() => setTimeout(again)); // after this event, during which it would be ignored
  });
}
