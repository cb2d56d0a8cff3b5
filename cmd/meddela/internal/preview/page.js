"use strict";
(function () {
  const links = Array.from(document.querySelectorAll("nav a"));

  function current() {
    const at = links.findIndex((link) => link.hash === location.hash);
    return at < 0 ? 0 : at;
  }

  function mark() {
    const at = current();
    links.forEach((link, i) => {
      if (i === at) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    if (links[at]) links[at].scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    if (links.length) location.hash = links[(current() + by + links.length) % links.length].hash;
  }

  function toggle(a, b) {
    const one = document.getElementById(a), other = document.getElementById(b);
    (one.checked ? other : one).checked = true;
    keep();
  }

  // The switches stay as they are when the page is loaded anew.
  const kept = "meddela-switches";
  function keep() {
    const on = Array.from(document.querySelectorAll("input:checked"), (input) => input.id);
    try { sessionStorage.setItem(kept, on.join(" ")); } catch (refused) { /* then they do not */ }
  }
  function restore() {
    let on = "";
    try { on = sessionStorage.getItem(kept) || ""; } catch (refused) { /* nothing is kept */ }
    for (const id of on.split(" ")) {
      const input = id && document.getElementById(id);
      if (input) input.checked = true;
    }
  }

  const keys = {
    j: () => step(1), ArrowRight: () => step(1),
    k: () => step(-1), ArrowLeft: () => step(-1),
    w: () => toggle("wide", "phone"), b: () => toggle("light", "dark"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLInputElement && event.key.startsWith("Arrow")) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  document.addEventListener("change", keep);
  window.addEventListener("hashchange", mark);
  restore();
  mark();

  const state = document.documentElement.dataset.state;
  if (!state) return;
  const live = document.querySelector(".live");
  const changes = new EventSource("changes");
  changes.onmessage = (event) => { if (event.data !== state) location.reload(); };
  changes.onopen = () => { live.textContent = "live"; live.classList.remove("gone"); };
  changes.onerror = () => { live.textContent = "not connected"; live.classList.add("gone"); };
})();
