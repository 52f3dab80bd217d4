// The view of one clip: charts, moments, difference, provenance.

let stage = null;
let orbit = null;
let axis = null;
let rows = [];
let heat = null;
let playhead = null;
let hoverline = null;
const topview = new TopView($("topview"));

function palette() {
  return { background: rgb(cssColor("--stage")), ground: rgb(cssColor("--ground")), gridline: rgb(cssColor("--gridline")) };
}

function makeStage() {
  const canvas = $("stage");
  orbit = new Orbit(canvas, () => drawScene());
  try {
    if (new URLSearchParams(location.hash.slice(1)).has("nogl")) throw new Error("WebGL2 was switched off in the address");
    stage = new GLStage(canvas, palette());
    document.documentElement.dataset.renderer = "webgl2";
  } catch (error) {
    // a canvas that once gave a WebGL context gives no 2D one: start from a fresh element
    const fresh = canvas.cloneNode();
    canvas.replaceWith(fresh);
    orbit = new Orbit(fresh, () => drawScene());
    stage = new WireStage(fresh, palette());
    document.documentElement.dataset.renderer = "canvas2d";
    $("stagenotice").hidden = false;
    $("stagenotice").textContent = `Drawn as a wire figure: ${error.message}.`;
  }
  const button = (label, title, action) => el("button", { title, onclick: action }, label);
  const turn = (offset, pitch) => () => {
    orbit.yaw = headingOf(clipData(state.a)) + offset;
    Object.assign(orbit, { pitch, pan: [0, 0, 0] });
    drawScene();
  };
  $("viewbuttons").replaceChildren(
    button("Side", "Look from the right side", turn(-Math.PI / 2, 0.1)), button("Front", "Look from the front", turn(0, 0.1)),
    button("Top", "Look from above", turn(-Math.PI / 2, 1.5)),
    el("label", {}, el("input", { type: "checkbox", checked: true, onchange: (e) => {
      state.follow = e.target.checked;
      drawScene();
    } }), "Follow"),
    el("label", {}, el("span", { class: "word" }, "Colour"), el("select", { "aria-label": "Colour of the body", onchange: (e) => {
      state.tint = e.target.value;
      buildLegends(clipData(state.a));
      showFrame();
    } },
      el("option", { value: "sides" }, "sides"), el("option", { value: "torque" }, "torque"))));
}

/** Show clip i at a frame; by default at its first frame with a score. */
function select(i, frame) {
  state.a = i;
  if (state.b === i) state.b = -1;
  Object.assign(state, { frame: frame ?? firstScored(clipData(i)), clock: 0 });
  markChosen();
  buildClip();
}

function firstScored(data) {
  const curve = data && (data.series.total || Object.values(data.series)[0]);
  return curve ? Math.max(curve.findIndex((x) => !Number.isNaN(x)), 0) : 0;
}

function buildClip() {
  const clip = report.clips[state.a];
  $("clip").hidden = false;
  $("clipname").textContent = clip.name;
  $("clipname").hidden = report.clips.length === 1 && clip.name === report.title;
  const notes = [...clip.notes];
  if (clip.scores.reward && !clip.scores.valid) notes.unshift(`Not scored: ${clip.scores.reason}`);
  const data = clipData(state.a);
  if (data && data.meta.stride > 1) {
    notes.push(`Playback and charts hold every ${data.meta.stride}th of ${data.meta.frames} frames; score curves show the worst of each ${data.meta.stride}.`);
  }
  if (data && data.meta.gaps.length) {
    const count = data.meta.gaps.reduce((n, [a, b]) => n + b - a, 0);
    notes.push(`${count} of ${data.meta.frames} frames are invalid in the file: shaded in the charts.`);
  }
  if (!data) notes.push("This page holds no playback of this clip.");
  $("clipnotes").replaceChildren(...notes.map((text) => el("p", { class: "note" }, text)));
  $("clip").classList.toggle("unplayed", !data);
  $("clip").classList.toggle("single", Boolean(data) && !data.dynamics && !Object.keys(data.series).length);
  buildCompareChoice();
  buildProvenance(clip);
  if (!data) return;
  if (!stage) makeStage();
  axis = new TimeAxis(data.count, data.step);
  Object.assign(orbit, { yaw: headingOf(data) - 0.95, pitch: 0.14, distance: 2.25 * Math.max(data.humanoid.stature, 0.5), pan: [0, 0, 0] });
  state.target = null;
  buildFilm(data);
  Object.assign($("scrub"), { max: data.count - 1 });
  buildCharts(data);
  buildDifference();
  buildMoments(data);
  buildLegends(data);
  showFrame(Math.min(state.frame, data.count - 1));
}

