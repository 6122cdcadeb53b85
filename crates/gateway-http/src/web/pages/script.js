// Spares reloading: what is marked data-live is fetched again when something has happened, a log goes on
// by itself, and buttons are pressed without leaving the page. Without it everything works by reloading.
"use strict";

const live = document.getElementById("live");
const message = document.getElementById("message");
let drawn = performance.now();

function say(text) {
  if (live && live.textContent !== text) live.textContent = text;
}

// A time in its two greatest units, as the server writes it.
function span(seconds) {
  const units = [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]];
  for (const [size, unit, next, smaller] of units) {
    if (seconds < size) continue;
    const rest = Math.floor((seconds % size) / next);
    return Math.floor(seconds / size) + unit + (rest ? " " + rest + smaller : "");
  }
  return seconds + "s";
}

function age() {
  const since = Math.floor((performance.now() - drawn) / 1000);
  if (since < 1 || document.hidden) return;
  for (const element of document.querySelectorAll("[data-up]")) {
    element.textContent = span(Number(element.dataset.up) + since);
  }
}

const sources = new WeakMap();

// What an element is, but for the times that go on by themselves.
function source(element) {
  return element.outerHTML.replace(/ data-up="\d+">[^<]*/g, ">");
}

function isKeyed(element) {
  return element.children.length > 0 && [...element.children].every((child) => child.id);
}

// Puts what is new in the place of what was. What has not changed stays.
function swap(old, now) {
  if (!isKeyed(now)) {
    const [left, top] = [old.scrollLeft, old.scrollTop];
    old.replaceChildren(...now.childNodes);
    [old.scrollLeft, old.scrollTop] = [left, top];
    return;
  }
  const kept = new Map([...old.children].map((child) => [child.id, child]));
  old.replaceChildren(...[...now.children].map((child) => {
    const same = kept.get(child.id);
    const text = source(child);
    if (!same || sources.get(same) !== text) {
      sources.set(child, text);
      return child;
    }
    const times = child.querySelectorAll("[data-up]");
    same.querySelectorAll("[data-up]").forEach((time, place) => {
      time.dataset.up = times[place].dataset.up;
    });
    return same;
  }));
}

// Puts a page in the place of this one; who goes by keyboard stays where they are.
function put(text, alsoMessage) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const focused = document.activeElement && document.activeElement.id;
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = page.getElementById(old.id);
    if (now) swap(old, now);
  }
  drawn = performance.now();
  if (alsoMessage) {
    const said = page.getElementById("message");
    message.replaceChildren(...(said ? said.childNodes : []));
  }
  const again = focused && document.getElementById(focused);
  if (again && again !== document.activeElement) again.focus({ preventScroll: true });
}

let waiting = false;
let missed = false;
let took = 0;

// However much happens, the page is fetched at most once in a while: the longer it takes, the rarer.
function later() {
  missed = waiting;
  if (waiting || document.hidden || !document.querySelector("[data-live]")) return;
  waiting = true;
  setTimeout(async () => {
    const begun = performance.now();
    missed = false;
    try {
      const answer = await fetch(address(), { cache: "no-store" });
      const text = await answer.text();
      // A button that is just being pressed must not be taken away.
      while (document.querySelector("button:active, a:active")) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      if (answer.ok) put(text, false);
    } catch {
      say("not connected");
    }
    took = performance.now() - begun;
    waiting = false;
    if (missed) later();
  }, Math.max(150, took * 5));
}

// This page without what has been said on it.
function address() {
  const here = new URL(location.href);
  here.searchParams.delete("said");
  here.searchParams.delete("action");
  return here;
}

function listen() {
  const stream = new EventSource("events");
  stream.onopen = () => { say("live"); later(); };
  stream.onerror = () => say("not connected");
  for (const kind of ["event", "state", "goal", "failed", "job", "program", "restarted"]) {
    stream.addEventListener(kind, later);
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  const button = event.submitter;
  const body = new URLSearchParams(new FormData(form, button));
  if (button) button.disabled = true;
  try {
    // Not `form.action`, which is the button of that name.
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body });
    put(await answer.text(), true);
  } catch {
    say("not connected");
  }
  if (button) button.disabled = false;
});

// A log as it grows.
async function follow(log) {
  let from = log.dataset.from;
  const decoder = new TextDecoder();
  for (;;) {
    try {
      const answer = await fetch(log.dataset.follow + "?from=" + from, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      say("live");
      const reader = answer.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        from = Number(from) + value.length;
        add(log, decoder.decode(value, { stream: true }));
      }
    } catch {
      say("not connected");
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

const LOG_MAX = 1 << 20;

function add(log, text) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  document.getElementById("empty")?.remove();
  log.append(text);
  if (log.textContent.length > 2 * LOG_MAX) log.textContent = log.textContent.slice(-LOG_MAX);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

const log = document.querySelector("[data-follow]");
if (log) {
  log.scrollTop = log.scrollHeight;
  follow(log);
} else if (document.querySelector("[data-live]")) {
  for (const element of document.querySelectorAll("[data-live]")) {
    if (isKeyed(element)) [...element.children].forEach((child) => sources.set(child, source(child)));
  }
  setInterval(age, 1000);
  document.addEventListener("visibilitychange", later);
  listen();
}
