// Drawing and playing frames.

function tintOf(data, frame, geom) {
  const base = { left: "--bodyleft", right: "--bodyright", "": "--body" }[geom.side];
  if (state.tint === "torque" && data.dynamics) {
    const k = data.dynamics.meta.torqueBodies.indexOf(geom.body);
    const share = k < 0 ? 0 : data.dynamics.torque[frame * data.dynamics.meta.torqueBodies.length + k];
    return HeatMap.color(share, HeatMap.stops()).slice(0, 3);
  }
  return colors[base];
}

let colors = {};
function readColors() {
  colors = Object.fromEntries(["--body", "--bodyleft", "--bodyright", "--ghost", "--left", "--right", "--ink2", "--con"]
    .map((name) => [name, rgb(cssColor(name))]));
}

function shapesOf(data, frame, color, offset = [0, 0, 0]) {
  return data.humanoid.geoms.map((g) => {
    const { p, q } = bodyPose(data, frame, g.body);
    return { kind: g.kind, size: g.size, q: Q.mul(q, g.quat), p: V.add(V.add(p, Q.rotate(q, g.pos)), offset), color: color(g) };
  });
}

const WOOD = [[0.76, 0.6, 0.42], [0.55, 0.62, 0.52], [0.62, 0.52, 0.6]];

/** Furniture where it is in a frame; ``solid`` is what the stage makes a mesh of, once. */
function furnitureOf(data, frame) {
  return data.furniture.map((f, i) => ({
    kind: "solid", size: [1, 1, 1], solid: f, color: WOOD[i % WOOD.length],
    p: triple(f.pos, frame), q: [0, 1, 2, 3].map((k) => f.quat[4 * frame + k]),
  }));
}

function contactLoads(data, frame) {
  const d = data.dynamics;
  if (!d) return [];
  const n = d.grf.shape[1];
  return [...Array(n).keys()].map((k) => {
    const [force, p] = [triple(d.grf, frame * n + k), triple(d.cop, frame * n + k)];
    return { force, p, load: V.norm(force), side: d.meta.contactSides[k] };
  }).filter((c) => c.load > 0.02);
}

function otherFrame() {
  const [data, other] = [clipData(state.a), clipData(state.b)];
  return other ? Math.min(Math.round((state.frame * data.step) / other.step), other.count - 1) : -1;
}

/** Horizontal move that brings the other clip to this one's start, where they start more than a metre apart. */
function startOffset(data, other) {
  const d = V.sub(bodyPose(data, 0, data.humanoid.root).p, bodyPose(other, 0, other.humanoid.root).p);
  return Math.hypot(d[0], d[1]) > 1 ? [d[0], d[1], 0] : [0, 0, 0];
}

function drawScene() {
  const data = clipData(state.a);
  if (!data || !stage) return;
  const frame = state.frame;
  const root = bodyPose(data, frame, data.humanoid.root).p;
  const floor = heightAt(data.ground, root);
  if (state.follow || !state.target) state.target = [root[0], root[1], floor + Math.max(0.53 * data.humanoid.stature, 0.9 * (root[2] - floor))];
  orbit.target = state.target;
  const bodies = [{ shapes: shapesOf(data, frame, (g) => tintOf(data, frame, g)), alpha: 1 }];
  bodies.push({ shapes: furnitureOf(data, frame), alpha: 1 });
  const other = clipData(state.b);
  if (other) {
    const right = orbit.frame().right;
    const aside = state.beside ? V.scale(right, 0.55 * data.humanoid.stature) : [0, 0, 0];
    const offset = V.add(aside, startOffset(data, other));
    bodies.push({ shapes: shapesOf(other, otherFrame(), () => colors["--ghost"], offset), alpha: state.beside ? 1 : 0.4 });
  }
  const com = triple(data.com, frame);
  const sideColor = { left: colors["--left"], right: colors["--right"], "": colors["--con"] };
  const arrows = contactLoads(data, frame).map((c) => ({ from: c.p, to: V.add(c.p, V.scale(c.force, FORCE_SCALE)), color: sideColor[c.side] }));
  const dots = [{ p: [com[0], com[1], heightAt(data.ground, com) + 0.004], r: 0.018, color: colors["--ink2"] }];
  stage.draw({ bodies, arrows, dots, ground: data.ground }, orbit);
}

