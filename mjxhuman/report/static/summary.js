// The tables of scores, the files that failed and the glossary.

function scoreCell(name, value) {
  const info = about(name);
  if (value === null || value === undefined) return el("td", { class: "num" }, "–");
  const isScore = info.score || info.axis === "total";
  const bar = isScore
    ? el("span", { class: "bar", style: `--tone:${toneOf(name)};--part:${Math.min(Math.max(value, 0), 1)}` })
    : null;
  const fine = isScore && info.better === "higher" && value >= 0.995;
  return el("td", { class: fine ? "num fine" : "num" }, el("span", { class: "figure" }, format(value, info.unit)), bar);
}

function columnsOfTable() {
  const terms = new Set();
  const axes = new Set();
  for (const clip of report.clips) {
    Object.keys(clip.scores.axes).forEach((k) => axes.add(k));
    Object.keys(clip.scores.terms).filter((k) => report.axes.includes(about(k).axis)).forEach((k) => terms.add(k));
  }
  const rank = (k) => (report.axes.indexOf(k) + 99) % 99;
  return { axes: [...axes].sort((x, y) => rank(x) - rank(y)), terms: [...terms] };
}

const valueOf = (clip, name) =>
  name === "name" ? clip.name
    : name === "total" ? clip.scores.total
      : name in clip.scores.axes ? clip.scores.axes[name] : clip.scores.terms[name];

const sorting = { key: null, up: true };

/** Indices of the clips in the order of the tables. */
function sortedClips() {
  const order = report.clips.map((_, i) => i);
  if (!sorting.key) return order;
  const missing = (x) => x === null || x === undefined;
  return order.sort((i, j) => {
    const [a, b] = [valueOf(report.clips[i], sorting.key), valueOf(report.clips[j], sorting.key)];
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return (sorting.up ? 1 : -1) * (a < b ? -1 : a > b ? 1 : 0);
  });
}

function headCell(name, label, kind) {
  const order = sorting.key === name ? (sorting.up ? "ascending" : "descending") : "none";
  const unit = name === "name" ? null : about(name).unit || "0 to 1";
  const sort = () => {
    sorting.up = sorting.key === name ? !sorting.up : true;
    sorting.key = name;
    buildTables();
  };
  return el("th", { scope: "col", class: kind, "aria-sort": order, title: about(name).sentence || null },
    el("button", { onclick: sort }, label, el("i", { class: "arrow" }, order === "none" ? "" : sorting.up ? "▲" : "▼")),
    unit && el("small", {}, unit));
}

/** One table of the clips with these columns; rows choose their clip. */
function scoreTable(axes, terms) {
  const names = ["total", ...axes, ...terms];
  const body = sortedClips().map((i) => {
    const { name: label, scores: s, motion } = report.clips[i];
    const choose = el("button", { class: "pick", onclick: () => select(i) }, label);
    const cells = !s.reward ? el("td", { colspan: names.length })
      : s.valid ? names.map((k) => scoreCell(k, valueOf(report.clips[i], k)))
        : el("td", { class: "invalid", colspan: names.length }, `not scored: ${s.reason}`);
    return el("tr", { "data-clip": i, class: motion ? "has" : null, onclick: (e) => e.target.closest("button") || select(i) },
      el("th", { scope: "row", title: label }, choose), cells);
  });
  const groups = [];
  for (const name of terms) {
    const axis = about(name).axis;
    if (groups.length && groups[groups.length - 1][0] === axis) groups[groups.length - 1][1]++;
    else groups.push([axis, 1]);
  }
  const over = groups.length
    ? el("tr", { class: "groups" }, el("td", { colspan: 2 + axes.length }),
      groups.map(([axis, n]) => el("td", { colspan: n, style: `--tone:${AXIS_TONE[axis]}` }, about(axis).label)))
    : null;
  const head = el("tr", {}, headCell("name", "Clip", "name"), headCell("total", "Total", "axis"),
    axes.map((k) => headCell(k, about(k).label, "axis")), terms.map((k) => headCell(k, about(k).label, "term")));
  return el("div", { class: "scroll" },
    el("table", { class: "scores" }, el("thead", {}, plain ? null : [over, head]), el("tbody", {}, body)));
}

function buildTables() {
  if (plain && report.clips.length < 2) return;
  const { axes, terms } = columnsOfTable();
  $("summary").replaceChildren(scoreTable(axes, []));
  if (report.detailLimit) {
    $("summary").append(el("p", { class: "note" },
      `Playback and charts are kept for the ${report.detailLimit} clips with the lowest totals.`));
  }
  $("numbers").hidden = !terms.length;
  $("numbers").replaceChildren(el("h2", {}, "All scores"),
    el("p", { class: "note" }, "Means over the clip, less where it comes apart for 0.2 s; an axis is the product of its scores in every frame, the total the geometric mean of the axes. A heading sorts."),
    scoreTable(axes, terms));
  markChosen();
}

/** Show which clip is chosen, in every table; the list above the charts scrolls to it. */
function markChosen() {
  document.querySelectorAll("tr[data-clip]").forEach((r) => r.classList.toggle("chosen", +r.dataset.clip === state.a));
  const row = document.querySelector("#summary tr.chosen");
  if (!row) return;
  const box = row.closest(".scroll");
  const head = box.querySelector("thead").offsetHeight;
  if (row.offsetTop - head < box.scrollTop) box.scrollTop = row.offsetTop - head;
  else if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight;
}

function buildFailures() {
  if (!report.failures.length) return;
  $("failures").hidden = false;
  $("failures").replaceChildren(el("h2", {}, "Files that could not be read"),
    el("dl", { class: "pairs" }, report.failures.map(([file, why]) => [el("dt", {}, file), el("dd", {}, why)])));
}

function buildGlossary() {
  const entry = (info) => [
    el("dt", {}, info.label, el("span", { class: "soft" }, info.unit || (info.better ? "0 to 1" : ""))),
    el("dd", {}, info.sentence, info.better ? el("span", { class: "soft" }, ` ${info.better === "higher" ? "Higher" : "Lower"} is better.`) : null)];
  const part = (title, tone, entries) => entries.length
    ? el("div", {}, el("h3", { style: `--tone:${tone}` }, title), el("dl", { class: "words" }, entries.map(entry)))
    : null;
  const names = Object.keys(report.glossary).filter((n) => about(n).sentence);
  const isAxis = (n) => n === "total" || report.axes.includes(n);
  const entries = (test) => names.filter(test).map(about);
  const parts = [part("Total and axes", "var(--ink2)", entries(isAxis)),
    ...report.axes.map((key) => part(about(key).label, AXIS_TONE[key], entries((n) => !isAxis(n) && about(n).axis === key))),
    part("Forces and motion", "var(--ink2)", entries((n) => !isAxis(n) && !report.axes.includes(about(n).axis))),
    part("What carries the body", "var(--ink2)", report.clips.some((c) => c.motion && c.motion.dynamics) ? report.carriers : [])];
  $("glossary").replaceChildren(el("h2", {}, "What the numbers mean"), el("div", { class: "wordcolumns" }, parts));
}