function buildCompareChoice() {
  const others = report.clips.map((c, i) => [c, i]).filter(([c, i]) => i !== state.a && c.motion);
  $("comparelabel").hidden = !others.length || !clipData(state.a);
  const choice = $("compare");
  choice.replaceChildren(el("option", { value: -1 }, "nothing"), ...others.map(([c, i]) => el("option", { value: i }, c.name)));
  choice.value = state.b;
  choice.onchange = () => {
    state.b = +choice.value;
    buildClip();
  };
}

function buildProvenance(clip) {
  const p = clip.provenance;
  $("provenance").hidden = !p;
  if (!p) return;
  const pairs = [...p.rows.map(([k, v]) => [k, [v]]), ...p.lists];
  $("provenance").replaceChildren(el("h2", {}, "Where this clip comes from"),
    el("dl", { class: "pairs" }, pairs.map(([k, v]) => [el("dt", {}, k), el("dd", {}, v.map((x) => el("div", {}, x)))])));
}

function rangeOf(name, ...arrays) {
  const info = about(name);
  if (info.score) return [0, 1];
  let [lo, hi] = [0, 0];
  for (const values of arrays) for (const v of values) if (!Number.isNaN(v)) { lo = Math.min(lo, v); hi = Math.max(hi, v); }
  return [lo, hi > lo ? hi : lo + 1];
}

function seriesStrip(name, values, other, worst) {
  const info = about(name);
  const ghost = other && other.values ? other : null;
  const range = rangeOf(name, values, ...(ghost ? [ghost.values] : []));
  const span = info.score ? "" : ` Plotted from ${format(range[0], info.unit)} to ${format(range[1], info.unit)}.`;
  const { stride } = clipData(state.a).meta;
  const flawed = worst && (!worst.score ? Math.abs(worst.value) > 1e-6 : (info.better === "higher" ? worst.value < 0.995 : worst.value > 0.005));
  return strip({
    axis, label: info.label, note: isComposite(name) ? `clip ${format(valueOf(report.clips[state.a], name))}` : null, hint: info.sentence + span, color: toneOf(name), range, values, main: isComposite(name),
    ghost, base: info.better === "higher" ? "top" : info.better === "lower" || info.unit ? "bottom" : null, unit: info.unit,
    worst: flawed ? Math.round(worst.frame / stride) : undefined, onWorst: () => seek(worst.frame / stride),
  });
}

function buildCharts(data) {
  const other = clipData(state.b);
  const ghostOf = (get) => {
    const values = other && get(other);
    return values ? { values, xScale: other.step / data.step } : null;
  };
  const worst = Object.fromEntries(data.meta.worst.map((w) => [w.name, w]));
  rows = [];
  const box = $("charts");
  box.replaceChildren();
  const group = (title, tone, strips, note) => {
    if (!strips.length) return;
    rows.push(...strips);
    // a group that starts with its own curve needs no heading
    if (strips[0].main) strips[0].node.classList.add("first");
    else lane.append(el("h3", { style: `--tone:${tone}` }, title, note ? el("span", { class: "soft" }, note) : null));
    lane.append(...strips.map((s) => s.node));
  };
  const ruler = timeRuler(axis);
  rows.push(ruler);
  const lane = el("div", { class: "lane" }, ruler.node);
  const names = Object.keys(data.series);
  if (names.length) box.append(el("p", { class: "note" }, "Every frame: the value at the cursor beside its name, the curve over time. Scores fill what is lost; ▲ marks the worst moment. Click a name for its meaning."));
  box.append(lane);
  group("Total", "var(--ink)", names.filter((n) => n === "total").map((n) => seriesStrip(n, data.series[n], ghostOf((o) => o.series[n]), worst[n])));
  if (data.dynamics && data.dynamics.meta.carrier) {
    const carrier = carrierStrip(axis, data.dynamics.meta.carrier, data.furniture.length > 0);
    rows.push(carrier);
    lane.append(carrier.node);
  }
  for (const key of report.axes) {
    const mine = names.filter((n) => about(n).axis === key);
    const score = report.clips[state.a].scores.axes[key];
    group(about(key).label, AXIS_TONE[key], mine.map((n) => seriesStrip(n, data.series[n], ghostOf((o) => o.series[n]), worst[n])),
      score === undefined ? null : format(score));
  }
  buildFurniture(data, group);
  heat = null;
  if (data.dynamics) buildDynamics(data, lane, group, ghostOf);
  const shown = data.dynamics ? Object.keys(data.dynamics.series) : [];
  const rest = names.filter((n) => n !== "total" && !shown.includes(n) && !report.axes.includes(about(n).axis));
  group("Behind the scores", "var(--ink2)", rest.map((n) => seriesStrip(n, data.series[n], ghostOf((o) => o.series[n]), worst[n])));
  lane.append(timeRuler(axis).node);
  addCursor(lane);
  buildTermTable(box);
}

