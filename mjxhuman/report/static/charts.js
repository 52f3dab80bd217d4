// Charts on one shared time axis, the torque heat map and the top view. Colours come from CSS variables.

const SVG = "http://www.w3.org/2000/svg";

/** el("div", {class: "x", onclick: f}, child, "text", ...) */
function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "rect"].includes(tag);
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") node.style.cssText = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) node.append(child);
  return node;
}

const cssColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A number with as many digits as its unit deserves. */
function format(x, unit = "") {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  const a = Math.abs(x);
  if (unit === "m" && a < 1) return `${clean((1000 * x).toFixed(a < 0.01 ? 1 : 0))} mm`;
  const text = unit === "" ? x.toFixed(2) : a >= 100 ? x.toFixed(0) : a >= 10 ? x.toFixed(1) : x.toFixed(2);
  return unit ? `${clean(text)} ${unit}` : clean(text);
}

/** "-0.00" is 0. */
const clean = (text) => (/^-0(\.0*)?$/.test(text) ? text.slice(1) : text);

/** Time axis shared by all charts: frame index <-> seconds <-> fraction of the plot width. */
class TimeAxis {
  constructor(count, step) { Object.assign(this, { count, step, last: Math.max(count - 1, 1) }); }
  seconds(i) { return i * this.step; }
  fraction(i) { return i / this.last; }
  ticks() {
    const total = this.last * this.step;
    const raw = total / (innerWidth < 560 ? 4 : 8);
    const power = 10 ** Math.floor(Math.log10(raw));
    const every = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= raw);
    const out = [];
    for (let t = 0; t <= total * 0.985; t += every) out.push(t);
    return { ticks: out, total, digits: Math.max(0, -Math.floor(Math.log10(every) + 1e-9)) };
  }
}

function linePath(values, y, stride = 1, offset = 0, xScale = 1) {
  let d = "";
  let pen = false;
  const n = Math.floor(values.length / stride);
  for (let i = 0; i < n; i++) {
    const v = values[i * stride + offset];
    if (Number.isNaN(v)) { pen = false; continue; }
    d += `${pen ? "L" : "M"}${+(i * xScale).toFixed(3)},${y(v).toFixed(2)}`;
    // a lone sample between gaps is still a visible dot
    if (!pen && (i + 1 >= n || Number.isNaN(values[(i + 1) * stride + offset]))) d += "h0.01";
    pen = true;
  }
  return d;
}

/** Area between the curve and `base`, in pieces around gaps. */
function areaPath(values, y, base) {
  let d = "";
  let start = -1;
  for (let i = 0; i <= values.length; i++) {
    const ok = i < values.length && !Number.isNaN(values[i]);
    if (ok && start < 0) start = i;
    if (!ok && start >= 0) {
      d += `M${start},${base}`;
      for (let k = start; k < i; k++) d += `L${k},${y(values[k]).toFixed(2)}`;
      d += `L${i - 1},${base}Z`;
      start = -1;
    }
  }
  return d;
}

/**
 * One row: label, value at the current frame, curve. `line` and `area` are arrays over frames, `ghost` another clip's
 * curve as {values, xScale}. The area is filled from `base` ("top" for scores: what is filled is what is lost).
 */
