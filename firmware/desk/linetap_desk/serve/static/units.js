// SPDX-License-Identifier: Apache-2.0
// Shows one unit on a page: puts the stream's values into its element as text, so that no report of a unit becomes
// markup. wall.js determines its position, fleet.js reads the stream.

export const root = document.getElementById("fleet");
export const words = JSON.parse(document.getElementById("words").textContent);
export const says = words.says;
export const only = root.dataset.only;
const away = new Set(root.dataset.away.split(" "));
const clock = new Intl.DateTimeFormat("sv-SE", { timeZone: root.dataset.zone, dateStyle: "short", timeStyle: "medium" });
export const at = (id) => document.getElementById(id);

export const units = new Map(); // name -> its element
for (const one of root.querySelectorAll(".unit[data-unit]")) units.set(one.dataset.unit, one);

// --- moments and texts ------------------------------------------------------------------------------------------------

export function moment(text) {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : clock.format(ms);
}

// The same as `short_moment` on the server.
export function shortly(text) {
  const whole = moment(text);
  if (whole === text) return text;
  return whole.slice(0, 10) === clock.format(Date.now()).slice(0, 10) ? whole.slice(11, 16) : whole.slice(5, 16);
}

// The same as `length` on the server.
function lasted(ms) {
  const [m, h, d] = [60_000, 3_600_000, 86_400_000].map((one) => Math.floor(ms / one));
  if (m < 1) return says.seconds;
  if (h < 1) return filled(says.minutes, { m });
  return d < 1 ? filled(says.hours, { h, m: m % 60 }) : filled(says.long_days, { d, h: h % 24 });
}

// The same as `since` on the server.
function since(text) {
  if (!text) return says.began_unknown;
  const ms = Date.now() - Date.parse(text);
  return filled(says.began, { when: shortly(text), long: ms >= 0 ? lasted(ms) : "?" });
}

export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function put(inside, field, text) {
  const found = inside.querySelector(`[data-field="${field}"]`);
  if (found && found.textContent !== text) found.textContent = text;
}

export function mould(id) {
  return at(id).content.firstElementChild.cloneNode(true);
}

// --- one unit -------------------------------------------------------------------------------------------------------

function showLine(unit, list, number, line) {
  let item = [...list.children].find((one) => one.dataset.line === number);
  if (line === null) return item?.remove();
  if (!item) {
    item = mould("a-line");
    item.dataset.line = number;
    list.insertBefore(item, [...list.children].find((one) => Number(one.dataset.line) > Number(number)) ?? null);
  } else if (!item.querySelector(".sign")) item.replaceChildren(...mould("a-line").childNodes); // a free line shows a number
  const state = words.states[line.state];
  item.dataset.state = line.state;
  item.dataset.since = line.since;
  item.querySelector(".sign").textContent = !only && line.state === "idle" ? "" : state.sign;
  put(item, "number", only ? filled(says.line, { n: number }) : number);
  put(item, "state", state.word);
  const time = item.querySelector("time");
  if (!time) return;
  time.textContent = moment(line.since);
  time.dateTime = line.since;
  put(item, "release", words.releases[line.release] ?? "");
  item.querySelector("a")?.remove();
  if (line.call) {
    const link = document.createElement("a");
    link.href = `/calls/${unit.dataset.unit}/${encodeURIComponent(line.call)}`;
    link.textContent = says.call;
    item.querySelector('[data-field="release"]').before(link);
  }
}

function showAlerts(unit, alerts) {
  unit.dataset.find = alerts.map((alert) => alert.text).join(" ");
  const list = unit.querySelector('[data-field="alerts"]');
  list?.replaceChildren(
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
  if (!only) return;
  const unknown = away.has(unit.dataset.standing);
  const condition = words.conditions[unit.dataset.condition];
  const patterns = { run: condition.run, call: words.activities[unit.dataset.activity].call, fault: condition.fault };
  for (const led of unit.querySelectorAll("[data-led]")) {
    led.dataset.pattern = unknown ? "" : patterns[led.dataset.led];
    put(led, "pattern", words.patterns[led.dataset.pattern] ?? "");
  }
  put(unit, "shows", unknown ? says.unknown : condition.says);
}

// On the page of all units only those with faults show the reason.
function showWhy(unit) {
  const why = unit.querySelector(".why");
  if (only) return;
  if (unit.dataset.standing === "fine") why?.remove();
  else if (!why) unit.insertBefore(mould("a-why"), unit.querySelector('[data-field="lines"]'));
}

function button(unit) {
  return unit.querySelector("button[name=of]") ?? {}; // a well unit has none
}

const SHOW = {
  standing(unit, value) {
    unit.dataset.standing = value;
    showWhy(unit);
    put(unit, "standing", words.standings[value]);
  },
  heard(unit, value) {
    const none = unit.dataset.standing === "offline" ? says.unheard : "";
    put(unit, "heard", value ? filled(says.heard, { when: shortly(value) }) : none);
  },
  began(unit, value) {
    const found = unit.querySelector('[data-field="began"]');
    if (found) found.dataset.at = value;
  },
  cause(unit, value) {
    put(unit, "says", value?.says ?? "");
    put(unit, "cure", value?.cure ?? "");
    put(unit, "contact", value ? value.contact || says.nobody : "");
    button(unit).textContent = value?.group ? says.acknowledge_all : says.acknowledge;
  },
  seen(unit, value) {
    unit.dataset.seen = value ? "yes" : "";
    button(unit).hidden = Boolean(value) || !unit.dataset.faults;
    put(unit, "seen", value ? filled(says.seen, { by: value.by, when: shortly(value.at) }) : "");
  },
  faults(unit, value) {
    unit.dataset.faults = value;
    button(unit).value = `${unit.dataset.unit} ${value}`;
    button(unit).hidden = !value;
  },
  order: (unit, value) => (unit.dataset.order = value),
  days: (unit, value) => put(unit, "days", value === null ? "" : filled(says.days, { n: value })),
  building: (unit, value) => put(unit, "building", value),
  floor: (unit, value) => put(unit, "floor", value ? filled(says.floor, { n: value }) : ""),
  version: (unit, value) => put(unit, "version", value),
  since: (unit, value) => put(unit, "since", moment(value)),
  more: (unit, value, change) =>
    put(unit, "more", change.alerts.length > 1 ? filled(says.more, { n: change.alerts.length - 1 + value }) : ""),
  calls: (unit, value) => (unit.dataset.calls = value),
  condition: (unit, value) => (unit.dataset.condition = value),
  activity: (unit, value) => (unit.dataset.activity = value),
  alerts: showAlerts,
  lines(unit, value) {
    const list = unit.querySelector('[data-field="lines"]');
    for (const [number, line] of Object.entries(value)) showLine(unit, list, number, line);
  },
};

export function draw(unit, change) {
  for (const [field, value] of Object.entries(change)) SHOW[field]?.(unit, value, change);
  if ("condition" in change || "activity" in change || "standing" in change) showLeds(unit);
  showSince(unit);
}

function showSince(unit) {
  const found = unit.querySelector('[data-field="began"]');
  if (found) put(unit, "began", unit.dataset.standing === "fine" ? "" : since(found.dataset.at));
}

// How long a fault has lasted.
const MINUTE_MS = 60_000;
setInterval(() => {
  for (const unit of units.values()) if (unit.dataset.standing !== "fine") showSince(unit);
}, MINUTE_MS);