function buildDynamics(data, lane, group, ghostOf) {
  const d = data.dynamics;
  const [frames, bodies] = d.grf.shape;
  const parts = [...Array(bodies).keys()].map((k) => {
    const up = new Float32Array(frames);
    const side = new Float32Array(frames);
    for (let t = 0; t < frames; t++) {
      const f = triple(d.grf, t * bodies + k);
      up[t] = f[2];
      side[t] = Math.hypot(f[0], f[1]);
    }
    return { k, up, side, top: Math.max(...up.map((x) => x || 0), ...side.map((x) => x || 0)) };
  });
  const feet = (part) => /foot|toe|ankle/i.test(d.meta.contactNames[part.k]);
  const shown = parts.filter((p) => p.top > 0.02 || feet(p));
  const top = Math.max(1.2, ...shown.map((p) => p.top));
  group(`Forces from ${carrying(data)}`, "var(--ink2)", shown.map((p) => strip({
    axis, label: d.meta.contactNames[p.k], hint: about("grf").sentence, color: SIDE_TONE[d.meta.contactSides[p.k]],
    range: [0, top], values: p.up, second: p.side, base: "bottom", rule: 1,
    ghost: ghostOf((o) => o.dynamics && o.dynamics.meta.contactNames[p.k] === d.meta.contactNames[p.k] ? verticalOf(o, p.k) : null),
  })), `in body weights (BW), ↑ vertical, → horizontal; dotted line at 1 BW, top at ${format(top)} BW`);
  group("Support and power", "var(--dyn)", Object.keys(d.series).map((n) =>
    seriesStrip(n, d.series[n], ghostOf((o) => o.dynamics && o.dynamics.series[n]), null)));
  if (d.meta.torqueBodies.length) {
    heat = new HeatMap(d.torque, d.meta.torqueBodies.map((b) => data.humanoid.bodies[b]), d.meta.torquePeak);
    lane.append(el("h3", { style: "--tone:var(--dyn)" }, "Joint torque", el("span", { class: "soft" }, "in percent of the limit"),
      el("span", { class: "ramp" }, el("b"), "0", el("i"), "100", el("u"), "200 %")), heat.node);
  }
}

/** How far furniture moves and leans from where it stands at first; nothing where it never does. */
function buildFurniture(data, group) {
  const found = data.furniture.map((f) => {
    const count = f.pos.length / 3;
    const quat = (t) => [...f.quat.subarray(4 * t, 4 * t + 4)];
    const upright = Q.rotate(quat(0), [0, 0, 1]);
    const moved = Float32Array.from({ length: count }, (_, t) => V.norm(V.sub(triple(f.pos, t), triple(f.pos, 0))));
    const leans = Float32Array.from({ length: count }, (_, t) =>
      (180 / Math.PI) * Math.acos(Math.min(1, Math.max(-1, V.dot(upright, Q.rotate(quat(t), [0, 0, 1]))))));
    return { name: f.name, moved, leans };
  }).filter((f) => Math.max(...f.moved) > 1e-3 || Math.max(...f.leans) > 0.5);
  const row = (label, hint, values, unit, least) => strip({
    axis, label, hint, color: "var(--ink2)", range: [0, Math.max(least, ...values)], values, base: "bottom", unit,
  });
  group("Furniture", "var(--ink2)", found.flatMap(({ name, moved, leans }) => [
    row(`${name} moved`, "Distance from where it stood at first.", moved, "m", 0.05),
    row(`${name} leans`, "Angle between its upright axis and where that pointed at first.", leans, "deg", 5),
  ]));
}

