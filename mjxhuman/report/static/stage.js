// The 3D view: an orbit camera, a WebGL2 renderer of bodies made of simple shapes, and a 2D canvas drawing for
// browsers without WebGL. Both renderers take the same scene:
//   {bodies: [{shapes: [{kind, size, q, p, color, body}], alpha}], arrows: [{from, to, color}],
//    dots: [{p, r, color}], trail: [[x, y, z], ...],
//    ground: {origin, step, z} heights of a surface, or null for the floor z = 0}

class Orbit {
  constructor(element, onChange) {
    Object.assign(this, { target: [0, 0, 0.9], yaw: 0.9, pitch: 0.16, distance: 4.2, pan: [0, 0, 0], onChange });
    this.pointers = new Map();
    element.style.touchAction = "pan-y"; // one finger turns the body sideways and still scrolls the page
    element.addEventListener("pointerdown", (e) => {
      element.setPointerCapture(e.pointerId);
      this.pointers.set(e.pointerId, [e.clientX, e.clientY]);
    });
    const drop = (e) => this.pointers.delete(e.pointerId);
    element.addEventListener("pointerup", drop);
    element.addEventListener("pointercancel", drop);
    element.addEventListener("pointermove", (e) => this.move(e));
    element.addEventListener("wheel", (e) => {
      // the page scrolls on until the view was clicked; a pinch on a touchpad is a wheel with ctrl
      if (!e.ctrlKey && document.activeElement !== element) return;
      e.preventDefault();
      this.zoom(Math.exp(e.deltaY * 0.001));
    }, { passive: false });
    element.addEventListener("contextmenu", (e) => e.preventDefault());
  }

  zoom(factor) {
    this.distance = Math.min(30, Math.max(0.6, this.distance * factor));
    this.onChange();
  }

  move(e) {
    const last = this.pointers.get(e.pointerId);
    if (!last) return;
    const [dx, dy] = [e.clientX - last[0], e.clientY - last[1]];
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== e.pointerId)[1];
      const before = Math.hypot(last[0] - other[0], last[1] - other[1]);
      const after = Math.hypot(e.clientX - other[0], e.clientY - other[1]);
      if (after > 0) this.distance = Math.min(30, Math.max(0.6, this.distance * before / after));
    } else if (e.buttons & 2 || e.shiftKey) {
      const { right, up } = this.frame();
      const s = this.distance * 0.0012;
      this.pan = V.add(this.pan, V.add(V.scale(right, -dx * s), V.scale(up, dy * s)));
    } else {
      this.yaw -= dx * 0.008;
      this.pitch = Math.min(1.5, Math.max(-0.3, this.pitch + dy * 0.006));
    }
    this.pointers.set(e.pointerId, [e.clientX, e.clientY]);
    this.onChange();
  }

  frame() {
    const back = [
      Math.cos(this.yaw) * Math.cos(this.pitch), Math.sin(this.yaw) * Math.cos(this.pitch), Math.sin(this.pitch),
    ];
    const right = [-Math.sin(this.yaw), Math.cos(this.yaw), 0];
    const centre = V.add(this.target, this.pan);
    return { back, right, up: V.cross(back, right), centre, eye: V.add(centre, V.scale(back, this.distance)) };
  }

  /** View and projection in one column-major matrix, vertical field of view 34 degrees. */
  matrix(aspect) {
    const { back, right, up, eye } = this.frame();
    const view = new Float32Array([
      right[0], up[0], back[0], 0, right[1], up[1], back[1], 0, right[2], up[2], back[2], 0,
      -V.dot(right, eye), -V.dot(up, eye), -V.dot(back, eye), 1,
    ]);
    const f = 1 / Math.tan((34 * Math.PI) / 360);
    const [near, far] = [0.05, 120];
    const projection = new Float32Array([
      f / Math.max(aspect, 0.1), 0, 0, 0, 0, f, 0, 0,
      0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0,
    ]);
    return matrixProduct(projection, view);
  }
}

