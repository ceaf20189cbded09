"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const data = JSON.parse($("#data").textContent);
  const element = (name, className, text) => Object.assign(document.createElement(name), { className: className || "", textContent: text || "" });
  const svg = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  // The address after # holds what is shown, so that a view can be sent to someone:
  // #sort=TABLE:COLUMN:up|down&filter=TEXT&metrics=all&theme=dark&faces=TASK&pairs=ENCODER
  const asked = location.hash.includes("=") ? new URLSearchParams(location.hash.slice(1)) : new URLSearchParams();
  const put = (name, value) => {
    value ? asked.set(name, value) : asked.delete(name);
    const text = asked.toString();
    try { history.replaceState(null, "", text ? "#" + text : location.pathname + location.search); } catch { /* sandboxed */ }
  };

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
    paint(next); put("theme", next);
  });

  // Sorting: within each body, so that published numbers are never ranked among measured ones. What follows the
  // first table stands in its order.
  const value = (row, column) => {
    const cell = row.children[column];
    return column === 0 ? row.dataset.name.toLowerCase() : cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  };
  const sort = (table, column, down) => {
    for (const body of table.tBodies) {
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1)));
      body.append(...rows.map(([, row]) => row));
    }
    all("thead th", table).forEach((th, i) => i === column
      ? th.setAttribute("aria-sort", down ? "descending" : "ascending") : th.removeAttribute("aria-sort"));
    if (table === $("table.board")) follow();
  };
  const follow = () => {
    const order = new Map(all("tbody tr", $("table.board")).map((row, i) => [row.dataset.e, i]));
    for (const body of all("[data-follows] tbody")) {
      body.append(...[...body.rows].sort((a, b) => (order.get(a.dataset.e) ?? 1e9) - (order.get(b.dataset.e) ?? 1e9)));
    }
  };
  for (const table of all("table[data-table]")) {
    for (const button of all("[data-sort]", table)) {
      button.addEventListener("click", () => {
        const column = Number(button.dataset.sort);
        const now = button.closest("th").getAttribute("aria-sort");
        // First click: best on top; after that the other way round.
        const down = now ? now === "ascending" : Boolean(button.dataset.down);
        sort(table, column, down);
        put("sort", [table.dataset.table, column, down ? "down" : "up"].join(":"));
      });
    }
  }

  // Filter: an encoder that is filtered out goes from tables, curves and faces alike.
  const rules = document.head.appendChild(document.createElement("style"));
  const names = new Map(all("tr[data-name]").map((row) => [row.dataset.e, row.dataset.name.toLowerCase()]));
  const filter = () => {
    const words = $("#filter").value.trim().toLowerCase();
    const wanted = words.split(",").map((word) => word.trim()).filter(Boolean);
    const off = wanted.length ? [...names].filter(([, name]) => !wanted.some((word) => name.includes(word))).map(([e]) => e) : [];
    rules.textContent = off.map((e) => `main [data-e="${Number(e)}"]`).join(", ") + (off.length ? " { display: none }" : "");
    for (const row of all("tr[data-name]")) row.hidden = off.includes(row.dataset.e);
    $("#count").textContent = off.length ? `${names.size - off.length} of ${names.size} encoders are shown.` : "";
    put("filter", words);
  };
  $("#filter").value = asked.get("filter") || "";
  $("#filter").addEventListener("input", filter);
  if ($("#filter").value) filter();
  const metrics = $("#all-metrics");
  if (metrics) {
    const apply = () => document.body.classList.toggle("all-metrics", metrics.checked);
    metrics.checked = asked.get("metrics") === "all";
    metrics.addEventListener("input", () => { apply(); put("metrics", metrics.checked && "all"); });
    apply();
  }
  const [id, column, order] = (asked.get("sort") || "").split(":");
  const chosen = all("table[data-table]").find((table) => table.dataset.table === id);
  if (chosen && chosen.tHead.rows[0].children[Number(column)]) sort(chosen, Number(column), order === "down");

  // Hover: an encoder is brought out wherever it is drawn.
  let hot = null;
  const bring = (e) => {
    if (e === hot) return;
    for (const old of all(".hot")) old.classList.remove("hot");
    hot = e;
    document.body.classList.toggle("hover", e !== null);
    if (e !== null) for (const found of all(`.e[data-e="${Number(e)}"], tr[data-e="${Number(e)}"]`)) found.classList.add("hot");
  };
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "mouse" || !(event.target instanceof Element)) return;
    const found = event.target.closest("g[data-e], tr[data-e], .key[data-e]");
    bring(found ? found.dataset.e : null);
  });

  // Faces: drawn when they are looked at.
  const POINT = 1.5;
  const overlay = (side, cell, truth) => {
    const made = svg("svg", { viewBox: `0 0 ${side} ${side}`, class: "face" });
    const path = (d, stroke, width, more) => made.append(svg("path", { d, class: "axis", stroke, "stroke-width": width, ...more }));
    const axes = (ends, colours, width, dash) => ends && [0, 1, 2].forEach((i) => {
      const d = `M${side / 2},${side / 2}l${ends[2 * i] / 10},${ends[2 * i + 1] / 10}`;
      path(d, "#000", width + 1.6, { opacity: ".55", ...dash });
      path(d, colours[i], width, dash);
    });
    const points = (flat) => flat.reduce((found, v, i) => (i % 2 ? found[found.length - 1].push(v / 10) : found.push([v / 10]), found), []);
    const drawn = [];
    if (cell && cell.q && cell.p) {
      const true_ = points(cell.q), said = points(cell.p);
      path(true_.map(([x, y], i) => `M${x},${y}L${said[i][0]},${said[i][1]}`).join(""), "#fff", 1, { opacity: ".9" });
      path(said.map(([x, y]) => `M${x},${y}h.01`).join(""), "#ff9d4d", 2.4);
    } else if (truth && truth.q) {
      path(points(truth.q).map(([x, y]) => `M${x},${y}h.01`).join(""), "#000", POINT + 1.4, { opacity: ".5" });
      path(points(truth.q).map(([x, y]) => `M${x},${y}h.01`).join(""), "#fff", POINT + .4);
    }
    if (truth && truth.a) axes(truth.a, ["#fff", "#fff", "#fff"], 1, { "stroke-dasharray": "2 2.4" });
    if (cell && cell.a) axes(cell.a, ["#6db7ff", "#6db7ff", "#ff9d4d"], 2.2, {});
    return made;
  };
  const face = (picture, side, cell, truth) => {
    const made = overlay(side, cell, truth);
    made.prepend(svg("image", { href: data.pictures[picture], width: side, height: side }));
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", [cell && cell.t, truth && truth.t].filter(Boolean).join(", for ") || "face");
    return made;
  };
  const swatches = new Map(all("table.board tbody tr").map((row) => [row.dataset.e, row.querySelector(".swatch")]));
  const head = (row) => {
    const th = element("th"), who = element("div", "who"), swatch = swatches.get(String(row.e));
    th.scope = "row";
    if (swatch) who.append(swatch.cloneNode(true));
    who.append(element("span", "", row.name).cloneNode(true));
    who.lastChild.style.display = "inline";
    who.lastChild.style.color = "var(--ink)";
    th.append(who);
    return th;
  };
  const LEGENDS = {
    pose: "White, dashed: the true axes of the head. Orange: where the nose is said to point; blue: to its side and down. Head of a column: true yaw / pitch / roll. The last columns show where each encoder was worst.",
    landmarks: "Orange: predicted points; the white line leads to the true one. Under each face its error. The last columns show where each encoder was worst.",
    classification: "What each encoder says of the face above, and how sure it is. The last columns show where each was surest of something wrong.",
    multilabel: "What each encoder gets wrong of the face above: what it sees that is not there, or with “no” misses. The last columns show the faces on which it is wrong most often.",
    segmentation: "Above: the annotated parts, painted over the face. Below: what each encoder predicts, and the share of wrong pixels. The last columns show where each was worst.",
    verification: "Bar: how many impostor pairs are less alike. Accepted: above the threshold at which FAR of impostor pairs are accepted.",
    templates: "Two sets of pictures a column. Bar: how many pairs of two people, of a sample of the templates, are less alike. Accepted: above the threshold at which FAR of them are accepted.",
    identification: "Over each column the picture that was searched for, whom this encoder took it for, and the pictures of the same person in the gallery. A place is where these stand in the list of the gallery.",
  };
  const title = (column) => {
    const th = element("th", "");
    th.scope = "col";
    return th;
  };
  const drawFaces = (task) => {
    const table = element("table", `faces ${task.kind} ${task.bare ? "bare" : ""}`), top = table.createTHead().insertRow(), body = table.createTBody();
    table.dataset.follows = "";
    const corner = element("th"); corner.scope = "col"; corner.append(element("span", "vh", "Encoder")); top.append(corner);
    for (const column of task.columns) {
      const th = title(column);
      th.append(face(column.img, task.side, null, column), element("span", "said", column.t));
      top.append(th);
    }
    const own = Math.max(0, ...task.rows.map((row) => row.own.length));
    if (own) { const th = title(); th.colSpan = own; th.className = "apart group"; th.textContent = "its worst"; top.append(th); }
    for (const row of task.rows) {
      const line = body.insertRow();
      line.dataset.e = row.e;
      line.append(head(row));
      row.cells.forEach((cell, i) => {
        const td = line.insertCell(), mine = i - task.columns.length;
        if (mine === 0) td.className = "apart";
        const picture = mine >= 0 ? row.own[mine] : task.columns[i].img;
        if (!task.bare || mine >= 0) td.append(face(cell.img ?? picture, task.side, cell, mine >= 0 ? null : task.columns[i]));
        const words = element("span", "said" + (cell.ok === undefined ? "" : cell.ok ? " yes" : " no"), cell.t);
        td.append(words);
        if (cell.s) td.append(element("span", "", cell.s));
      });
    }
    return table;
  };
  const drawPairs = (task) => {
    const shown = task.sets.find((set) => set.name === asked.get("pairs")) || task.sets[0];
    const table = element("table", "faces " + task.kind), top = table.createTHead().insertRow(), body = table.createTBody();
    table.dataset.follows = "";
    const corner = element("th"); corner.scope = "col"; corner.append(element("span", "vh", "Encoder")); top.append(corner);
    for (const [i, column] of shown.columns.entries()) {
      const th = title(), pair = element("div", "pair");
      for (const [place, pictures] of column.sides.entries()) {
        const side = element("div", pictures.length > 1 ? "side several" : "side");
        side.append(...pictures.map((picture) => face(picture, task.side)));
        if (column.heads[place]) side.append(element("span", "", column.heads[place]));
        pair.append(side);
      }
      th.append(pair);
      if (column.t) th.append(element("span", "said", column.t));
      if (i && column.same !== shown.columns[i - 1].same) th.className = "apart";
      top.append(th);
    }
    for (const row of shown.rows) {
      const line = body.insertRow();
      line.dataset.e = row.e;
      line.append(head(row));
      for (const [i, cell] of row.cells.entries()) {
        const td = line.insertCell();
        if (i && shown.columns[i].same !== shown.columns[i - 1].same) td.className = "apart";
        td.append(element("span", "said" + (cell.ok === undefined ? "" : cell.ok ? " yes" : " no"), cell.t));
        if (cell.v !== undefined) {
          const meter = element("span", "meter"), bar = element("i");
          bar.style.width = cell.v + "%";
          meter.append(bar);
          meter.title = cell.s;
          td.append(meter);
        } else if (cell.s) td.append(element("span", "", cell.s));
      }
    }
    return table;
  };
  let shown = null;
  const drawMatrix = (task) => {
    const place = $("#matrix");
    shown = task;
    place.replaceChildren(task.sets ? drawPairs(task) : drawFaces(task));
    $("#legend").textContent = LEGENDS[task.kind].replace("FAR", task.far);
    for (const [name, colour] of task.keys || []) {
      const key = element("span", "key"), swatch = element("i");
      swatch.style.background = colour;
      key.append(swatch, name);
      $("#legend").append(" ", key);
    }
    for (const tab of all("[role=tab]")) tab.setAttribute("aria-selected", String(tab.dataset.task === task.task));
    const choice = $(".tabs label");
    choice.hidden = !task.sets;
    if (task.sets) {
      const select = $(".tabs select");
      select.replaceChildren(...task.sets.map((set) => Object.assign(element("option", "", set.name), { value: set.name })));
      select.value = (task.sets.find((set) => set.name === asked.get("pairs")) || task.sets[0]).name;
    }
    follow();
    if (asked.get("filter")) filter();
  };
  if (data.faces.length) {
    const tabs = $(".tabs"), wanted = data.faces.find((task) => task.task === asked.get("faces")) || data.faces[0];
    for (const task of data.faces) {
      const tab = element("button", "", task.task);
      tab.type = "button"; tab.setAttribute("role", "tab"); tab.dataset.task = task.task;
      tab.setAttribute("aria-selected", String(task === wanted));
      tab.addEventListener("click", () => { put("faces", task.task); drawMatrix(task); });
      tabs.append(tab);
    }
    const label = element("label", "", "hardest for "), select = element("select");
    select.addEventListener("input", () => { put("pairs", select.value); drawMatrix(shown); });
    label.append(select); label.hidden = true; tabs.append(label);
    let drawn = false;
    const once = () => { if (!drawn) { drawn = true; drawMatrix(wanted); } };
    if ("IntersectionObserver" in window) {
      new IntersectionObserver((found, watch) => { if (found.some((one) => one.isIntersecting)) { watch.disconnect(); once(); } }, { rootMargin: "600px" }).observe($("#faces"));
    } else once();
    addEventListener("beforeprint", once);
    if (matchMedia("print").matches || asked.get("faces")) once();
  }

  // Where a number comes from
  const card = $("#provenance");
  let shownFor = null;
  const show = (button) => {
    if (shownFor === button) return;
    hide();
    card.replaceChildren();
    for (const key of button.dataset.k.split(" ")) {
      if (!data.sources[key]) continue;
      const [heading, facts] = data.sources[key];
      const list = document.createElement("dl");
      for (const [name, text, hash] of facts) list.append(element("dt", "", name), element("dd", hash ? "hash" : "", text));
      card.append(element("h4", "", heading), list);
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
  // A link into a fold opens it.
  const open = () => { const found = location.hash.length > 1 && !location.hash.includes("=") && document.getElementById(decodeURIComponent(location.hash.slice(1))); if (found) found.closest("details")?.setAttribute("open", ""); };
  addEventListener("hashchange", open);
  open();
})();
