// Keeps the parts of a page that change up to date. A part is an element with data-live, the address of its HTML.
// The old tree is changed into the new one, node by node, so that focus, scroll, opened details, selected text and what
// was typed stay as they are.

const EVERY_MS = 1500;
const LONGEST_MS = 15000;

const typedIn = new WeakSet();
document.addEventListener("input", (event) => typedIn.add(event.target));
document.addEventListener("reset", (event) => { for (const field of event.target.elements) typedIn.delete(field); });

// What this browser decides, not the server.
const OWN = new Set(["open", "hidden", "data-copied"]);

function syncAttributes(from, to) {
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && !OWN.has(name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value && !OWN.has(name)) from.setAttribute(name, value);
}

function syncField(from, to) {
  const group = from.type === "radio" && from.form ? [...from.form.querySelectorAll("input[type=radio]")] : [from];
  if (group.some((field) => typedIn.has(field)) || from === document.activeElement) return;
  if (from.type === "radio" || from.type === "checkbox") from.checked = to.checked;
  else if (from.value !== to.value) from.value = to.value;
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || node.id : "");

function isAlike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
}

export function morph(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.matches("form[data-sending]")) return;
  syncAttributes(from, to);
  if (from.matches("textarea")) return syncField(from, to);
  morphChildren(from, to);
  if (from.matches("input, select")) syncField(from, to);
}

export function morphChildren(from, to) {
  const keyed = new Map([...from.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let place = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const known = keyed.get(keyOf(wanted));
    let found = place && !keyOf(wanted) && isAlike(place, wanted) ? place : null;
    if (known && isAlike(known, wanted)) found = known;
    if (found) {
      // Moving an element would take its focus away: what stands before it and is not wanted any more goes instead.
      while (place && place !== found && !isStillWanted(place, to)) place = removed(place);
      if (place !== found) from.insertBefore(found, place);
      else place = place.nextSibling;
      morph(found, wanted);
    } else {
      const added = document.importNode(wanted, true);
      from.insertBefore(added, place);
      if (keyOf(added)) added.classList.add("is-new");
    }
  }
  while (place) place = removed(place);
}

function isStillWanted(node, to) {
  const key = keyOf(node);
  return key !== "" && [...to.children].some((child) => keyOf(child) === key);
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

// Say what is new to those who do not see it: each element with data-say that was not there before.
const sayings = () => new Set([...document.querySelectorAll("[data-say]")].map((each) => each.dataset.say));

function announce(before) {
  const news = [...sayings()].filter((each) => !before.has(each));
  const place = document.getElementById("news");
  if (news.length && place) place.textContent = news.slice(0, 3).join(". ");
}

function bring(part, html, dress) {
  const before = sayings();
  const arrived = document.createElement("template");
  arrived.innerHTML = html;
  for (const aside of arrived.content.querySelectorAll("template[data-for]")) {
    const place = document.getElementById(aside.dataset.for);
    if (place) morphChildren(place, aside.content);
    aside.remove();
  }
  morphChildren(part, arrived.content);
  dress(part);
  announce(before);
}

export function keepFresh(part, dress) {
  let etag = null;
  let pause = EVERY_MS;
  async function look() {
    if (!document.hidden) {
      try {
        const answer = await fetch(part.dataset.live, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store" });
        // The page itself knows how to say that what it showed is gone.
        if (answer.status === 404) return location.reload();
        if (answer.status === 200) {
          bring(part, await answer.text(), dress);
          etag = answer.headers.get("ETag");
        }
        pause = EVERY_MS;
      } catch {
        // The simulator is restarting: a later look will find it.
        pause = Math.min(pause * 2, LONGEST_MS);
      }
    }
    setTimeout(look, pause);
  }
  setTimeout(look, EVERY_MS);
}