const SHAPE_VERTEX = `#version 300 es
in vec3 position; in vec3 normal; in float end;
uniform mat4 camera, model; uniform vec3 size; uniform float halfLength, flatten;
out vec3 world; out vec3 n;
void main() {
  vec4 w = model * vec4(position * size + vec3(0.0, 0.0, end * halfLength), 1.0);
  if (flatten > 0.5) { w.z = max(w.z, 0.0); w.xy -= vec2(0.32, 0.2) * w.z; w.z = 0.0; }
  world = w.xyz;
  n = mat3(model) * (normal / size);
  gl_Position = camera * w;
}`;

const SHAPE_FRAGMENT = `#version 300 es
precision highp float;
in vec3 world; in vec3 n;
uniform vec4 color; uniform vec3 eye; uniform float lit, sunk;
out vec4 result;
void main() {
  if (lit < 0.5) { result = vec4(color.rgb * color.a, color.a); return; }
  vec3 N = normalize(n), view = normalize(eye - world), L = normalize(vec3(0.32, 0.2, 1.0));
  float sky = 0.5 + 0.5 * N.z;
  float key = max(dot(N, L), 0.0);
  float head = max(dot(N, view), 0.0);
  vec3 c = color.rgb * (0.42 + 0.22 * sky + 0.32 * key + 0.26 * head);
  c += 0.07 * pow(max(dot(N, normalize(L + view)), 0.0), 28.0);
  c *= mix(0.86, 1.0, smoothstep(0.0, 0.35, head));
  if (world.z < sunk) c = mix(c, vec3(0.8, 0.25, 0.1), 0.35);
  result = vec4(c * color.a, color.a);
}`;

const FLOOR_FRAGMENT = `#version 300 es
precision highp float;
in vec3 world; in vec3 n;
uniform vec3 eye, centre, ground, line, background;
out vec4 result;
float grid(vec2 p, float width) {
  vec2 d = fwidth(p) * width;
  vec2 a = abs(fract(p - 0.5) - 0.5);
  vec2 g = smoothstep(d * 1.5, d * 0.5, a) * clamp(0.35 / d, 0.0, 1.0);
  return max(g.x, g.y);
}
void main() {
  vec2 tile = floor(world.xy);
  float odd = mod(tile.x + tile.y, 2.0);
  vec3 c = mix(ground, mix(ground, line, 0.16), odd);
  c = mix(c, line, 0.16 * grid(world.xy * 4.0, 0.7));
  c = mix(c, line, 0.55 * grid(world.xy, 1.0));
  c *= mix(0.55, 1.0, abs(normalize(n).z));
  float fade = smoothstep(2.5, 9.0, length(world.xy - centre.xy));
  float a = (eye.z < 0.0 ? 0.25 : 0.86) * (1.0 - fade);
  result = vec4(c * a, a);
}`;

class GLStage {
  /** Throws when the browser has no WebGL2. */
  constructor(canvas, palette) {
    const gl = canvas.getContext("webgl2", { antialias: true, stencil: true, alpha: false });
    if (!gl) throw new Error("WebGL2 is not available");
    Object.assign(this, { gl, canvas, palette });
    this.shape = this.program(SHAPE_VERTEX, SHAPE_FRAGMENT);
    this.floor = this.program(SHAPE_VERTEX, FLOOR_FRAGMENT);
    this.meshes = { ball: ballMesh(), box: boxMesh(), tube: coneMesh(1), cone: coneMesh(0), plane: planeMesh() };
    for (const mesh of Object.values(this.meshes)) this.upload(mesh);
  }