const BOX = [[-1, -1], [1, -1], [1, 1], [-1, 1]];

function drawTop() {
  const data = clipData(state.a);
  const { humanoid: h, com } = data;
  const frame = state.frame;
  const support = [];
  if (h.contacts) {
    h.contacts.body.forEach((body, k) => {
      const { p, q } = bodyPose(data, frame, body);
      const world = V.add(p, Q.rotate(q, h.contacts.offset[k]));
      if (world[2] - h.contacts.radius[k] - heightAt(data.ground, world) < h.supportHeight) support.push(world.slice(0, 2));
    });
  }
  const outlines = h.geoms.filter((g) => g.kind === "box" && /ankle|toe|foot/i.test(h.bodies[g.body])).map((g) => {
    const { p, q } = bodyPose(data, frame, g.body);
    const corners = [];
    for (const z of [-1, 1]) for (const [x, y] of BOX) {
      const local = V.add(g.pos, Q.rotate(g.quat, [x * g.size[0], y * g.size[1], z * g.size[2]]));
      corners.push(V.add(p, Q.rotate(q, local)).slice(0, 2));
    }
    return convexHull(corners);
  });
  const half = Math.round(0.5 / data.step);
  const trail = [];
  for (let i = Math.max(frame - half, 0); i <= Math.min(frame + half, data.count - 1); i++) trail.push(triple(com, i).slice(0, 2));
  const loads = contactLoads(data, frame);
  const sum = loads.reduce((s, c) => s + Math.max(c.force[2], 0), 0);
  const total = sum > 0.02 ? [0, 1].map((j) => loads.reduce((s, c) => s + Math.max(c.force[2], 0) * c.p[j], 0) / sum) : null;
  const tone = { left: cssColor("--left"), right: cssColor("--right"), "": cssColor("--ink2") };
  topview.draw({
    centre: bodyPose(data, frame, h.root).p.slice(0, 2), heading: headingOf(data), outlines, support, trail,
    com: triple(com, frame).slice(0, 2), cops: loads.map((c) => ({ p: c.p, load: c.load, color: tone[c.side] })), total,
  });
}

function updateRows(frame) {
  rows.forEach((row) => row.update(frame));
  if (heat) heat.update(frame);
}

function showFrame(frame = state.frame) {
  const data = clipData(state.a);
  state.frame = frame;
  document.documentElement.dataset.frame = frame;
  $("scrub").value = frame;
  playhead.style.left = `${100 * axis.fraction(frame)}%`;
  const source = frame * data.meta.stride;
  $("clock").textContent = `${(source * data.meta.dt).toFixed(2)} / ${((data.meta.frames - 1) * data.meta.dt).toFixed(2)} s · frame ${source}`;
  updateRows(frame);
  showReading(data, frame);
  drawScene();
  drawTop();
  drawFilm();
}

function seek(frame) {
  pause();
  showFrame(Math.min(Math.max(Math.round(frame), 0), axis.count - 1));
}

function pause() {
  state.playing = false;
  $("play").textContent = "▶";
}

function play() {
  if (!axis || state.playing) return;
  if (state.frame >= axis.count - 1) state.frame = 0;
  Object.assign(state, { playing: true, clock: axis.seconds(state.frame), last: performance.now() });
  $("play").textContent = "❚❚";
  requestAnimationFrame(tick);
}

function tick(now) {
  if (!state.playing) return;
  const total = axis.count * axis.step;
  state.clock = (state.clock + (state.speed * Math.max(now - state.last, 0)) / 1000) % total;
  state.last = now;
  const frame = Math.min(Math.floor(state.clock / axis.step + 1e-6), axis.count - 1);
  if (frame !== state.frame) showFrame(frame);
  requestAnimationFrame(tick);
}
