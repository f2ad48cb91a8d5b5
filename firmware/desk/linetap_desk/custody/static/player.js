// SPDX-License-Identifier: Apache-2.0
// Plays the helper's 16-bit PCM, scheduled block by block as it arrives. No media element, which might store a copy.
// The helper changes the speed, so that a voice keeps its pitch.
const RATE = 8000;
const LEAD_S = 0.05; // between the arrival of a block and its sound
const AHEAD_S = 10; // fetched ahead
const STEP_S = 5;
const STRIP = 8; // pixels of the canvas for the colour of the content, above the loudest voice

const player = document.getElementById("player");
const [wave, at, clock, wall, toggle, speed, said] = ["wave", "at", "clock", "wall", "toggle", "speed", "said"].map(
  (id) => document.getElementById(id),
);
const masked = document.getElementById("masked"); // only for a citizen's copy
const texts = player.dataset;
const shape = await (await fetch(`${texts.sound}.json`, { cache: "no-store" })).json();
const length = shape.samples / RATE;
const wallClock = new Intl.DateTimeFormat(document.documentElement.lang, {
  timeZone: shape.zone, dateStyle: "medium", timeStyle: "long",
});
let context = null;
let run = null; // the current playback
let stopped = 0; // position in seconds while nothing plays

function position() {
  if (run === null) return stopped;
  if (run.began === null) return run.from;
  const heard = Math.max(0, context.currentTime - run.began) * run.speed;
  return Math.min(length, run.from + heard);
}

function minutes(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function tell(text) {
  said.textContent = text.replace("{at}", minutes(position()));
}

function play() {
  if (run !== null) return;
  context ??= new AudioContext({ sampleRate: RATE });
  context.resume();
  const from = stopped >= length - 0.05 ? 0 : stopped;
  run = { from, speed: Number(speed.value), began: null, next: 0, whole: false, sources: new Set(), abort: new AbortController() };
  const own = run;
  feed(own).catch(() => {
    if (run !== own) return;
    pause();
    said.textContent = texts.broken;
  });
  shown();
  tell(texts.playing);
}

function pause() {
  if (run === null) return;
  stopped = position();
  run.abort.abort();
  for (const source of run.sources) source.stop();
  run = null;
  shown();
}

async function feed(own) {
  const query = `from=${Math.floor(own.from * RATE)}&speed=${own.speed}&masked=${masked?.checked ? 1 : 0}`;
  const answer = await fetch(`${texts.sound}?${query}`, { signal: own.abort.signal, cache: "no-store" });
  if (!answer.ok) throw new Error(answer.status);
  const reader = answer.body.getReader();
  let odd = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (run !== own) return;
    if (done) break;
    const bytes = new Uint8Array(odd.length + value.length);
    bytes.set(odd);
    bytes.set(value, odd.length);
    const even = bytes.length - (bytes.length % 2);
    odd = bytes.slice(even);
    if (even) schedule(own, new Int16Array(bytes.buffer, 0, even / 2));
    while (run === own && own.next - context.currentTime > AHEAD_S) await new Promise((go) => setTimeout(go, 500));
  }
  own.whole = true;
}

function schedule(own, samples) {
  const earliest = Math.ceil((context.currentTime + LEAD_S) * RATE) / RATE;
  if (own.began === null) own.began = own.next = earliest;
  if (own.next < context.currentTime) {
    own.began += earliest - own.next; // a late block delays the following ones by as much
    own.next = earliest;
  }
  const buffer = context.createBuffer(1, samples.length, RATE);
  buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.start(own.next);
  own.next += samples.length / RATE;
  own.sources.add(source);
  source.onended = () => own.sources.delete(source);
}

function seek(to) {
  const playing = run !== null;
  pause();
  stopped = Math.min(length, Math.max(0, to));
  if (playing) play();
  shown();
}

function faster(steps) {
  speed.selectedIndex = Math.min(speed.options.length - 1, Math.max(0, speed.selectedIndex + steps));
  speed.dispatchEvent(new Event("change"));
}

function shown() {
  const now = position();
  const of = minutes(length);
  toggle.textContent = run === null ? texts.play : texts.pause;
  at.value = now;
  clock.textContent = `${minutes(now)} / ${of}`;
  const moment = new Date(shape.began_ms + now * 1000);
  wall.dateTime = moment.toISOString();
  wall.textContent = wallClock.format(moment);
  at.setAttribute("aria-valuetext", `${texts.of.replace("{at}", minutes(now)).replace("{length}", of)}, ${wall.textContent}`);
  draw(now);
}

function draw(now) {
  const style = getComputedStyle(player);
  const colour = (name) => style.getPropertyValue(name);
  const [before, after] = [colour("--primary"), colour("--border")];
  const paint = wave.getContext("2d");
  const { width, height } = wave;
  const x = (seconds) => (length ? (seconds / length) * width : 0);
  paint.clearRect(0, 0, width, height);
  for (const one of shape.moments.filter((each) => each.kind !== "mark")) {
    paint.fillStyle = colour(one.kind === "notice" ? "--success" : "--warning");
    const [left, wide] = [x(one.from), Math.max(2, x(one.to - one.from))];
    paint.globalAlpha = 0.25;
    paint.fillRect(left, 0, wide, height);
    paint.globalAlpha = 1;
    paint.fillRect(left, 0, wide, STRIP);
  }
  shape.peaks.forEach((peak, column) => {
    const left = (column / shape.peaks.length) * width;
    paint.fillStyle = left < x(now) ? before : after;
    const tall = Math.max(1, (peak / 127) * (height - 3 * STRIP));
    paint.fillRect(left, (height - tall) / 2, Math.max(1, width / shape.peaks.length), tall);
  });
  paint.fillStyle = colour("--danger");
  for (const one of shape.moments.filter((each) => each.kind === "mark")) {
    paint.fillRect(x(one.from) - 1, 0, 3, height);
  }
  paint.fillStyle = colour("--text");
  paint.fillRect(Math.min(width - 2, x(now)), 0, 2, height);
}

function tick() {
  if (run !== null) {
    shown();
    if (run.whole && context.currentTime >= run.next) {
      pause();
      seek(length);
      tell(texts.paused);
    }
  }
  requestAnimationFrame(tick);
}

function turn() {
  if (run === null) {
    play();
  } else {
    pause();
    tell(texts.paused);
  }
}

// Only while the player has the focus: elsewhere keys have other meanings (WCAG 2.1.4).
player.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const own = event.target === player || event.target === at;
  const button = event.target === toggle;
  if (event.key === " " && own) turn();
  else if (event.key === "ArrowLeft" && (own || button)) seek(position() - STEP_S);
  else if (event.key === "ArrowRight" && (own || button)) seek(position() + STEP_S);
  else if (event.key === "ArrowUp" && (own || button)) faster(1);
  else if (event.key === "ArrowDown" && (own || button)) faster(-1);
  else if (/^[0-9]$/.test(event.key) && (own || button)) seek((length * Number(event.key)) / 10);
  else return;
  event.preventDefault();
});
toggle.addEventListener("click", turn);
at.addEventListener("input", () => seek(Number(at.value)));
speed.addEventListener("change", () => seek(position()));
document.querySelectorAll("[data-at]").forEach((button) => {
  button.addEventListener("click", () => {
    seek(Number(button.dataset.at));
    player.focus();
  });
});
document.addEventListener("gone", pause);
shown();
player.focus();
requestAnimationFrame(tick);