  program(vertex, fragment) {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
        throw new Error("shader: " + gl.getShaderInfoLog(shader));
      }
      gl.attachShader(program, shader);
    }
    ["position", "normal", "end"].forEach((name, i) => gl.bindAttribLocation(program, i, name));
    gl.linkProgram(program);
    const uniforms = {};
    const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS);
    for (let i = 0; i < count; i++) {
      const { name } = gl.getActiveUniform(program, i);
      uniforms[name] = gl.getUniformLocation(program, name);
    }
    return { program, uniforms };
  }

  upload(mesh) {
    const gl = this.gl;
    mesh.vao = gl.createVertexArray();
    gl.bindVertexArray(mesh.vao);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(mesh.vertices), gl.STATIC_DRAW);
    [3, 3, 1].forEach((n, i) => {
      gl.enableVertexAttribArray(i);
      gl.vertexAttribPointer(i, n, gl.FLOAT, false, 28, [0, 12, 24][i]);
    });
    mesh.count = mesh.vertices.length / 7;
    gl.bindVertexArray(null);
  }

  resize() {
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    const [w, h] = [this.canvas.clientWidth, this.canvas.clientHeight].map((x) => Math.max(1, Math.round(x * scale)));
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
  }

  draw(scene, orbit) {
    this.resize();
    const gl = this.gl;
    const camera = orbit.matrix(this.canvas.width / this.canvas.height);
    const eye = orbit.frame().eye;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...this.palette.background, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const u = this.shape.uniforms;
    const useShape = () => {
      gl.useProgram(this.shape.program);
      gl.uniformMatrix4fv(u.camera, false, camera);
      gl.uniform3fv(u.eye, eye);
      gl.uniform1f(u.flatten, 0);
      gl.uniform1f(u.lit, 1);
      gl.uniform1f(u.sunk, scene.ground ? -1e6 : 0); // depth below another ground is in the curves, not in the colour
    };
    useShape();
    for (const body of scene.bodies) if (body.alpha === 1) body.shapes.forEach((s) => this.drawShape(s, 1));
    for (const arrow of scene.arrows) this.drawArrow(arrow, 1);
    // the part of an arrow inside the body shows through
    gl.depthFunc(gl.GREATER);
    gl.depthMask(false);
    for (const arrow of scene.arrows) this.drawArrow(arrow, 0.45);
    gl.depthMask(true);
    gl.depthFunc(gl.LESS);
    for (const dot of scene.dots) this.drawDot(dot);
    this.drawFloor(camera, eye, orbit.target, scene.ground);
    useShape();
    if (!scene.ground) this.drawShadows(scene, u);
    for (const body of scene.bodies) if (body.alpha < 1) this.drawGhost(body);
    gl.bindVertexArray(null);
  }

  drawFloor(camera, eye, target, ground) {
    const gl = this.gl;
    const u = this.floor.uniforms;
    if (ground && ground !== this.ground) {
      Object.assign(this, { ground, meshes: { ...this.meshes, ground: groundMesh(ground) } });
      this.upload(this.meshes.ground);
    }
    const mesh = ground ? this.meshes.ground : this.meshes.plane;
    const [at, half] = ground ? [[0, 0, 0], 1] : [[target[0], target[1], 0], 10];
    gl.useProgram(this.floor.program);
    gl.uniformMatrix4fv(u.camera, false, camera);
    gl.uniformMatrix4fv(u.model, false, matrixOf([1, 0, 0, 0], at));
    gl.uniform3f(u.size, half, half, 1);
    gl.uniform1f(u.halfLength, 0);
    gl.uniform1f(u.flatten, 0);
    gl.uniform3fv(u.eye, eye);
    gl.uniform3f(u.centre, target[0], target[1], 0);
    gl.uniform3fv(u.ground, this.palette.ground);
    gl.uniform3fv(u.line, this.palette.gridline);
    gl.depthMask(Boolean(ground)); // steps hide what is behind them
    gl.bindVertexArray(mesh.vao);
    gl.drawArrays(gl.TRIANGLES, 0, mesh.count);
    gl.depthMask(true);
  }

  drawShadows(scene, u) {
    // each pixel is darkened once: the stencil remembers where a shadow already lies
    const gl = this.gl;
    gl.enable(gl.STENCIL_TEST);
    gl.stencilFunc(gl.EQUAL, 0, 0xff);
    gl.stencilOp(gl.KEEP, gl.KEEP, gl.INCR);
    gl.enable(gl.POLYGON_OFFSET_FILL);
    gl.polygonOffset(-1, -2);
    gl.depthMask(false);
    gl.uniform1f(u.flatten, 1);
    gl.uniform1f(u.lit, 0);
    for (const body of scene.bodies) {
      body.shapes.forEach((s) => this.drawShape({ ...s, color: [0, 0, 0] }, 0.2 * body.alpha));
    }
    gl.uniform1f(u.flatten, 0);
    gl.uniform1f(u.lit, 1);
    gl.depthMask(true);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    gl.disable(gl.STENCIL_TEST);
  }

  drawGhost(body) {
    // depth first, then colour where it is the front surface: no overlapping insides show through
    const gl = this.gl;
    gl.colorMask(false, false, false, false);
    body.shapes.forEach((s) => this.drawShape(s, 1));
    gl.colorMask(true, true, true, true);
    gl.depthFunc(gl.LEQUAL);
    body.shapes.forEach((s) => this.drawShape(s, body.alpha));
    gl.depthFunc(gl.LESS);
  }

  drawMesh(mesh, model, size, half, color, alpha) {
    const gl = this.gl;
    const u = this.shape.uniforms;
    gl.uniformMatrix4fv(u.model, false, model);
    gl.uniform3fv(u.size, size);
    gl.uniform1f(u.halfLength, half);
    gl.uniform4f(u.color, color[0], color[1], color[2], alpha);
    gl.bindVertexArray(mesh.vao);
    gl.drawArrays(gl.TRIANGLES, 0, mesh.count);
  }

  solidMesh(solid) {
    this.solids ||= new Map();
    if (!this.solids.has(solid)) {
      const vertices = [];
      for (let i = 0; i < solid.corners.length; i += 9) {
        const [a, b, c] = [0, 3, 6].map((k) => [0, 1, 2].map((j) => solid.corners[i + k + j]));
        const n = V.unit(V.cross(V.sub(b, a), V.sub(c, a)));
        for (const v of [a, b, c]) vertices.push(...v, ...n, 0);
      }
      const mesh = { vertices };
      this.upload(mesh);
      this.solids.set(solid, mesh);
    }
    return this.solids.get(solid);
  }

  drawShape(s, alpha) {
    const model = matrixOf(s.q, s.p);
    const [a, b, c] = s.size;
    const m = this.meshes;
    if (s.kind === "solid") this.drawMesh(this.solidMesh(s.solid), model, [1, 1, 1], 0, s.color, alpha);
    else if (s.kind === "box") this.drawMesh(m.box, model, s.size, 0, s.color, alpha);
    else if (s.kind === "sphere") this.drawMesh(m.ball, model, [a, a, a], 0, s.color, alpha);
    else if (s.kind === "capsule") this.drawMesh(m.ball, model, [a, a, a], b, s.color, alpha);
    else if (s.kind === "cylinder") this.drawMesh(m.tube, model, [a, a, b], 0, s.color, alpha);
    else this.drawMesh(m.ball, model, [a, b, c], 0, s.color, alpha);
  }

  drawArrow({ from, to, color }, alpha) {
    const d = V.sub(to, from);
    const length = V.norm(d);
    if (length < 0.02) return;
    const q = Q.fromZ(V.unit(d));
    const head = Math.min(0.09, 0.5 * length);
    const shaft = length - head;
    const middle = V.add(from, V.scale(V.unit(d), shaft / 2));
    const tip = V.add(from, V.scale(V.unit(d), shaft + head / 2));
    this.drawMesh(this.meshes.tube, matrixOf(q, middle), [0.012, 0.012, shaft / 2], 0, color, alpha);
    this.drawMesh(this.meshes.cone, matrixOf(q, tip), [0.034, 0.034, head / 2], 0, color, alpha);
  }

  drawDot({ p, r, color, onTop }) {
    if (onTop) this.gl.disable(this.gl.DEPTH_TEST);
    this.drawMesh(this.meshes.ball, matrixOf([1, 0, 0, 0], p), [r, r, r], 0, color, 1);
    if (onTop) this.gl.enable(this.gl.DEPTH_TEST);
  }
}

