// SPDX-License-Identifier: Apache-2.0
// Requests a passkey from the browser, and sends its answer by the form on the page.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
const text = (buffer) =>
  btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function prove(form, credentials) {
  const made = await navigator.credentials.get({ publicKey: {
    rpId: form.dataset.site, challenge: bytes(form.dataset.challenge), userVerification: "required", timeout: 240000,
    allowCredentials: credentials.map((id) => ({ type: "public-key", id: bytes(id) })),
  } });
  form.elements.credential.value = text(made.rawId);
  form.elements.authenticator.value = text(made.response.authenticatorData);
  form.elements.client.value = text(made.response.clientDataJSON);
  form.elements.signature.value = text(made.response.signature);
}

// A new passkey signs our challenge at once, so the device asks the person twice.
async function make(form) {
  const made = await navigator.credentials.create({ publicKey: {
    rp: { id: form.dataset.site, name: "linetap" },
    user: { id: crypto.getRandomValues(new Uint8Array(16)), name: form.dataset.name, displayName: form.dataset.name },
    challenge: crypto.getRandomValues(new Uint8Array(32)), pubKeyCredParams: [{ type: "public-key", alg: -7 }],
    authenticatorSelection: { userVerification: "required", residentKey: "preferred" }, timeout: 240000,
  } });
  form.elements.point.value = text(made.response.getPublicKey().slice(-65)); // a P-256 key ends with 0x04, x, y
  await prove(form, [text(made.rawId)]);
}

const form = document.getElementById("passkey");
form?.addEventListener("submit", async (event) => {
  if (form.elements.signature.value) return;
  event.preventDefault();
  const button = form.querySelector("button"), failed = document.getElementById("failed");
  button.disabled = true;
  failed.hidden = true;
  try {
    if (form.dataset.credentials === undefined) await make(form);
    else await prove(form, form.dataset.credentials.split(" ").filter(Boolean));
    form.submit();
  } catch {
    failed.hidden = false;
    button.disabled = false;
  }
});

// Reads the code in a one-time link's fragment, which is sent to no server, and removes it from the history.
const first = document.getElementById("first");
if (first && location.hash.length > 1) {
  const [name, code] = decodeURIComponent(location.hash.slice(1)).split("/");
  history.replaceState(null, "", location.pathname);
  first.elements.name.value = name;
  first.elements.code.value = code ?? "";
}