const carrying = (data) => (data.furniture.length ? "floor and furniture" : "the floor");

function verticalOf(data, k) {
  const [frames, bodies] = data.dynamics.grf.shape;
  return Float32Array.from({ length: frames }, (_, t) => data.dynamics.grf[3 * (t * bodies + k) + 2]);
}

/** Terms and diagnostics that have one value per clip and no curve. */
function buildTermTable(box) {
  const scores = report.clips[state.a].scores;
  const rest = Object.keys(scores.terms).filter((n) => !(n in clipData(state.a).series) && scores.terms[n] !== null);
  if (!rest.length) return;
  box.append(el("details", { open: rest.length <= 8 }, el("summary", {}, "Numbers with one value per clip"),
    el("dl", { class: "pairs" }, rest.map((n) => [
      el("dt", { title: about(n).sentence || null }, about(n).label), el("dd", {}, format(scores.terms[n], about(n).unit))]))));
}

function addCursor(box) {
  playhead = el("i", { class: "playhead" });
  hoverline = el("i", { class: "hoverline", hidden: true });
  const { gaps, frames } = clipData(state.a).meta;
  const percent = (f) => (100 * f) / Math.max(frames - 1, 1);
  const shades = gaps.map(([a, b]) => el("i", { class: "gap", style: `left:${percent(a)}%;width:${percent(b - a)}%` }));
  const layer = el("div", { class: "cursorlayer" }, shades, hoverline, playhead);
  box.append(layer);
  const frameAt = (e) => {
    const r = layer.getBoundingClientRect();
    return Math.min(Math.max(Math.round(((e.clientX - r.left) / r.width) * axis.last), 0), axis.count - 1);
  };
  const inPlot = (e) => e.target.closest(".plot");
  let dragging = false;
  box.onpointerdown = (e) => {
    if (!inPlot(e) || e.target.closest("button")) return;
    dragging = true;
    box.setPointerCapture(e.pointerId);
    pause();
    showFrame(frameAt(e));
  };
  box.onpointermove = (e) => {
    if (dragging) showFrame(frameAt(e));
    const on = Boolean(inPlot(e)) && !dragging && e.pointerType === "mouse";
    hoverline.hidden = !on;
    if (on) hoverline.style.left = `${100 * axis.fraction(frameAt(e))}%`;
    updateRows(on ? frameAt(e) : state.frame);
  };
  box.onpointerup = box.onpointercancel = () => { dragging = false; };
  box.onpointerleave = () => {
    hoverline.hidden = true;
    updateRows(state.frame);
  };
}

function buildMoments(data) {
  const stride = data.meta.stride;
  const scored = data.meta.worst.some((w) => w.score);
  const bad = data.meta.worst.filter((w) => w.score && !isComposite(w.name) && (about(w.name).better === "higher" ? w.value < 0.95 : w.value > 0.05));
  const items = bad.slice(0, 6).map((w) => el("button", {
    class: "moment", style: `--tone:${toneOf(w.name)}`, title: about(w.name).sentence, onclick: () => seek(w.frame / stride),
  }, el("span", {}, about(w.name).label), el("b", {}, format(w.value)), el("span", { class: "soft" }, `${(w.frame * data.meta.dt).toFixed(2)} s`)));
  $("moments").replaceChildren(el("h3", {}, "Worst moments", items.length ? el("span", { class: "soft" }, "score and time") : null),
    ...(items.length ? items : [el("p", { class: "soft" }, scored ? "No score falls below 0.95 in any frame." : "This clip has no scores per frame.")]));
  $("moments").hidden = plain;
}

