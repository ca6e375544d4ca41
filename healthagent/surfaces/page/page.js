"use strict";
// Keeps the page as it would be if it were loaded now: it is fetched again soon after each event and
// every few seconds, and only what differs is changed. So a selection, the focus and what somebody
// has unfolded stay.

const EVERY = 5000; // ms: ages grow, and an event may have been missed
const SELDOM = 30000; // ms: of a hidden page the title is seen
const SOON = 250; // ms: events come in bursts
const WITHIN = 8000; // ms for an answer
const EASE = 10; // times what the last answer took, before the next question

const script = document.currentScript.textContent;
const icon = document.getElementById("icon");
const lost = document.getElementById("lost");
let events = null;
let timer = 0;
let due = 0;
let eased = 0;
let asking = false;
let again = false;
let heard = new Date();

/** Ask in so many milliseconds, or later where the answers take long. */
function plan(delay) {
  const now = performance.now();
  const at = Math.max(now + delay, eased);
  if (asking) again = true; // what happens while an answer is under way may not be in it
  if (asking || (timer && due <= at)) return;
  clearTimeout(timer);
  timer = setTimeout(refresh, at - now);
  due = at;
}

async function refresh() {
  timer = 0;
  asking = true;
  again = false;
  const begun = performance.now();
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html" },
      cache: "no-store",
      signal: AbortSignal.timeout(WITHIN),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    heard = new Date();
    lost.hidden = true;
    if (events?.readyState === EventSource.CLOSED) follow(); // it was refused
    const now = performance.now();
    eased = now + EASE * (now - begun);
  } catch {
    const told =
      `The agent has not answered since ${clock(heard)}. What stands here is of then; ` +
      "replicas and traffic go on without it.";
    if (lost.textContent !== told) lost.textContent = told; // else it would be read aloud again
    lost.hidden = false;
    document.title = "? - healthagent";
    icon.href = icon.href.replace(/%23\w{6}/, "%23888888");
  } finally {
    asking = false;
    plan(again ? SOON : document.hidden ? SELDOM : EVERY);
  }
}

function show(page) {
  if (!page.getElementById("icon")) throw new Error("another page, such as a proxy's");
  if (page.querySelector("script").textContent !== script) return location.reload(); // it is newer
  localise(page);
  document.title = page.title;
  become(icon, page.getElementById("icon"));
  become(document.querySelector("main"), page.querySelector("main"));
}

/** Let an element become like another, by as few changes as may be. No attribute is taken away: the
 * agent always writes the same ones, and "open" is the reader's. */
function become(old, wanted) {
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const kept = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  const ids = new Set([...wanted.children].map((child) => child.id).filter(Boolean));
  let place = old.firstChild;
  const drop = () => {
    const next = place.nextSibling;
    place.remove();
    place = next;
  };
  for (const child of [...wanted.childNodes]) {
    const same = child.id ? kept.get(child.id) : place && isAlike(place, child) ? place : null;
    if (!same) {
      old.insertBefore(document.importNode(child, true), place);
      continue;
    }
    // What goes makes room, so that what stays need not move: it would lose the focus.
    while (place && place !== same && !ids.has(place.id)) drop();
    if (same === place) place = place.nextSibling;
    else old.insertBefore(same, place);
    if (child.nodeType === Node.ELEMENT_NODE) become(same, child);
    else if (same.nodeValue !== child.nodeValue) same.nodeValue = child.nodeValue;
  }
  while (place) drop();
}

function isAlike(one, other) {
  return one.nodeName === other.nodeName && !one.id && !other.id;
}

/** Times of day in the reader's own zone. */
function localise(page) {
  for (const time of page.querySelectorAll("time.clock")) {
    const instant = new Date(time.dateTime);
    time.textContent = clock(instant);
    time.title = instant.toLocaleString();
  }
}

/** The time of day, with the date where that is not today. */
function clock(instant) {
  const today = instant.toDateString() === new Date().toDateString();
  const date = today ? {} : { dateStyle: "medium" };
  return instant.toLocaleString([], { ...date, timeStyle: "medium", hourCycle: "h23" });
}

/** A hidden page follows nothing: a browser has few connections for one host. */
function follow() {
  events?.close();
  events = null;
  if (document.hidden) return;
  const opened = (events = new EventSource("events"));
  for (const kind of ["transition", "act"]) opened.addEventListener(kind, () => plan(SOON));
  // A stream that is cut is news too; of one that was refused the next answer may tell more.
  opened.addEventListener("error", () => opened.readyState !== EventSource.CLOSED && plan(SOON));
}

localise(document);
document.addEventListener("visibilitychange", () => {
  follow();
  if (!document.hidden) plan(0);
});
follow();
plan(EVERY);
