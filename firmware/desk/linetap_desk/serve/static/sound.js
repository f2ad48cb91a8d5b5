// SPDX-License-Identifier: Apache-2.0
// Plays a sound once for a new fault. A browser permits sound only after a click or key press in the page: until then
// the button states that, and the first click anywhere permits it.

import { at, root, says, units } from "/static/units.js";

const KEPT = "linetap-sound";
const TONES_HZ = [880, 660];
const TONE_S = 0.18;
const LOUD = 0.2;

const button = at("sound");
const known = new Map(); // unit -> its known faults, including those at the page's loading
let wanted = localStorage.getItem(KEPT) === "on";
let audio = null;

function begin() {
  audio ??= new AudioContext();
  audio.resume().then(say, say);
}

function say() {
  const allowed = audio?.state === "running";
  button.setAttribute("aria-pressed", String(wanted));
  button.textContent = !wanted ? says.sound_off : allowed ? says.sound_on : says.sound_waits;
}

function sound() {
  if (!wanted || audio?.state !== "running") return;
  TONES_HZ.forEach((hz, n) => {
    const [tone, level] = [audio.createOscillator(), audio.createGain()];
    tone.frequency.value = hz;
    level.gain.value = LOUD;
    tone.connect(level).connect(audio.destination);
    tone.start(audio.currentTime + n * TONE_S);
    tone.stop(audio.currentTime + (n + 1) * TONE_S);
  });
  root.dataset.sounded = Number(root.dataset.sounded) + 1;
}

// Called with each change of a unit: several faults in one change cause one sound.
export function notice(unit) {
  const faults = unit.dataset.standing === "fine" ? [] : (unit.dataset.faults ?? "").split(" ").filter(Boolean);
  const before = known.get(unit.dataset.unit) ?? [];
  if (faults.some((one) => !before.includes(one)) && !unit.dataset.seen) sound();
  known.set(unit.dataset.unit, faults);
}

export function forget(name) {
  known.delete(name);
}

if (button) {
  for (const unit of units.values()) known.set(unit.dataset.unit, (unit.dataset.faults ?? "").split(" "));
  button.hidden = false;
  button.addEventListener("click", () => {
    wanted = !(wanted && audio?.state === "running");
    localStorage.setItem(KEPT, wanted ? "on" : "off");
    if (wanted) begin();
    say();
  });
  for (const kind of ["pointerdown", "keydown"]) {
    document.addEventListener(kind, (event) => wanted && event.target !== button && begin());
  }
  say();
}