function buildLegends(data) {
  const swatch = (tone, text) => el("span", { class: "swatch", style: `--tone:${tone}` }, text);
  $("topkey").replaceChildren(
    swatch("var(--con)", "support polygon"), el("span", {}, el("b", {}, "+ "), "centre of mass"),
    ...(data.dynamics ? [el("span", {}, el("b", {}, "◇ "), "centre of pressure"), swatch("var(--left)", "left"), swatch("var(--right)", "right")] : []));
  const other = state.b >= 0 && report.clips[state.b];
  const byTorque = state.tint === "torque" && data.dynamics;
  const legend = byTorque
    ? [swatch("var(--heat1)", "at the torque limit"), swatch("var(--heat3)", "at twice the limit")]
    : [swatch("var(--left)", "left"), swatch("var(--right)", "right")];
  if (data.dynamics) legend.push(el("span", {}, `arrows: force of ${carrying(data)}, 1 BW is ${FORCE_SCALE} m long`));
  if (other) {
    const moved = V.norm(startOffset(data, clipData(state.b))) > 0;
    legend.push(swatch("var(--ghost)", other.name + (moved ? " (moved to the same start)" : "")), el("label", {}, el("input", { type: "checkbox", checked: state.beside, onchange: (e) => {
      state.beside = e.target.checked;
      drawScene();
    } }), "side by side"));
  }
  $("stagelegend").replaceChildren(...legend);
}

/** What carries the body in this frame, in words and with what is missing. */
function showReading(data, frame) {
  const d = data.dynamics;
  const code = d && d.meta.carrier ? d.meta.carrier[frame] : -1;
  $("reading").hidden = code < 0;
  if (code < 0) return;
  const { name, label, sentence } = report.carriers[code];
  const amount = (n) => format(d.series[n][frame], about(n).unit);
  const missing = name === "unexplained" || name === "nowhere"
    ? ` Missing: ${amount("floating_bw")} and ${amount("residual_torque")}.` : "";
  $("reading").replaceChildren(el("b", { class: "swatch", style: `--tone:var(--${name})` }, label), ` ${sentence}${missing}`);
}

function buildDifference() {
  const box = $("difference");
  if (state.b < 0) return box.replaceChildren();
  const [a, b] = [report.clips[state.a], report.clips[state.b]];
  const names = ["total", ...report.axes.filter((k) => k in a.scores.axes), ...Object.keys(a.scores.terms)];
  const line = (n) => {
    const [x, y] = [valueOf(a, n), valueOf(b, n)];
    const info = about(n);
    const change = x === null || y === null ? null : y - x;
    // as Entry.same of the glossary
    const share = info.unit ? 0.01 * Math.max(Math.abs(x), Math.abs(y)) : 0;
    const noticeable = change !== null && Math.abs(change) >= Math.max(info.noticeable ?? 0.005, share, 1e-12);
    const good = noticeable && info.better && change > 0 === (info.better === "higher");
    const verdict = !noticeable ? "same" : !info.better ? "" : good ? "better" : "worse";
    return el("tr", { class: verdict }, el("th", { scope: "row", style: `--tone:${toneOf(n)}` }, info.label),
      el("td", {}, format(x, info.unit)), el("td", {}, format(y, info.unit)),
      el("td", {}, !noticeable ? "=" : `${change > 0 ? "▲" : "▼"} ${format(Math.abs(change), info.unit)}`),
      el("td", { class: "verdict" }, verdict));
  };
  const both = names.filter((n) => valueOf(b, n) !== undefined);
  const counts = (n) => n === "total" || report.axes.includes(about(n).axis);
  const rest = both.filter((n) => !counts(n));
  const table = (list) => el("div", { class: "scroll" }, el("table", { class: "diff" },
    el("thead", {}, el("tr", {}, ["", a.name, b.name, "Change", ""].map((t) => el("th", { scope: "col" }, t)))),
    el("tbody", {}, list.map(line))));
  box.replaceChildren(el("h3", {}, "What changed", el("span", { class: "soft" }, `from ${a.name} to ${b.name}`)), table(both.filter(counts)),
    rest.length ? el("details", {}, el("summary", {}, `${rest.length} numbers behind them`), table(rest)) : "");
}
