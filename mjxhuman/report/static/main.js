// Puts the page together.

function start() {
  readColors();
  $("title").textContent = report.title;
  const rewards = [...new Set(report.clips.map((c) => c.scores.reward))].filter(Boolean).join(", ");
  const bad = report.clips.filter((c) => !c.scores.valid).length;
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const facts = [plural(report.clips.length, "clip"), rewards && `${rewards}, 0 to 1, higher is better`, !plain && bad && `${bad} not scored`];
  $("subtitle").textContent = facts.filter(Boolean).join(" · ");
  if (report.failures.length) {
    const show = () => $("failures").scrollIntoView({ behavior: "smooth" });
    $("subtitle").append(" · ", el("button", { class: "link", onclick: show }, plural(report.failures.length, "unreadable file")));
  }
  $("footer").textContent = `Made with mjxhuman ${report.version}. This file needs no network.`;
  $("speed").replaceChildren(...SPEEDS.map((s) => el("option", { value: s, selected: s === 1 }, `${s}×`)));
  $("speed").onchange = (e) => { state.speed = +e.target.value; };
  $("scrub").oninput = (e) => seek(+e.target.value);
  $("play").onclick = () => (state.playing ? pause() : play());
  pause();
  buildKeys();
  const wanted = new URLSearchParams(location.hash.slice(1));
  const a = +(wanted.get("clip") ?? firstChoice());
  if (wanted.has("compare")) state.b = +wanted.get("compare");
  else if (report.compare) state.b = report.clips.findIndex((c, i) => c.motion && i !== a);
  buildTables();
  buildFailures();
  if (!plain) buildGlossary();
  if (report.clips[a]) select(a, wanted.has("frame") ? +wanted.get("frame") : undefined);
  if (report.autoplay && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
  const redraw = () => { if (state.a >= 0 && clipData(state.a)) showFrame(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColors();
    if (stage) stage.palette = palette();
    if (heat) heat.paint();
    redraw();
  });
  new ResizeObserver(redraw).observe($("clip"));
  document.documentElement.dataset.ready = "yes";
}

/** The clip that needs looking at: the lowest total that can be played; of a comparison, the first clip. */
function firstChoice() {
  const playable = report.clips.map((c, i) => i).filter((i) => report.clips[i].motion);
  const scored = playable.filter((i) => report.clips[i].scores.total !== null);
  if (report.compare || !scored.length) return playable.length ? playable[0] : 0;
  return scored.reduce((worst, i) => (report.clips[i].scores.total < report.clips[worst].scores.total ? i : worst));
}

/** Choose the clip `by` rows further down the list. */
function stepClip(by) {
  const order = sortedClips();
  const next = order[order.indexOf(state.a) + by];
  if (next === undefined) return;
  select(next);
  const row = document.querySelector(`#summary tr[data-clip="${next}"] .pick`);
  if (row && document.activeElement.closest("#summary")) row.focus({ preventScroll: true });
}

const KEYS = [
  [["space"], "play, pause"], [["←", "→"], "frame"], [["shift", "←", "→"], "10 frames"], [["[", "]"], "clip"],
];

function buildKeys() {
  const shown = KEYS.filter(([, what]) => what !== "clip" || report.clips.length > 1);
  $("keys").replaceChildren(...shown.map(([keys, what]) => el("span", {}, keys.map((k) => el("kbd", {}, k)), what)));
  document.addEventListener("keydown", (e) => {
    const on = (selector) => e.target.closest(selector);
    if (!axis || e.ctrlKey || e.metaKey || e.altKey || on("select, textarea")) return;
    const frames = e.shiftKey ? 10 : 1;
    if (e.key === " " && !on("button, summary, input[type=checkbox]")) $("play").click();
    else if (e.key === "ArrowRight") seek(state.frame + frames);
    else if (e.key === "ArrowLeft") seek(state.frame - frames);
    else if (e.key === "]" || (e.key === "ArrowDown" && on("#summary"))) stepClip(1);
    else if (e.key === "[" || (e.key === "ArrowUp" && on("#summary"))) stepClip(-1);
    else return;
    e.preventDefault();
  });
}

start();