function strip({ axis, label, hint, color, range, values, second, ghost, base, worst, unit, rule, main, note, onWorst }) {
  const H = 100;
  const [lo, hi] = range;
  const y = (v) => H - 4 - ((Math.min(Math.max(v, lo), hi) - lo) / (hi - lo || 1)) * (H - 8);
  const svg = el("svg", { viewBox: `0 0 ${axis.last} ${H}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  if (rule !== undefined) svg.append(el("line", { x1: 0, x2: axis.last, y1: y(rule), y2: y(rule), class: "rule" }));
  if (base) svg.append(el("path", { d: areaPath(values, y, base === "top" ? y(hi) : y(lo)), class: "area" }));
  if (ghost) svg.append(el("path", { d: linePath(ghost.values, y, 1, 0, ghost.xScale), class: "ghost" }));
  if (second) svg.append(el("path", { d: linePath(second, y), class: "second" }));
  svg.append(el("path", { d: linePath(values, y), class: "curve" }));
  const value = el("span", { class: "value" });
  const plot = el("div", { class: "plot" }, svg);
  if (worst !== undefined) {
    const text = `Worst moment of ${label}: ${axis.seconds(worst).toFixed(2)} s`;
    const left = `left:${100 * axis.fraction(worst)}%`;
    plot.append(el("button", { class: "worst", style: left, title: text, "aria-label": text, onclick: onWorst }));
  }
  const node = el("div", { class: main ? "strip main" : "strip", style: `--tone:${color}` },
    stripLabel(label, hint, note), value, plot);
  const update = (i) => {
    const v = values[i];
    value.textContent = second ? `↑${format(v)} →${format(second[i])}` : format(v, unit);
  };
  return { node, update, main };
}

/** Name of a row: a button that shows what the row means, and that text. */
function stripLabel(label, hint, note) {
  const soft = note ? el("span", { class: "soft" }, note) : null;
  if (!hint) return el("span", { class: "label" }, label, soft);
  const meaning = el("p", { class: "meaning", hidden: true }, hint);
  const button = el("button", { class: "label", title: hint, "aria-expanded": "false", onclick: () => {
    meaning.hidden = !meaning.hidden;
    button.setAttribute("aria-expanded", String(!meaning.hidden));
  } }, label, soft);
  return [button, meaning];
}

function timeRuler(axis) {
  const { ticks, total, digits } = axis.ticks();
  const marks = ticks.map((t) => el("span", { style: `left:${(100 * t) / total}%` }, t.toFixed(digits)));
  const value = el("span", { class: "value" });
  const node = el("div", { class: "strip ruler" }, el("span", { class: "label" }, "Time in s"), value, el("div", { class: "plot" }, marks));
  return { node, update: (i) => { value.textContent = `${axis.seconds(i).toFixed(2)} s`; } };
}

/** Row of what carries the body: a block of colour per run of frames, and the share of each kind. */
function carrierStrip(axis, codes, furnished) {
  const SHORT = { carried: furnished ? "carried" : "floor", falling: "free fall", unexplained: "unexplained", nowhere: "no floor" };
  const svg = el("svg", { viewBox: `0 0 ${codes.length} 1`, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (let i = 0, k = 0; i < codes.length; i = k) {
    while (k < codes.length && codes[k] === codes[i]) k++;
    svg.append(el("rect", { x: i, width: k - i, y: 0, height: 1, style: `fill:var(--${report.carriers[codes[i]].name})` }));
  }
  const share = (k) => codes.filter((c) => c === k).length / codes.length;
  const hint = report.carriers.map(({ label, sentence }) => `${label}: ${sentence}`).join(" ");
  const value = el("span", { class: "value" });
  const node = el("div", { class: "strip carrier" }, stripLabel("Carried by", hint), value, el("div", { class: "plot" }, svg),
    el("div", { class: "key" }, report.carriers.map(({ name, label, sentence }, k) => share(k) > 0
      ? el("span", { class: "swatch", style: `--tone:var(--${name})`, title: sentence }, `${label} ${Math.max(1, Math.round(100 * share(k)))} %`) : null)));
  return { node, update: (i) => { value.textContent = SHORT[report.carriers[codes[i]].name]; } };
}

/** Torque in percent of the limit: joints down, time across. */
class HeatMap {
  constructor(values, names, peaks) {
    const [rows, columns] = [names.length, values.length / Math.max(names.length, 1)];
    this.values = values;
    this.canvas = el("canvas", { width: columns, height: rows, class: "heat", role: "img" });
    this.canvas.setAttribute("aria-label", "Joint torque in percent of its limit, one row per joint");
    this.values2d = [rows, columns];
    this.value = el("div", { class: "heatvalues" }, names.map(() => el("span")));
    this.node = el("div", { class: "strip heatrow", style: `--rows:${rows}` },
      el("div", { class: "heatlabels" }, names.map((name, k) =>
        el("span", { title: `${name}: at most ${format(peaks[k], "%")} of the limit` }, name))),
      this.value, el("div", { class: "plot" }, this.canvas));
    this.paint();
  }

  static color(percent, stops) {
    if (Number.isNaN(percent)) return [0, 0, 0, 0];
    const [none, full, over, extreme] = stops;
    const mix = (a, b, s) => a.map((x, i) => x + (b[i] - x) * s);
    if (percent <= 100) return mix(none, full, Math.max(percent, 0) / 100);
    return mix(over, extreme, Math.min((percent - 100) / 100, 1));
  }

  static stops() { return ["--heat0", "--heat1", "--heat2", "--heat3"].map((name) => rgb(cssColor(name))); }

  paint() {
    const [rows, columns] = this.values2d;
    const ctx = this.canvas.getContext("2d");
    const image = ctx.createImageData(Math.max(columns, 1), Math.max(rows, 1));
    const stops = HeatMap.stops();
    for (let t = 0; t < columns; t++) {
      for (let k = 0; k < rows; k++) {
        const c = HeatMap.color(this.values[t * rows + k], stops);
        image.data.set([255 * c[0], 255 * c[1], 255 * c[2], c.length === 4 ? 0 : 255], 4 * (k * columns + t));
      }
    }
    ctx.putImageData(image, 0, 0);
  }

  update(i) {
    const rows = this.values2d[0];
    [...this.value.children].forEach((span, k) => {
      const v = this.values[i * rows + k];
      span.textContent = Number.isNaN(v) ? "–" : `${v.toFixed(0)} %`;
      span.classList.toggle("over", v > 100);
    });
  }
}

/** Floor seen from above around the body: support polygon, centre of mass, centres of pressure. */
class TopView {
  constructor(canvas) { this.canvas = canvas; }

  /** `view`: {centre, heading, shapes: outlines, support: [[x, y]], com, trail, cops: [{p, load, color}], total} */
  draw(view) {
    GLStage.prototype.resize.call(this);
    const { canvas } = this;
    const ctx = canvas.getContext("2d");
    const scale = Math.min(canvas.width, canvas.height) / 1.5;
    const [cs, sn] = [Math.cos(view.heading), Math.sin(view.heading)];
    // the direction of travel points up
    const at = (p) => {
      const [dx, dy] = [p[0] - view.centre[0], p[1] - view.centre[1]];
      return [canvas.width / 2 + scale * (sn * dx - cs * dy), canvas.height / 2 - scale * (cs * dx + sn * dy)];
    };
    const trace = (points, close) => {
      ctx.beginPath();
      points.map(at).forEach((p, i) => (i ? ctx.lineTo(p[0], p[1]) : ctx.moveTo(p[0], p[1])));
      if (close) ctx.closePath();
    };
    const disc = (p, r, fill) => {
      ctx.beginPath();
      ctx.arc(...at(p), r * this.unit, 0, 7);
      ctx.fillStyle = fill;
      ctx.fill();
    };
    this.unit = canvas.width / Math.max(canvas.clientWidth, 1);
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    ctx.lineWidth = this.unit;
    ctx.strokeStyle = cssColor("--line");
    const [gx, gy] = view.centre.map((x) => Math.round(x / 0.25) * 0.25);
    for (let k = -8; k <= 8; k++) {
      trace([[gx + k / 4, gy - 2], [gx + k / 4, gy + 2]]);
      ctx.stroke();
      trace([[gx - 2, gy + k / 4], [gx + 2, gy + k / 4]]);
      ctx.stroke();
    }
    for (const outline of view.outlines) {
      trace(outline, true);
      ctx.fillStyle = cssColor("--foot");
      ctx.fill();
    }
    const hull = convexHull(view.support);
    if (hull.length > 1) {
      trace(hull, true);
      ctx.fillStyle = cssColor("--support");
      ctx.strokeStyle = cssColor("--con");
      ctx.lineWidth = 1.5 * this.unit;
      if (hull.length > 2) ctx.fill();
      ctx.stroke();
    }
    for (const p of view.support) disc(p, 1.8, cssColor("--con"));
    if (view.trail.length > 1) {
      trace(view.trail);
      ctx.strokeStyle = cssColor("--ink2");
      ctx.stroke();
    }
    for (const cop of view.cops) disc(cop.p, 3 + 5 * Math.sqrt(Math.min(cop.load, 3)), cop.color);
    this.marks(ctx, at, view);
  }

  marks(ctx, at, view) {
    const u = this.unit;
    const [x, y] = at(view.com);
    ctx.strokeStyle = cssColor("--ink");
    ctx.lineWidth = 2 * u;
    ctx.beginPath();
    ctx.moveTo(x - 7 * u, y); ctx.lineTo(x + 7 * u, y);
    ctx.moveTo(x, y - 7 * u); ctx.lineTo(x, y + 7 * u);
    ctx.stroke();
    if (view.total) {
      const [px, py] = at(view.total);
      ctx.fillStyle = cssColor("--panel");
      ctx.beginPath();
      ctx.moveTo(px, py - 6 * u); ctx.lineTo(px + 6 * u, py); ctx.lineTo(px, py + 6 * u); ctx.lineTo(px - 6 * u, py);
      ctx.closePath();
      ctx.fill();
      ctx.stroke();
    }
  }
}
