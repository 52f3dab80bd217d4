// The video that a motion was recovered from: its pictures, and on them the joints as the encoder and the fit have them.

const filmImages = new Map(); // clip -> pictures, made when they are first shown
const filmHidden = new Set(); // names of skeletons that are switched off

function filmPicture(clip, k) {
  const { pictures } = clipData(clip).meta.film;
  if (!filmImages.has(clip)) filmImages.set(clip, []);
  const images = filmImages.get(clip);
  if (!images[k]) {
    images[k] = new Image();
    images[k].onload = () => drawFilm();
    images[k].src = `data:image/jpeg;base64,${pictures[k]}`;
  }
  return images[k];
}

/** Show or hide the video of the chosen clip; call when the clip changes. */
function buildFilm(data) {
  const film = data.meta.film;
  $("filmbox").hidden = !film;
  $("viewers").classList.toggle("above", Boolean(film) && film.size[0] > 1.1 * film.size[1]);
  $("viewers").classList.toggle("beside", Boolean(film) && film.size[0] <= 1.1 * film.size[1]);
  if (!film) return;
  $("viewers").style.setProperty("--shape", film.size[0] / film.size[1]);
  film.unpacked = film.unpacked || film.layers.map((layer) => unpack(layer.points));
  $("filmlegend").replaceChildren(...film.layers.map((layer, i) => el("label", { class: `layer${i}` },
    el("input", { type: "checkbox", checked: !filmHidden.has(layer.name), onchange: (e) => {
      filmHidden[e.target.checked ? "delete" : "add"](layer.name);
      drawFilm();
    } }), layer.name)));
}

function drawFilm() {
  const data = clipData(state.a);
  const film = data && data.meta.film;
  if (!film) return;
  const canvas = $("film");
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio].map(Math.round);
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const source = state.frame * data.meta.stride;
  const picture = filmPicture(state.a, Math.min(Math.round(source / film.stride), film.pictures.length - 1));
  // the whole picture, as large as fits: its proportions never depend on those of the canvas
  const scale = Math.min(width / film.size[0], height / film.size[1]);
  const [w, h] = film.size.map((n) => n * scale);
  const corner = [(width - w) / 2, (height - h) / 2];
  context.clearRect(0, 0, width, height);
  if (picture.complete && picture.naturalWidth) context.drawImage(picture, ...corner, w, h);
  document.documentElement.dataset.film = picture.complete && picture.naturalWidth ? "drawn" : "waiting";
  film.layers.forEach((layer, i) => {
    if (!filmHidden.has(layer.name)) drawSkeleton(context, layer, film.unpacked[i], scale, corner, i, ratio);
  });
}

/** Lines of a skeleton; those of bodies are broken so that they can be told from the detector's where they agree. */
function drawSkeleton(context, layer, points, scale, corner, number, ratio) {
  const broken = number > 0;
  const count = points.shape[1];
  const at = (k) => {
    const i = 2 * (state.frame * count + k);
    return [corner[0] + (points[i] + 0.5) * scale, corner[1] + (points[i + 1] + 0.5) * scale];
  };
  const plain = number > 1 ? "#4fd8bb" : "#ffffff";
  const tone = broken ? { left: plain, right: plain, "": plain } : { left: "#b48bff", right: "#ffc933", "": "#e8edf2" };
  context.lineCap = "round";
  context.setLineDash(broken ? [5 * ratio, 5 * ratio] : []);
  for (const [width, color] of [[broken ? 3.4 : 4.4, "rgba(0,0,0,.55)"], [broken ? 1.6 : 2.4, null]]) {
    context.lineWidth = width * ratio;
    for (const [a, b, side] of layer.edges) {
      const [p, q] = [at(a), at(b)];
      if ([...p, ...q].some(Number.isNaN)) continue;
      context.strokeStyle = color || tone[side];
      context.beginPath();
      context.moveTo(...p);
      context.lineTo(...q);
      context.stroke();
    }
  }
  context.setLineDash([]);
}
