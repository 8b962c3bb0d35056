(() => {
  "use strict";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const onLight = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195",
    "#8C8C00"];
  const onDark = ["#56B4E9", "#FF9F5A", "#3FD1A4", "#E7A9CB", "#F2C14E", "#9CC9FF", "#C39BE0",
    "#C8C850"];
  const look = (isDark) => {
    const ink = isDark ? "#e7eaf0" : "#1c2230", line = isDark ? "#39414f" : "#d5dae3";
    const colours = isDark ? onDark : onLight;
    return {
      background: "transparent", font: "system-ui, DejaVu Sans, sans-serif",
      axis: {
        labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line,
        labelFontSize: 12, titleFontSize: 12,
      },
      legend: {
        labelColor: ink, titleColor: ink, orient: "bottom", columns: 2, labelLimit: 320,
        labelFontSize: 12,
      },
      view: { stroke: null }, mark: { color: colours[0] }, range: { category: colours },
      rule: { color: ink }, rect: { color: ink },
    };
  };
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const views = {};
  const draw = () => Promise.all(Object.entries(charts).map(async ([name, spec]) => {
    const place = document.getElementById("chart-" + name);
    if (!place) return;
    if (views[name]) views[name].finalize();
    views[name] = await window.vegaEmbed(place, spec, {
      renderer: "svg", actions: false, config: look(dark.matches),
      tooltip: { theme: dark.matches ? "dark" : "light" },
    });
    for (const select of place.querySelectorAll("select")) {
      select.setAttribute("aria-label", "case shown in the chart");
    }
  }));
  window.qsCharts = views;
  if (window.vegaEmbed) {
    window.qsReady = draw();
    dark.addEventListener("change", () => { window.qsReady = draw(); });
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
})();