/** Unit sphere whose halves carry end = +1 and -1, so that a capsule is a sphere pulled apart at the equator. */
function ballMesh(rings = 16, sides = 24) {
  const at = (i, j) => {
    const [a, b] = [(i / rings) * Math.PI, (j / sides) * 2 * Math.PI];
    return [Math.sin(a) * Math.cos(b), Math.sin(a) * Math.sin(b), Math.cos(a)];
  };
  const vertices = [];
  const put = (p, end) => vertices.push(...p, ...p, end);
  for (let i = 0; i < rings; i++) {
    const end = i < rings / 2 ? 1 : -1;
    for (let j = 0; j < sides; j++) {
      const [a, b, c, d] = [at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)];
      for (const p of [a, b, c, a, c, d]) put(p, end);
      if (i === rings / 2 - 1) {
        for (const [p, e] of [[b, 1], [b, -1], [c, -1], [b, 1], [c, -1], [c, 1]]) put(p, e);
      }
    }
  }
  return { vertices };
}

function boxMesh() {
  const vertices = [];
  for (let axis = 0; axis < 3; axis++) {
    for (const sign of [-1, 1]) {
      const n = [0, 0, 0];
      n[axis] = sign;
      for (const [a, b] of [[-1, -1], [1, -1], [1, 1], [-1, -1], [1, 1], [-1, 1]]) {
        const p = [0, 0, 0];
        p[axis] = sign;
        p[(axis + 1) % 3] = a;
        p[(axis + 2) % 3] = b;
        vertices.push(...p, ...n, 0);
      }
    }
  }
  return { vertices };
}

