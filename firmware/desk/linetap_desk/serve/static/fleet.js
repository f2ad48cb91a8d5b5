// SPDX-License-Identifier: Apache-2.0
// Keeps a page of units up to date: the server renders the first state, the stream sends changes. Text is inserted as
// text, so nothing that a unit reports becomes markup. While the page is hidden or paused it reads nothing; when it
// returns it names the last change it has, and gets the changes since, or one snapshot.

const SILENT_MS = 12_000; // a little more than two beats of the desk
const LOOK_MS = 1_000;
const SAY_MS = 10_000; // a screen reader reads the summary: at most this often

const root = document.getElementById("fleet");
const words = JSON.parse(root.dataset.words);
const says = words.says;
const away = new Set(root.dataset.away.split(" "));
const only = root.dataset.only;
const clock = new Intl.DateTimeFormat("sv-SE", { timeZone: root.dataset.zone, dateStyle: "short", timeStyle: "medium" });
const at = (id) => document.getElementById(id);

const units = new Map(); // name -> its element
for (const one of root.querySelectorAll(".unit[data-unit]")) units.set(one.dataset.unit, one);

// --- small things ---------------------------------------------------------------------------------------------------

function moment(text) {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : clock.format(ms);
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function put(inside, field, text) {
  const found = inside.querySelector(`[data-field="${field}"]`);
  if (found && found.textContent !== text) found.textContent = text;
}

function mould(id) {
  return at(id).content.firstElementChild.cloneNode(true);
}

// --- one unit -------------------------------------------------------------------------------------------------------

function showLine(unit, list, number, line) {
  let item = [...list.children].find((one) => one.dataset.line === number);
  if (line === null) return item?.remove();
  if (!item) {
    item = mould("a-line");
    item.dataset.line = number;
    put(item, "number", filled(says.line, { n: number }));
    list.insertBefore(item, [...list.children].find((one) => Number(one.dataset.line) > Number(number)) ?? null);
  }
  const state = words.states[line.state];
  item.dataset.state = line.state;
  item.querySelector(".sign").textContent = state.sign;
  put(item, "state", state.word);
  const time = item.querySelector("time");
  time.textContent = moment(line.since);
  time.dateTime = line.since;
  item.querySelector("a")?.remove();
  if (line.call) {
    const link = document.createElement("a");
    link.href = `/calls/${unit.dataset.unit}/${encodeURIComponent(line.call)}`;
    link.textContent = says.call;
    item.querySelector(".what").append(link);
  }
}

function showAlerts(list, alerts) {
  list.replaceChildren(
    ...alerts.map((alert) => {
      const item = mould("an-alert");
      item.dataset.severity = alert.severity;
      item.querySelector("strong").textContent = alert.text;
      item.querySelector("span").textContent = alert.action;
      const time = item.querySelector("time");
      time.textContent = moment(alert.since);
      time.dateTime = alert.since;
      return item;
    }),
  );
}

function showLeds(unit) {
  const unknown = away.has(unit.dataset.standing);
  const condition = words.conditions[unit.dataset.condition];
  const patterns = { run: condition.run, call: words.activities[unit.dataset.activity].call, fault: condition.fault };
  for (const led of unit.querySelectorAll("[data-led]")) {
    led.dataset.pattern = unknown ? "" : patterns[led.dataset.led];
    put(led, "pattern", words.patterns[led.dataset.pattern] ?? "");
  }
  put(unit, "says", unknown ? says.unknown : condition.says);
}

const SHOW = {
  standing(unit, value) {
    unit.dataset.standing = value;
    put(unit, "standing", words.standings[value]);
  },
  heard: (unit, value) => put(unit, "heard", value ? filled(says.heard, { when: moment(value) }) : ""),
  days: (unit, value) => put(unit, "days", value === null ? "" : filled(says.days, { n: value })),
  floor: (unit, value) => put(unit, "floor", value ? filled(says.floor, { n: value }) : ""),
  version: (unit, value) => put(unit, "version", value),
  since: (unit, value) => put(unit, "since", moment(value)),
  more: (unit, value) => put(unit, "more", value ? filled(says.more, { n: value }) : ""),
  calls: (unit, value) => (unit.dataset.calls = value),
  condition: (unit, value) => (unit.dataset.condition = value),
  activity: (unit, value) => (unit.dataset.activity = value),
  alerts: (unit, value) => showAlerts(unit.querySelector('[data-field="alerts"]'), value),
  lines(unit, value) {
    const list = unit.querySelector('[data-field="lines"]');
    for (const [number, line] of Object.entries(value)) showLine(unit, list, number, line);
  },
};

function show(change) {
  let unit = units.get(change.unit);
  if (change.gone) return forget(change.unit);
  if (!unit) {
    if (change.building === undefined) return begin(""); // a part of a unit that this page does not have
    unit = made(change);
  }
  for (const [field, value] of Object.entries(change)) SHOW[field]?.(unit, value);
  if ("condition" in change || "activity" in change || "standing" in change) showLeds(unit);
  unit.hidden = !fits(unit);
}

function made(change) {
  const unit = mould("a-unit");
  const name = unit.querySelector('[data-field="name"]');
  unit.dataset.unit = name.textContent = change.unit;
  name.href = `/fleet/unit/${encodeURIComponent(change.unit)}`;
  let building = [...root.querySelectorAll(".building")].find((one) => one.dataset.building === change.building);
  if (!building) {
    building = mould("a-building");
    building.dataset.building = change.building;
    building.querySelector("h2").textContent = change.building || says.nowhere;
    at("buildings").append(building);
  }
  building.querySelector(".units").append(unit);
  units.set(change.unit, unit);
  return unit;
}

function forget(name) {
  const unit = units.get(name);
  if (only) return put(unit, "standing", says.gone);
  unit?.remove();
  units.delete(name);
}

// --- filtering and counting ----------------------------------------------------------------------------------------

const form = at("filter");

function fits(unit) {
  if (!form) return true;
  const standing = form.elements.standing.value;
  const wanted = standing === "calls" ? Number(unit.dataset.calls) > 0 : !standing || standing === unit.dataset.standing;
  if (!wanted) return false;
  const text = form.elements.text.value.trim().toLowerCase();
  if (!text) return true;
  const alerts = [...unit.querySelectorAll(".alerts strong")].map((one) => one.textContent);
  const floor = unit.querySelector(".floor").textContent;
  return [unit.dataset.unit, unit.closest(".building").dataset.building, floor, ...alerts].join(" ").toLowerCase().includes(text);
}

function filter() {
  for (const unit of units.values()) unit.hidden = !fits(unit);
  tidy();
}

function tidy() {
  for (const building of root.querySelectorAll(".building")) building.hidden = !building.querySelector(".unit:not([hidden])");
  if (at("nobody")) at("nobody").hidden = units.size > 0;
}

let saidAt = 0;
let sayLater = 0;

function summarise() {
  if (only || sayLater) return;
  sayLater = setTimeout(() => {
    sayLater = 0;
    saidAt = Date.now();
    const found = {};
    let calls = 0;
    for (const unit of units.values()) {
      found[unit.dataset.standing] = (found[unit.dataset.standing] ?? 0) + 1;
      calls += Number(unit.dataset.calls);
    }
    const parts = Object.keys(words.standings).filter((name) => found[name]).map((name) => `${words.standings[name]} ${found[name]}`);
    const text = filled(says.summary, { units: units.size, parts: parts.join(", "), calls });
    if (at("summary").textContent !== text) at("summary").textContent = text;
    tidy();
  }, Math.max(0, saidAt + SAY_MS - Date.now()));
}

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
}

function showOwn(name, since) {
  at("own").hidden = !name;
  at("own").textContent = name ? filled(says[name], { since: moment(new Date(since).toISOString()) }) : "";
}

// --- the stream -----------------------------------------------------------------------------------------------------

let stream = null;
let last = root.dataset.id; // the last change this page has
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
    show(JSON.parse(event.data));
    summarise();
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
    summarise();
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
  heardAt = Date.now(); // the page itself was silent: `look` would take it for a lost connection, and ask twice
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

if (form) {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  filter();
}
setInterval(look, LOOK_MS);
begin(last);
