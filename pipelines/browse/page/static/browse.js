// Results that follow the filters, and a photograph that is dropped. Without it the form's own button does the former.
"use strict";

const filters = document.getElementById("filters");
const results = document.getElementById("results");
let asked = 0;

function query(form) {
  const said = [...new FormData(form)].filter(([name, value]) => value !== "" && !(name === "sort" && value === "id"));
  return new URLSearchParams(said).toString();
}

async function show(search, remember) {
  const turn = ++asked;
  results.classList.add("waiting");
  const answer = await fetch("/results?" + search);
  const text = await answer.text();
  if (turn !== asked) return; // a later filter has been asked for
  results.classList.remove("waiting");
  if (!answer.ok) return;
  results.innerHTML = text; // made by our templates, which escape
  if (remember) history.pushState(null, "", search ? "/?" + search : "/");
}

if (filters) {
  if (window.matchMedia("(max-width: 860px)").matches) document.getElementById("more").open = false;
  let waiting = 0;
  filters.addEventListener("input", (event) => {
    clearTimeout(waiting);
    const typed = event.target.type === "search" || event.target.type === "number";
    waiting = setTimeout(() => { if (filters.checkValidity()) show(query(filters), true); }, typed ? 180 : 0);
  });
  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    show(query(filters), true);
  });
  results.addEventListener("click", async (event) => {
    const link = event.target.closest(".pages a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    await show(new URL(link.href).search.slice(1), true);
    scrollTo(0, 0);
    results.querySelector(".tile")?.focus();
  });
  window.addEventListener("popstate", () => location.reload());
}

const drop = document.getElementById("drop");
if (drop) {
  const file = document.getElementById("file");
  const said = document.getElementById("said");
  const own = document.getElementById("own");
  const lookUp = async (photograph) => {
    own.replaceChildren();
    said.textContent = "Looking for faces…";
    try {
      const headers = { "Content-Type": "application/octet-stream" };
      const answer = await fetch("/photograph", { method: "POST", body: photograph, headers });
      own.innerHTML = await answer.text(); // made by our templates, which escape
      said.textContent = answer.ok ? "Done." : "";
    } catch {
      said.textContent = "The server does not answer: is fec browse still running?";
    }
  };
  file.addEventListener("change", () => { if (file.files.length) lookUp(file.files[0]); });
  drop.addEventListener("submit", (event) => event.preventDefault());
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) lookUp(event.dataTransfer.files[0]);
    });
  }
}