/** Cylinder (top = 1) or cone (top = 0) along z, from -1 to 1, with caps. */
function coneMesh(top, sides = 24) {
  const vertices = [];
  const put = (r, z, c, n) => vertices.push(r * Math.cos(c), r * Math.sin(c), z, ...n, 0);
  for (let j = 0; j < sides; j++) {
    const [a, b] = [j, j + 1].map((k) => (k / sides) * 2 * Math.PI);
    const slope = (1 - top) / 2;
    const [na, nb] = [a, b].map((c) => V.unit([Math.cos(c), Math.sin(c), slope]));
    for (const [r, z, c, n] of [[1, -1, a, na], [1, -1, b, nb], [top, 1, b, nb], [1, -1, a, na], [top, 1, b, nb], [top, 1, a, na]]) {
      put(r, z, c, n);
    }
    for (const [z, r] of [[-1, 1], [1, top]]) {
      put(0, z, a, [0, 0, z]);
      put(r, z, a, [0, 0, z]);
      put(r, z, b, [0, 0, z]);
    }
  }
  return { vertices };
}

function planeMesh() {
  const vertices = [];
  for (const [x, y] of [[-1, -1], [1, -1], [1, 1], [-1, -1], [1, 1], [-1, 1]]) vertices.push(x, y, 0, 0, 0, 1, 0);
  return { vertices };
}

/** Two triangles, each with its own normal, per cell of a grid of heights. */
function groundMesh({ origin, step, z }) {
  const [nx, ny] = z.shape;
  const vertices = [];
  const node = (i, j) => [origin[0] + i * step, origin[1] + j * step, z[i * ny + j]];
  for (let i = 0; i < nx - 1; i++) {
    for (let j = 0; j < ny - 1; j++) {
      const [a, b, c, d] = [node(i, j), node(i + 1, j), node(i + 1, j + 1), node(i, j + 1)];
      for (const [p, q, r] of [[a, b, c], [a, c, d]]) {
        const n = V.unit(V.cross(V.sub(q, p), V.sub(r, p)));
        if (!Number.isNaN(n[2])) for (const v of [p, q, r]) vertices.push(...v, ...n, 0);
      }
    }
  }
  return { vertices };
}

