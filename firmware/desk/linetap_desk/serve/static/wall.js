// SPDX-License-Identifier: Apache-2.0
// Shows all units on one screen: worst first, filtered, counted.

import { forget as quiet, notice } from "/static/sound.js";
import { at, draw, filled, mould, only, put, root, says, units, words } from "/static/units.js";

const SAY_MS = 10_000; // least time between two summaries for a screen reader
const COUNT_MS = 200;
const standings = Object.keys(words.standings);
const form = at("filter");

// --- the order --------------------------------------------------------------------------------------------------------

// The same as `worst_first` on the server.
function before(one, other) {
  const rank = (unit) => standings.indexOf(unit.dataset.standing) * 2 + (unit.dataset.seen ? 1 : 0);
  const [mine, its] = [rank(one), rank(other)];
  return mine === its ? one.dataset.order < other.dataset.order : mine < its;
}

function place(unit) {
  const list = at(unit.dataset.standing === "fine" ? "well" : "wrong");
  if (unit.parentElement === list && isInOrder(unit)) return;
  const focused = unit.contains(document.activeElement) ? document.activeElement : null;
  unit.remove();
  list.insertBefore(unit, [...list.children].find((one) => before(unit, one)) ?? null);
  focused?.focus();
}

function isInOrder(unit) {
  const [last, next] = [unit.previousElementSibling, unit.nextElementSibling];
  return !(last && before(unit, last)) && !(next && before(next, unit));
}

// --- the stream's changes ---------------------------------------------------------------------------------------------

// Returns false for a partial change of a unit that is not on this page.
export function show(change) {
  if (change.gone) return forget(change.unit);
  let unit = units.get(change.unit);
  if (!unit) {
    if (change.order === undefined) return false;
    unit = mould("a-unit");
    const name = unit.querySelector('[data-field="name"]');
    unit.dataset.unit = name.textContent = change.unit;
    name.href = `/fleet/unit/${encodeURIComponent(change.unit)}`;
    units.set(change.unit, unit);
  }
  draw(unit, change);
  if (only) return true;
  notice(unit);
  if ("standing" in change || "seen" in change || "order" in change) place(unit);
  unit.hidden = !fits(unit);
  recount();
  return true;
}

export function forget(name) {
  const unit = units.get(name);
  if (only) put(unit, "standing", says.gone);
  else unit?.remove();
  units.delete(name);
  quiet(name);
  recount();
  return true;
}

// --- filtering and counting -------------------------------------------------------------------------------------------

function wants(standing, unit) {
  if (standing === "calls") return Number(unit.dataset.calls) > 0;
  if (standing === "wrong") return unit.dataset.standing !== "fine";
  return !standing || standing === unit.dataset.standing;
}

function fits(unit) {
  if (!wants(form.elements.standing.value, unit)) return false;
  const text = form.elements.text.value.trim().normalize().toLowerCase();
  const where = unit.querySelector(".floor").textContent;
  return !text || `${unit.dataset.unit} ${where} ${unit.dataset.find ?? ""}`.normalize().toLowerCase().includes(text);
}

function filter() {
  const standing = form.elements.standing.value;
  root.dataset.filter = standing || (form.elements.text.value.trim() ? "text" : "");
  for (const unit of units.values()) unit.hidden = !fits(unit);
  for (const link of at("counts").querySelectorAll("a")) {
    if (link.dataset.filter === standing) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  showNone();
}

function showNone() {
  at("none").hidden = units.size === 0 || [...units.values()].some((unit) => !unit.hidden);
}

let counting = 0;

function recount() {
  if (only || counting) return;
  counting = setTimeout(() => {
    counting = 0;
    const all = [...units.values()];
    for (const link of at("counts").querySelectorAll("a")) {
      link.dataset.n = all.filter((unit) => wants(link.dataset.filter, unit)).length;
      put(link, "count", link.dataset.n);
    }
    const wrong = all.filter((unit) => wants("wrong", unit)).length;
    document.title = (wrong ? `(${wrong}) ` : "") + root.dataset.title;
    at("nothing-wrong").hidden = wrong > 0 || all.length === 0;
    at("nobody").hidden = all.length > 0;
    at("sums").textContent = sums();
    showNone();
    summarise();
  }, COUNT_MS);
}

// The same as `sums` on the server.
function sums() {
  const found = new Map();
  for (const unit of at("well").children) {
    const building = unit.dataset.order.split("\t")[0].replace("\uffff", says.nowhere);
    found.set(building, (found.get(building) ?? 0) + 1);
  }
  return found.size ? `${words.standings.fine}: ${[...found].map((one) => one.join(" ")).join(", ")}` : "";
}

let saidAt = 0;
let sayLater = 0;

function summarise() {
  if (sayLater) return;
  sayLater = setTimeout(() => {
    sayLater = 0;
    saidAt = Date.now();
    const all = [...units.values()];
    const calls = all.reduce((sum, unit) => sum + Number(unit.dataset.calls), 0);
    const found = standings.map((name) => [name, all.filter((unit) => unit.dataset.standing === name).length]);
    const parts = found.filter(([, n]) => n).map(([name, n]) => `${words.standings[name]} ${n}`);
    const text = filled(says.summary, { units: all.length, parts: parts.join(", "), calls });
    if (at("summary").textContent !== text) at("summary").textContent = text;
  }, Math.max(0, saidAt + SAY_MS - Date.now()));
}

if (!only) {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  at("counts").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    form.elements.standing.value = link.dataset.filter;
    filter();
  });
  filter();
}

// --- acknowledging: the page stays, so that sound stays allowed -------------------------------------------------------

at("seen").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter;
  const data = new FormData(event.target);
  data.set("of", button.value);
  button.disabled = true;
  try {
    const headers = { "x-csrf-token": data.get("csrf"), accept: "text/plain" };
    await fetch("/fleet/seen", { method: "POST", headers, body: new URLSearchParams(data), redirect: "manual" });
  } finally {
    button.disabled = false; // the stream reports the result
  }
});
