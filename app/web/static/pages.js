// What JavaScript adds to pages that work without it: copying, local times, and pages that refresh themselves.
"use strict";

const FIRST_LOOK_MS = 2000;
const LONGEST_PAUSE_MS = 15000;
const COPIED_MS = 1800;
const REFRESH_MS = 3000;

function offerCopying() {
  if (!navigator.clipboard) return; // not on plain http
  document.documentElement.classList.add("can-copy");
  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.getAttribute("aria-label");
    const say = (words, spoken) => {
      button.textContent = words;
      button.setAttribute("aria-label", spoken);
    };
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        say("Copied", "Copied");
      } catch {
        say("Failed", "Copying failed");
      }
      setTimeout(() => say("Copy", label), COPIED_MS);
    });
  }
}

function tellLocalTimes() {
  for (const time of document.querySelectorAll("time")) {
    time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
  }
}

function sendFormsOnce() {
  for (const form of document.forms) {
    form.addEventListener("submit", () => {
      for (const button of form.querySelectorAll("button")) button.disabled = true;
    });
  }
  addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
  });
}

// The page waits for something: ask now and then whether it has happened, and show the page anew when it has.
function watch({ watch: address, seen, page }) {
  let pause = FIRST_LOOK_MS;
  const look = async () => {
    if (!document.hidden && !document.querySelector("details.confirm[open]")) {
      try {
        const answer = await fetch(address, { cache: "no-store" });
        const isOver = answer.status === 403 || answer.status === 410;
        if (isOver || (answer.ok && (await answer.text()) !== seen)) {
          location.replace(page);
          return;
        }
      } catch {
        // no network just now; the next look may do
      }
      pause = Math.min(pause * 1.2, LONGEST_PAUSE_MS);
    }
    setTimeout(look, pause);
  };
  setTimeout(look, pause);
}

// A part of the page moves on: fetch it now and then, and the whole page once more of it than that is out of date.
function refresh(part) {
  let seen = null;
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(part.dataset.refresh, { cache: "no-store" });
        const isSame = answer.headers.get("Part-State") === part.dataset.state;
        if (answer.redirected || (answer.ok && !isSame && !document.querySelector("details.confirm[open]"))) {
          location.reload();
          return;
        }
        const html = answer.ok ? await answer.text() : seen;
        if (html !== seen) part.innerHTML = seen = html;
      } catch {
        // no network just now; the next look may do
      }
    }
    setTimeout(look, REFRESH_MS);
  };
  setTimeout(look, REFRESH_MS);
}

offerCopying();
tellLocalTimes();
sendFormsOnce();
for (const part of document.querySelectorAll("[data-refresh]")) refresh(part);
if (document.body.dataset.watch) watch(document.body.dataset);
