// What the page shows: the embedded data, unpacked when needed, and the state of the view.

const $ = (id) => document.getElementById(id);

function fail(message) {
  const box = $("error");
  box.hidden = false;
  box.textContent = `This page hit an error: ${message}`;
  document.documentElement.dataset.error = message;
}
window.addEventListener("error", (e) => fail(e.message));
window.addEventListener("unhandledrejection", (e) => fail(String(e.reason)));

const report = JSON.parse($("data").textContent);
const AXIS_TONE = { kinematic: "var(--kin)", contact: "var(--con)", dynamic: "var(--dyn)", total: "var(--ink2)" };
const SIDE_TONE = { left: "var(--left)", right: "var(--right)", "": "var(--ink2)" };
const plain = report.clips.every((c) => !c.scores.reward); // motions that are only looked at
const SPEEDS = [0.1, 0.25, 0.5, 1, 2];
const FORCE_SCALE = 0.7; // m of arrow per body weight
const state = { a: -1, b: -1, frame: 0, clock: 0, playing: false, speed: 1, tint: "sides", beside: false, follow: true };

/** What the glossary knows of a name; a plain entry otherwise. */
const about = (name) => report.glossary[name] || { label: name.replaceAll("_", " "), sentence: "", unit: "", better: "", axis: "" };
const isComposite = (name) => name === "total" || report.axes.includes(name);
const toneOf = (name) => AXIS_TONE[about(name).axis] || "var(--ink2)";

const cache = new Map();

/** Unpacked arrays of clip i, or null where the page holds no playback for it. */
function clipData(i) {
  if (i < 0 || !report.clips[i].motion) return null;
  if (!cache.has(i)) {
    const m = report.clips[i].motion;
    const d = m.dynamics;
    const series = Object.fromEntries(Object.entries(m.series).map(([k, v]) => [k, unpack(v)]));
    cache.set(i, {
      furniture: (m.furniture || []).map((f) => ({ name: f.name, corners: unpack(f.corners), pos: unpack(f.pos), quat: unpack(f.quat) })),
      ground: m.ground && { ...m.ground, z: unpack(m.ground.heights) },
      pos: unpack(m.pos), quat: unpack(m.quat), com: unpack(d ? d.com : m.com), series, meta: m,
      humanoid: report.humanoids[report.clips[i].humanoid], count: m.pos.shape[0], step: m.dt * m.stride,
      dynamics: d && {
        torque: unpack(d.torque), grf: unpack(d.grf), cop: unpack(d.cop), meta: d,
        series: Object.fromEntries(Object.entries(d.series).map(([k, v]) => [k, unpack(v)])),
      },
    });
  }
  return cache.get(i);
}

/** Height of what a clip moves on at x and y: the floor z = 0, or the grid of a surface, its border beyond it. */
function heightAt(ground, [x, y]) {
  if (!ground) return 0;
  const [nx, ny] = ground.z.shape;
  const at = (v, origin, n) => Math.min(Math.max((v - origin) / ground.step, 0), n - 1.000001);
  const [a, b] = [at(x, ground.origin[0], nx), at(y, ground.origin[1], ny)];
  const [i, j] = [Math.floor(a), Math.floor(b)];
  const z = (k, l) => ground.z[(i + k) * ny + j + l];
  const [u, v] = [a - i, b - j];
  return (z(0, 0) * (1 - u) + z(1, 0) * u) * (1 - v) + (z(0, 1) * (1 - u) + z(1, 1) * u) * v || 0;
}

const triple = (array, k) => [array[3 * k], array[3 * k + 1], array[3 * k + 2]];

function bodyPose(data, frame, body) {
  const k = frame * data.pos.shape[1] + body;
  return { p: triple(data.pos, k), q: [...data.quat.subarray(4 * k, 4 * k + 4)] };
}

/** Net horizontal travel, else the direction the pelvis faces at the start. */
function headingOf(data) {
  const root = data.humanoid.root;
  const a = bodyPose(data, 0, root).p;
  const b = bodyPose(data, data.count - 1, root).p;
  const d = V.sub(b, a);
  if (Math.hypot(d[0], d[1]) > 0.4) return Math.atan2(d[1], d[0]);
  const find = (name) => data.humanoid.bodies.indexOf(name);
  const [l, r] = [find("L Hip"), find("R Hip")];
  if (l < 0 || r < 0) return 0;
  const across = V.sub(bodyPose(data, 0, l).p, bodyPose(data, 0, r).p);
  return Math.atan2(-across[0], across[1]);
}
