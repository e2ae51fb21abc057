// Everything works without this file; it keeps pages fresh, copies values and goes on to the dashboard by itself.
"use strict";

const EVERY_MS = 1500;

function dress(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
}

const FOCUSABLE = "a, button, summary";

// A swap must not close what the reader has opened, nor take the focus away.
function swap(part, html) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const label = focused?.textContent;
  const place = focused ? [...part.querySelectorAll(FOCUSABLE)].indexOf(focused) : -1;
  const open = [...part.querySelectorAll("details[id][open]")].map((each) => each.id);
  const template = document.createElement("template");
  template.innerHTML = html;
  part.replaceChildren(template.content);
  for (const id of open) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  dress(part);
  if (!focused) return;
  const candidates = [...part.querySelectorAll(FOCUSABLE)];
  const again = candidates[place]?.textContent === label ? candidates[place] : candidates.find((each) => each.textContent === label);
  again?.focus({ preventScroll: true });
}

function keepFresh(part) {
  let etag = null;
  async function look() {
    if (!document.hidden) {
      try {
        const answer = await fetch(part.dataset.live, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store" });
        if (answer.status === 404) return location.reload();
        if (answer.status === 200) {
          const html = await answer.text();
          const isFirst = etag === null;
          etag = answer.headers.get("ETag");
          if (!isFirst || html.trim() !== part.innerHTML.trim()) swap(part, html);
        }
      } catch {
        // The simulator is restarting; the next look will find it.
      }
    }
    setTimeout(look, EVERY_MS);
  }
  setTimeout(look, EVERY_MS);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const label = button.firstChild;
  const before = label.textContent;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = before; }, EVERY_MS);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (!form.dataset.busy || !button) return;
  // After the browser has read the form: a disabled button would not be sent.
  setTimeout(() => { button.disabled = true; button.textContent = form.dataset.busy; });
});

dress(document);
document.querySelectorAll("[data-live]").forEach(keepFresh);
document.querySelector("form[data-autosubmit]")?.submit();
