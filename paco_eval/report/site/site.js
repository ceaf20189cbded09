"use strict";
const form = document.querySelector("#filters");
if (form) {
  const apply = () => {
    const wanted = Object.fromEntries([...form.querySelectorAll("select")].map((s) => [s.dataset.filter, s.value]));
    const shown = new Set();
    for (const board of document.querySelectorAll(".board")) {
      board.hidden = ["protocol", "part"].some((key) => wanted[key] && board.dataset[key] !== wanted[key])
        || Boolean(wanted.family) && ![...board.querySelectorAll("thead [data-family]")].some((head) => head.dataset.family === wanted.family);
      for (const row of board.querySelectorAll("tbody tr")) {
        row.hidden = ["size", "licence"].some((key) => wanted[key] && row.dataset[key] !== wanted[key]);
        if (!row.hidden && !board.hidden) shown.add(row.querySelector("a").getAttribute("href"));
      }
    }
    for (const one of document.querySelectorAll("[data-family]"))
      one.hidden = Boolean(wanted.family) && one.dataset.family !== wanted.family;
    const any = Object.values(wanted).some(Boolean);
    document.querySelector("#count").textContent = any ? `${shown.size} encoder${shown.size === 1 ? "" : "s"}. Ranks and claims are those among all.` : "";
    const said = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    try { history.replaceState(null, "", said.size ? `?${said}` : location.pathname); } catch { /* from a file */ }
  };
  for (const [key, value] of new URLSearchParams(location.search)) {
    const select = form.querySelector(`[data-filter="${CSS.escape(key)}"]`);
    if (select) select.value = value;
  }
  form.addEventListener("change", apply);
  form.hidden = false;
  apply();
}
const key = (cell) => {
  const text = cell.dataset.v ?? cell.firstChild?.textContent.trim().replace("−", "-") ?? "";
  const number = parseFloat(text);
  return Number.isNaN(number) ? text : number;
};
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const table = head.closest("table");
    const first = button.dataset.up ? "descending" : "ascending";
    const way = head.ariaSort === first ? (first === "ascending" ? "descending" : "ascending") : first;
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    head.ariaSort = way;
    const rows = [...table.tBodies[0].rows].map((row) => [key(row.cells[head.cellIndex]), row]);
    const sign = way === "ascending" ? 1 : -1;
    rows.sort(([a], [b]) => typeof a === typeof b ? sign * (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
    table.tBodies[0].append(...rows.map(([, row]) => row));
  });
}
const open = () => { const found = location.hash && document.getElementById(location.hash.slice(1)); if (found?.tagName === "DETAILS") found.open = true; };
addEventListener("hashchange", open);
open();
