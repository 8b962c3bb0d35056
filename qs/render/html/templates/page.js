(() => {
  "use strict";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const looks = JSON.parse(document.getElementById("looks").textContent);
  let charts = JSON.parse(document.getElementById("charts").textContent);
  const views = {};
  // As many columns as the longest name leaves room for: a legend wider than its place would make
  // the whole chart small.
  const configured = (spec, width) => {
    const look = dark.matches ? looks.dark : looks.light;
    const names = (spec.data?.values ?? [])
      .map((each) => each.node ?? each.case ?? each.figure ?? "");
    const longest = names.reduce((most, name) => Math.max(most, name.length), 4);
    const columns = Math.max(1, Math.floor(width / (longest * 7 + 40)));
    return { ...look, legend: { ...look.legend, columns, labelLimit: Math.max(width - 60, 80) } };
  };
  const one = async (name, spec) => {
    const place = document.getElementById("chart-" + name);
    if (!place || (name === "now" && spec.data.values[0].per_s === null)) return;
    if (views[name]) views[name].finalize();
    views[name] = await window.vegaEmbed(place, spec, {
      renderer: "svg", actions: false, config: configured(spec, place.clientWidth),
      tooltip: { theme: dark.matches ? "dark" : "light" },
    });
    for (const select of place.querySelectorAll("select")) {
      select.setAttribute("aria-label", "case shown in the chart");
    }
  };
  const draw = () => Promise.all(Object.entries(charts).map(([name, spec]) => one(name, spec)));
  window.qsCharts = views;
  if (window.vegaEmbed) {
    window.qsReady = draw();
    dark.addEventListener("change", () => { window.qsReady = draw(); });
  }
  const wire = () => {
    for (const button of document.querySelectorAll("button.copy")) {
      if (!navigator.clipboard) break;
      const said = button.textContent;
      button.hidden = false;
      button.title = button.dataset.copy;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = said; }, 2000);
      });
    }
    for (const table of document.querySelectorAll("table.sortable")) {
      const heads = [...table.tHead.rows[0].cells];
      heads.forEach((head, at) => {
        const button = head.querySelector("button");
        if (!button) return;
        button.addEventListener("click", () => {
          const down = head.getAttribute("aria-sort") !== "descending";
          heads.forEach((other) => other.removeAttribute("aria-sort"));
          head.setAttribute("aria-sort", down ? "descending" : "ascending");
          const key = (row) => row.cells[at].dataset.value ?? row.cells[at].textContent;
          const rows = [...table.tBodies[0].rows].sort((a, b) => {
            const x = key(a), y = key(b), n = Number(x), m = Number(y);
            if (x === "" || y === "") return (x === "") - (y === "");
            const order = Number.isNaN(n) || Number.isNaN(m) ? x.localeCompare(y) : n - m;
            return down ? -order : order;
          });
          table.tBodies[0].append(...rows);
        });
      });
    }
    for (const form of document.querySelectorAll("form.filters")) {
      form.addEventListener("submit", (event) => event.preventDefault());
      const rows = [...document.getElementById(form.dataset.of).tBodies[0].rows];
      const said = form.querySelector("output");
      form.addEventListener("input", () => {
        const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
        const wanted = [...form.querySelectorAll("select")].map((each) => [each.name, each.value]);
        let count = 0;
        for (const row of rows) {
          const text = row.textContent.toLowerCase();
          const fits = words.every((word) => text.includes(word))
            && wanted.every(([name, value]) => !value || row.dataset[name] === value);
          row.hidden = !fits;
          count += fits;
        }
        said.textContent = count + " of " + rows.length;
      });
    }
  };
  wire();
  // The nodes of the case in flight, as text: a node may be called anything.
  const NODES = { node: "node", doing: "does", per_s: "queries/s now", p99: "p99 so far",
    completed: "queries", errors: "errors" };
  const showNodes = (nodes) => {
    const place = document.getElementById("now-nodes");
    if (!place) return;
    place.replaceChildren();
    if (!nodes || !nodes.lines.length) return;
    const part = (kind, text, to) => {
      const made = document.createElement(kind);
      made.textContent = text;
      to.append(made);
      return made;
    };
    const scroll = part("div", "", place);
    scroll.className = "scroll wide";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "the nodes now");
    const table = part("table", "", scroll);
    table.className = "cards";
    part("caption", nodes.said, table);
    const heads = part("tr", "", part("thead", "", table));
    for (const text of Object.values(NODES)) part("th", text, heads).scope = "col";
    const body = part("tbody", "", table);
    for (const line of nodes.lines) {
      const row = part("tr", "", body);
      for (const [key, label] of Object.entries(NODES)) {
        const cell = part(key === "node" ? "th" : "td", line[key], row);
        if (key === "node") cell.scope = "row"; else cell.dataset.label = label;
        if (line.tone) cell.classList.add(line.tone);
      }
    }
  };
  // While its run goes on the page asks for what is new: once a second for what goes on now, and
  // for itself when a stage or a case has ended.
  const follow = async () => {
    let version = document.body.dataset.version;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      let state;
      try {
        state = await (await fetch("state")).json();
        if (String(state.version) !== version) {
          version = String(state.version);
          const text = await (await fetch("./")).text();
          const fresh = new DOMParser().parseFromString(text, "text/html");
          for (const part of ["header", ".columns"]) {
            document.querySelector(part).replaceWith(fresh.querySelector(part));
          }
          charts = JSON.parse(fresh.getElementById("charts").textContent);
          document.body.dataset.version = fresh.body.dataset.version;
          window.qsReady = draw();
          await window.qsReady;
          wire();
        }
      } catch {
        state = { over: true, now: "the run has ended, or qs was stopped", points: [] };
      }
      document.getElementById("now").textContent = state.now;
      showNodes(state.nodes);
      if (state.points.length && charts.now && document.getElementById("chart-now")) {
        const last = state.points[state.points.length - 1];
        charts.now.data.values = [...state.points, { ...last, s: last.to }]
          .map((each) => ({ ...each, case: "now" }));
        await one("now", charts.now);
      }
      if (state.over) return;
    }
  };
  if (document.body.dataset.version) follow();
})();
