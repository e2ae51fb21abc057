// Everything works without scripts; this one copies values, says that a form is on its way and goes on by itself.
import { keepFresh } from "./live.js";

const SHOWN_MS = 1500;

function dress(root) {
  for (const button of root.querySelectorAll("[data-copy], [data-copy-from]")) button.hidden = !navigator.clipboard;
  for (const needless of root.querySelectorAll("[data-without-script]")) needless.hidden = true;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const source = button.dataset.copyFrom;
  await navigator.clipboard.writeText(source ? document.getElementById(source).textContent.trim() : button.dataset.copy);
  const label = button.firstChild;
  const before = button.dataset.copied || label.textContent;
  button.dataset.copied = before;
  label.textContent = "Copied";
  document.getElementById("news").textContent = "Copied";
  setTimeout(() => { label.textContent = before; delete button.dataset.copied; }, SHOWN_MS);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (!form.dataset.busy || !button) return;
  // After the browser has read the form: a disabled button would not be sent.
  form.dataset.sending = "";
  setTimeout(() => { button.disabled = true; button.textContent = form.dataset.busy; });
});

// A page that comes out of the browser's memory is not busy any more.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

document.addEventListener("change", (event) => {
  if (event.target.form?.hasAttribute("data-sent-on-change")) event.target.form.requestSubmit();
});

dress(document);
document.querySelectorAll("[data-live]").forEach((part) => keepFresh(part, dress));
document.querySelector("form[data-autosubmit]")?.submit();
