"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // The address after # holds what is shown, so that a view can be sent to someone:
  // #sort=TABLE:COLUMN:up|down&filter=TEXT&hide=ENCODER&without=TASK&metrics=all&theme=dark
  const asked = location.hash.includes("=") ? new URLSearchParams(location.hash.slice(1)) : new URLSearchParams();
  const remember = () => {
    const text = asked.toString();
    try { history.replaceState(null, "", text ? "#" + text : location.pathname + location.search); } catch { /* sandboxed */ }
  };
  const put = (name, value) => (value ? asked.set(name, value) : asked.delete(name));

  // Colours
  const themes = ["", "light", "dark"];
  const paint = (theme) => {
    document.documentElement.dataset.theme = theme;
    $("#theme").setAttribute("aria-label", "Colours: " + (theme || "automatic"));
    $("#theme").textContent = { light: "○", dark: "●" }[theme] || "◐";
  };
  paint(themes.includes(asked.get("theme")) ? asked.get("theme") : "");
  $("#theme").addEventListener("click", () => {
    const next = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
    paint(next); put("theme", next); remember();
  });

  // Sorting: within each body, so that published numbers are never ranked among measured ones.
  const value = (row, column) => {
    const cell = row.children[column];
    return column === 0 ? row.dataset.e.toLowerCase() : cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  };
  const sort = (table, column, down) => {
    for (const body of table.tBodies) {
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1)));
      body.append(...rows.map(([, row]) => row));
    }
    all("thead th", table).forEach((th, i) => i === column
      ? th.setAttribute("aria-sort", down ? "descending" : "ascending") : th.removeAttribute("aria-sort"));
  };
  for (const table of all("table[data-table]")) {
    for (const button of all("[data-sort]", table)) {
      button.addEventListener("click", () => {
        const column = Number(button.dataset.sort);
        const now = button.closest("th").getAttribute("aria-sort");
        // First click: best on top; after that the other way round.
        const down = now ? now === "ascending" : Boolean(button.dataset.down);
        sort(table, column, down);
        put("sort", [table.dataset.table, column, down ? "down" : "up"].join(":")); remember();
      });
    }
  }

  // Filters
  const form = $("#tools form");
  const hidden = document.head.appendChild(document.createElement("style"));
  const apply = () => {
    const words = $("#filter").value.trim().toLowerCase();
    const off = new Set(all("[name=encoder]:not(:checked)").map((box) => box.value));
    const rows = all("tr[data-e]");
    for (const row of rows) row.hidden = off.has(row.dataset.e) || !row.dataset.e.toLowerCase().includes(words);
    const without = all("[name=task]:not(:checked)");
    hidden.textContent = without.map((box) => `main [data-t="${box.dataset.t}"]:not(input) { display: none }`).join("\n");
    document.body.classList.toggle("all-metrics", $("#all-metrics").checked);
    const shown = new Set(rows.filter((row) => !row.hidden).map((row) => row.dataset.e)).size;
    const total = new Set(rows.map((row) => row.dataset.e)).size;
    $("#count").textContent = shown < total || without.length ? `${shown} of ${total} encoders, ${all("[name=task]:checked").length} tasks` : "";
    put("filter", words); put("metrics", $("#all-metrics").checked && "all");
    asked.delete("hide"); off.forEach((name) => asked.append("hide", name));
    asked.delete("without"); without.forEach((box) => asked.append("without", box.value));
  };
  if (form) {
    $("#filter").value = asked.get("filter") || "";
    $("#all-metrics").checked = asked.get("metrics") === "all";
    for (const box of all("[name=encoder]")) box.checked = !asked.getAll("hide").includes(box.value);
    for (const box of all("[name=task]")) box.checked = !asked.getAll("without").includes(box.value);
    form.addEventListener("input", () => { apply(); remember(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => { apply(); remember(); }));
    apply();
  }
  const [id, column, order] = (asked.get("sort") || "").split(":");
  const wanted = all("table[data-table]").find((table) => table.dataset.table === id);
  if (wanted && wanted.tHead.rows[0].children[Number(column)]) sort(wanted, Number(column), order === "down");

  // Where a number comes from
  const sources = JSON.parse($("#sources").textContent);
  const card = $("#provenance");
  let shownFor = null;
  const element = (name, text, className) => Object.assign(document.createElement(name), { textContent: text, className: className || "" });
  const show = (button) => {
    if (shownFor === button) return;
    hide();
    card.replaceChildren();
    for (const key of button.dataset.k.split(" ")) {
      const [heading, facts] = sources[key];
      const list = document.createElement("dl");
      for (const [name, text, hash] of facts) list.append(element("dt", name), element("dd", text, hash ? "hash" : ""));
      card.append(element("h4", heading), list);
    }
    card.hidden = false;
    button.setAttribute("aria-describedby", "provenance");
    shownFor = button;
    place();
  };
  const place = () => {
    const at = shownFor.getBoundingClientRect(), size = card.getBoundingClientRect();
    card.style.left = Math.max(8, Math.min(at.right - size.width, innerWidth - size.width - 8)) + "px";
    const below = at.bottom + 10;
    card.style.top = (below + size.height < innerHeight ? below : Math.max(8, at.top - size.height - 10)) + "px";
  };
  const hide = () => {
    if (!shownFor) return;
    shownFor.removeAttribute("aria-describedby");
    shownFor = null;
    card.hidden = true;
  };
  let waiting = 0;
  const target = (event) => event.target instanceof Element && event.target.closest(".n");
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "mouse") return;
    clearTimeout(waiting);
    const button = target(event);
    if (button) waiting = setTimeout(() => show(button), 180);
    else if (!(event.target instanceof Element && event.target.closest("#provenance"))) waiting = setTimeout(hide, 250);
  });
  document.addEventListener("focusin", (event) => { const button = target(event); if (button) show(button); else hide(); });
  document.addEventListener("click", (event) => {
    const button = target(event);
    if (button) show(button);
    else if (!(event.target instanceof Element && event.target.closest("#provenance"))) hide();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  // A focused number scrolls into view by itself: its card goes along. One that the pointer left behind is closed.
  addEventListener("scroll", () => {
    if (!shownFor || innerWidth <= 640) return;
    if (document.activeElement === shownFor) place(); else hide();
  }, { passive: true });
})();