/** Drawing for browsers without WebGL: limbs as thick lines, boxes as edges, no shading. */
class WireStage {
  constructor(canvas, palette) {
    Object.assign(this, { canvas, palette, ctx: canvas.getContext("2d") });
  }

  resize() { GLStage.prototype.resize.call(this); }

  draw(scene, orbit) {
    this.resize();
    const { ctx, canvas } = this;
    const camera = orbit.matrix(canvas.width / canvas.height);
    const css = (c, a = 1) => `rgba(${c.map((x) => Math.round(255 * x)).join(",")},${a})`;
    this.project = (p) => {
      const c = [0, 1, 2, 3].map((r) => camera[r] * p[0] + camera[4 + r] * p[1] + camera[8 + r] * p[2] + camera[12 + r]);
      if (c[3] < 0.05) return null;
      return [(0.5 + (0.5 * c[0]) / c[3]) * canvas.width, (0.5 - (0.5 * c[1]) / c[3]) * canvas.height, c[3]];
    };
    ctx.fillStyle = css(this.palette.background);
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    const [cx, cy] = orbit.target.map(Math.round);
    const piece = scene.ground ? 0.125 : 8; // m of grid line drawn as one straight piece
    for (let k = -4; k <= 4; k++) {
      for (let s = -4; s < 4; s += piece) {
        for (const ends of [[[k, s], [k, s + piece]], [[s, k], [s + piece, k]]]) {
          const at = ends.map(([x, y]) => [cx + x, cy + y]);
          this.line(at.map((p) => [...p, heightAt(scene.ground, p)]), css(this.palette.gridline, 0.6), 1);
        }
      }
    }
    const pixel = canvas.height / (2 * Math.tan((34 * Math.PI) / 360));
    for (const body of scene.bodies) {
      const depth = (s) => (this.project(s.p) || [0, 0, 0])[2];
      for (const s of [...body.shapes].sort((a, b) => depth(b) - depth(a))) {
        const width = Math.max(2, (2 * s.size[0] * pixel) / Math.max(depth(s), 0.1));
        if (s.kind === "solid") this.solid(s, css(s.color, body.alpha));
        else if (s.kind === "box") this.box(s, css(s.color, body.alpha));
        else {
          const h = s.kind === "capsule" || s.kind === "cylinder" ? s.size[1] : 0.001;
          const ends = [-h, h].map((z) => V.add(s.p, Q.rotate(s.q, [0, 0, z])));
          this.line(ends, css(this.palette.background, body.alpha), width + 3);
          this.line(ends, css(s.color, body.alpha), width);
        }
      }
    }
    for (const a of scene.arrows) this.line([a.from, a.to], css(a.color), 4);
    for (const d of scene.dots) this.line([d.p, V.add(d.p, [0, 0, 0.001])], css(d.color), 8);
  }

  line(points, style, width) {
    const p = points.map(this.project);
    if (p.some((x) => !x)) return;
    const ctx = this.ctx;
    Object.assign(ctx, { strokeStyle: style, lineWidth: width, lineCap: "round" });
    ctx.beginPath();
    p.forEach((x, i) => (i ? ctx.lineTo(x[0], x[1]) : ctx.moveTo(x[0], x[1])));
    ctx.stroke();
  }

  solid(s, style) {
    const at = (i) => V.add(s.p, Q.rotate(s.q, [0, 1, 2].map((j) => s.solid.corners[i + j])));
    for (let i = 0; i < s.solid.corners.length; i += 9) this.line([at(i), at(i + 3), at(i + 6), at(i)], style, 1);
  }

  box(s, style) {
    const corner = (i) => V.add(s.p, Q.rotate(s.q, [0, 1, 2].map((k) => (i & (1 << k) ? 1 : -1) * s.size[k])));
    for (let i = 0; i < 8; i++) {
      for (const k of [1, 2, 4]) if (!(i & k)) this.line([corner(i), corner(i | k)], style, 2);
    }
  }
}
