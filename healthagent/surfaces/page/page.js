"use strict";
// Keeps the page as it would be if it were loaded now: it is fetched again soon after each event and
// every few seconds, and only what differs is changed. So a selection, the focus and what somebody
// has unfolded stay.

const EVERY = 5000; // ms: ages grow, and an event may have been missed
const SOON = 250; // ms: events come in bursts
const WITHIN = 8000; // ms for an answer

const lost = document.getElementById("lost");
let events = null;
let timer = 0;
let due = 0;
let asking = false;
let again = false;
let heard = new Date();

/** Ask within so many milliseconds. */
function plan(delay) {
  const at = performance.now() + delay;
  if (asking) again = true; // what happens while an answer is under way may not be in it
  if (asking || (timer && due <= at)) return;
  clearTimeout(timer);
  timer = setTimeout(refresh, delay);
  due = at;
}

async function refresh() {
  timer = 0;
  asking = true;
  again = false;
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
  } catch {
    lost.textContent =
      `The agent has not answered since ${clock(heard)}. What stands here is of then; ` +
      "replicas and traffic go on without it.";
    lost.hidden = false;
  } finally {
    asking = false;
    if (!document.hidden) plan(again ? SOON : EVERY);
  }
}

function show(page) {
  localise(page);
  document.title = page.title;
  become(document.getElementById("icon"), page.getElementById("icon"));
  become(document.querySelector("main"), page.querySelector("main"));
}

/** Let an element become like another, by as few changes as may be. No attribute is taken away: the
 * agent always writes the same ones, and "open" is the reader's. */
function become(old, wanted) {
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const kept = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = old.firstChild;
  for (const child of [...wanted.childNodes]) {
    const same = child.id ? kept.get(child.id) : place && isAlike(place, child) ? place : null;
    if (!same) {
      old.insertBefore(document.importNode(child, true), place);
      continue;
    }
    if (same === place) place = place.nextSibling;
    else old.insertBefore(same, place);
    if (child.nodeType === Node.ELEMENT_NODE) become(same, child);
    else if (same.nodeValue !== child.nodeValue) same.nodeValue = child.nodeValue;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
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

function clock(instant) {
  return instant.toLocaleTimeString([], { hourCycle: "h23" });
}

/** Nobody looks at a hidden page, and a browser has few connections for one host. */
function follow() {
  events?.close();
  if (document.hidden) {
    clearTimeout(timer);
    timer = 0;
    return;
  }
  events = new EventSource("events");
  // A stream that is cut is news too.
  for (const kind of ["transition", "act", "error"]) events.addEventListener(kind, () => plan(SOON));
  plan(0);
}

localise(document);
document.addEventListener("visibilitychange", follow);
follow();
