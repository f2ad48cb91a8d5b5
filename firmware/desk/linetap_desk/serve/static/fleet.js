// SPDX-License-Identifier: Apache-2.0
// Keeps a page of units up to date: the server renders the first state, the stream sends changes. A hidden or paused
// page reads nothing; afterwards it sends the number of its last change, and gets the changes since, or a snapshot.

import { at, filled, moment, only, root, says, shortly, units } from "/static/units.js";
import { forget, show } from "/static/wall.js";

const SILENT_MS = 12_000; // a little more than two beats of the desk
const LOOK_MS = 1_000;

// --- staleness -----------------------------------------------------------------------------------------------------

function showDesk(desk) {
  const text = says[desk.link === "away" ? "stale" : desk.link];
  at("desk").textContent = filled(text, { since: moment(desk.since), why: desk.why });
  at("desk").className = `note ${desk.link === "live" ? "success" : "danger"}`;
  const parts = [];
  if (desk.not_shown) parts.push(filled(says.not_shown, { n: desk.not_shown }));
  if (desk.bad) parts.push(filled(says.bad, { n: desk.bad }));
  at("not-shown").textContent = parts.join(" ");
  at("not-shown").hidden = parts.length === 0;
  if (!at("note")) return;
  at("note").hidden = !desk.note;
  if (desk.note) at("note").textContent = filled(says.note, { ...desk.note, when: shortly(desk.note.at) });
}

function showOwn(name, since) {
  at("own").hidden = !name;
  at("own").textContent = name ? filled(says[name], { since: moment(new Date(since).toISOString()) }) : "";
}

// --- the stream -----------------------------------------------------------------------------------------------------

let stream = null;
let last = root.dataset.id; // number of this page's last change
let heardAt = Date.now();
let paused = false;
let over = false;
let triedAt = 0;

function heard(event) {
  heardAt = Date.now();
  if (event.lastEventId) last = event.lastEventId;
  showOwn("");
}

function end() {
  stream?.close();
  stream = null;
}

function begin(after) {
  end();
  if (paused || over || document.visibilityState === "hidden") return;
  const query = new URLSearchParams({ after });
  if (only) query.set("unit", only);
  stream = new EventSource(`/fleet/events?${query}`);
  stream.addEventListener("beat", heard);
  stream.addEventListener("unit", (event) => {
    heard(event);
    if (!show(JSON.parse(event.data))) begin("");
  });
  stream.addEventListener("desk", (event) => {
    heard(event);
    showDesk(JSON.parse(event.data).desk);
  });
  stream.addEventListener("snapshot", (event) => {
    heard(event);
    const all = JSON.parse(event.data);
    showDesk(all.desk);
    const there = new Set(all.units.map((unit) => unit.unit));
    for (const name of [...units.keys()]) if (!there.has(name)) forget(name);
    for (const unit of all.units) {
      const list = units.get(unit.unit)?.querySelector('[data-field="lines"]');
      for (const item of [...(list?.children ?? [])]) if (!(item.dataset.line in unit.lines)) item.remove();
      show(unit);
    }
  });
  stream.addEventListener("over", finish);
  stream.addEventListener("error", () => {
    if (stream?.readyState === EventSource.CLOSED) end(); // refused: retried after the silence limit
    if (!over) showOwn("lost", heardAt);
  });
}

function finish() {
  over = true;
  end();
  showOwn("over", Date.now());
}

function look() {
  if (paused || over || document.visibilityState === "hidden" || Date.now() - heardAt < SILENT_MS) return;
  showOwn("lost", heardAt);
  if (Date.now() - triedAt < SILENT_MS) return;
  triedAt = Date.now();
  begin(last);
}

function comeBack() {
  heardAt = Date.now(); // the page itself was paused: otherwise `look` would see a lost connection, and reconnect twice
  begin(last);
}

document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? end() : comeBack()));
window.addEventListener("pageshow", (event) => event.persisted && comeBack());

const pause = at("pause");
pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? says.resume : says.pause;
  if (paused) {
    end();
    showOwn("paused", Date.now());
  } else {
    showOwn("");
    comeBack();
  }
});

setInterval(look, LOOK_MS);
begin(last);
