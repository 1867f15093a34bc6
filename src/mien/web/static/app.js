// The page: a photo, three marks, sliders. Everything happens here; the only requests are for the files of the page.

import * as ort from "./runtime/ort.wasm.min.mjs";
import { add, align, placeOf, similarity } from "./geometry.js";

const PREVIEW = 1100; // longer side of the picture on the page
const LARGEST = 50e6; // pixels of a photo
const FIRST = 8; // sliders before "all"
const NAMES = ["eye on the left", "eye on the right", "middle of the mouth"];
const MOST = 3; // largest amount

const $ = (id) => document.getElementById(id);
const state = { about: null, session: null, masks: null, photo: null, points: [], aligned: null, amounts: null, view: null };
let running = false;
let waiting = false;

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

// --- the model ------------------------------------------------------------------------------------------------------

async function get(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer;
}

async function load() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("./runtime/", document.baseURI).href;
  state.about = await (await get("editor.json")).json();
  state.amounts = new Float32Array(state.about.attributes.length);
  buildSliders();
  const bias = `Labels such as “attractive” or “male” are judgments of people about photos and carry their bias; do not
    use them to judge anyone.`;
  $("terms").textContent = `Model: ${state.about.run}. ${state.about.license} ${state.about.points ? bias : ""}`.replace(/\s+/g, " ");
  const model = await (await get("editor.onnx")).arrayBuffer();
  state.masks = { face: await readMask("mask-face.png"), whole: await readMask("mask-whole.png") };
  state.session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  document.documentElement.dataset.model = "ready";
}

async function readMask(name) {
  const image = new Image();
  image.src = name;
  await image.decode();
  const canvas = canvasOf(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const pixels = canvas.getContext("2d").getImageData(0, 0, image.width, image.height).data;
  return { side: image.width, data: Float32Array.from({ length: pixels.length / 4 }, (_, i) => pixels[4 * i] / 255) };
}

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d", { willReadFrequently: true });
  return canvas;
}

// --- the photo ------------------------------------------------------------------------------------------------------

async function open(file) {
  say("Reading the photo…");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    say(`${file.name || "This file"} cannot be read as a picture. Choose a JPEG, PNG or WebP file.`, true);
    return;
  }
  if (bitmap.width * bitmap.height > LARGEST) {
    say(`This photo has ${Math.round((bitmap.width * bitmap.height) / 1e6)} megapixels. Choose one of at most 50.`, true);
    return;
  }
  if (Math.min(bitmap.width, bitmap.height) < 16) {
    say(`This photo has ${bitmap.width} × ${bitmap.height} pixels. Choose a larger one.`, true);
    return;
  }
  const full = canvasOf(bitmap.width, bitmap.height);
  full.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  const read = (x, y, w, h) => full.getContext("2d").getImageData(x, y, w, h).data;
  const [width, height] = [full.width, full.height];
  state.photo = { full, width, height, read, name: file.name || "photo", type: file.type };
  $("drop").hidden = $("sample").hidden = true;
  $("frame").hidden = $("other").hidden = false;
  $("stage").classList.add("ready");
  markAgain();
  if (!state.about.points) useMiddle();
}

function markAgain() {
  state.points = [];
  state.aligned = null;
  last = [null, null];
  document.querySelectorAll(".marker").forEach((one) => one.remove());
  $("photo").classList.add("marking");
  $("stage").classList.remove("marked");
  $("compare").hidden = $("download").hidden = $("mark").hidden = $("zoom").hidden = true;
  enable(false);
  look(false);
  ask();
}

function ask() {
  const next = NAMES[state.points.length];
  if (!next) return;
  say("");
  $("status").append(`${state.points.length + 1} of 3: click the `, Object.assign(document.createElement("b"), { textContent: next }), ".");
}

// Show the whole photo, or the face and what is around it.
function look(atFace) {
  const { full, width, height } = state.photo;
  let [x, y, w, h] = [0, 0, width, height];
  if (atFace) {
    const [left, top, across, down] = placeOf(state.photo, state.aligned.matrix, state.about.size[0]);
    const margin = 0.25 * Math.max(across, down);
    [x, y] = [Math.max(0, Math.floor(left - margin)), Math.max(0, Math.floor(top - margin))];
    w = Math.min(width, Math.ceil(left + across + margin)) - x;
    h = Math.min(height, Math.ceil(top + down + margin)) - y;
  }
  const factor = Math.min(PREVIEW / Math.max(w, h), Math.max(1, Math.min(4, 640 / Math.max(w, h))));
  const small = canvasOf(Math.max(1, Math.round(w * factor)), Math.max(1, Math.round(h * factor)));
  small.getContext("2d").imageSmoothingQuality = "high";
  small.getContext("2d").drawImage(full, x, y, w, h, 0, 0, small.width, small.height);
  state.view = { x, y, w, h, small, atFace };
  [$("photo").width, $("photo").height] = [small.width, small.height];
  $("zoom").textContent = atFace ? "Whole photo" : "Face";
  document.querySelectorAll(".marker").forEach((one) => one.dispatchEvent(new Event("place")));
  show(...last);
}

// For a model of other pictures than faces: the largest centered square.
function useMiddle() {
  const { width, height } = state.photo;
  const [size] = state.about.size;
  const scale = Math.min(width, height) / size;
  ready([scale, 0, (width - scale * size) / 2, 0, scale, (height - scale * size) / 2]);
}

function mark(x, y) {
  if (!state.photo || !state.about.points || state.points.length === 3) return;
  state.points.push([x, y]);
  addMarker(state.points.length - 1);
  state.points.length === 3 ? useMarks() : ask();
}

function addMarker(index) {
  const marker = document.createElement("button");
  marker.type = "button";
  marker.className = "marker";
  marker.setAttribute("aria-label", `Mark: ${NAMES[index]}. Arrow keys move it.`);
  $("frame").append(marker);
  const place = () => {
    const [[px, py], { x, y, w, h }] = [state.points[index], state.view];
    marker.style.left = `${(100 * (px - x)) / w}%`;
    marker.style.top = `${(100 * (py - y)) / h}%`;
  };
  const move = (x, y) => {
    const { width, height } = state.photo;
    state.points[index] = [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
    place();
  };
  marker.addEventListener("place", place);
  const changed = () => state.points.length === 3 && useMarks();
  marker.addEventListener("pointerdown", (event) => {
    marker.setPointerCapture(event.pointerId);
    event.preventDefault();
    marker.focus();
  });
  marker.addEventListener("pointermove", (event) => {
    if (marker.hasPointerCapture(event.pointerId)) move(...inPhoto(event));
  });
  marker.addEventListener("pointerup", changed);
  marker.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const unit = state.view.w / $("photo").clientWidth;
    move(state.points[index][0] + unit * step[0], state.points[index][1] + unit * step[1]);
    changed();
  });
  place();
}

function inPhoto(event) {
  const box = $("photo").getBoundingClientRect();
  const { x, y, w, h } = state.view;
  return [x + ((event.clientX - box.left) / box.width) * w, y + ((event.clientY - box.top) / box.height) * h];
}

function useMarks() {
  const [left, right, mouth] = state.points;
  const eyes = Math.hypot(right[0] - left[0], right[1] - left[1]);
  // the mouth lies to the right of the line from eye to eye, seen along it
  const side = (right[0] - left[0]) * (mouth[1] - left[1]) - (right[1] - left[1]) * (mouth[0] - left[0]);
  if (eyes < 8 || side / eyes < 0.3 * eyes) {
    enable(false);
    $("mark").hidden = false;
    say("These marks are not those of a face: the eye on the left of the face comes first. Move them, or mark again.", true);
    return;
  }
  ready(similarity(state.about.points, state.points));
}

function ready(matrix) {
  const first = !state.aligned;
  try {
    state.aligned = { matrix, ...align(state.photo, matrix, state.about.size[0]) };
  } catch (error) {
    say(`The face cannot be cut out: ${error.message}.`, true);
    return;
  }
  $("photo").classList.remove("marking");
  $("stage").classList.add("marked");
  $("compare").hidden = $("download").hidden = $("zoom").hidden = false;
  $("mark").hidden = !state.about.points;
  enable(true);
  say("Move a slider. The marks can be moved too.");
  if (first) look(Boolean(state.about.points));
  update();
}

// --- the sliders ----------------------------------------------------------------------------------------------------

function buildSliders() {
  const rows = state.about.attributes;
  rows.forEach((one, position) => {
    const row = document.createElement("label");
    row.className = "slider";
    row.hidden = position >= FIRST;
    const name = document.createElement("span");
    name.textContent = one.name.replaceAll("_", " ");
    const gain = document.createElement("small");
    gain.textContent = one.gain === null ? "not measured" : `works ${Math.round(100 * Math.min(Math.max(one.gain, 0), 1))}%`;
    gain.title = "How much of the way to real photos with this attribute an edit goes, as a judge measured it";
    name.append(gain);
    const output = document.createElement("output");
    output.textContent = "0";
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: -MOST, max: MOST, step: 0.1, value: 0, disabled: true });
    input.id = `slider-${one.name}`;
    const change = () => {
      const amount = Number(input.value);
      state.amounts[one.index] = amount;
      output.textContent = amount ? `${amount > 0 ? "+" : "−"}${Math.abs(amount).toFixed(1)}` : "0";
      row.classList.toggle("on", amount !== 0);
      update();
    };
    input.addEventListener("input", change);
    input.addEventListener("dblclick", () => { input.value = 0; change(); });
    row.append(name, output, input);
    $("sliders").append(row);
  });
  $("more").textContent = `All ${rows.length} changes`;
  $("more").hidden = rows.length <= FIRST;
}

function enable(on) {
  document.querySelectorAll(".slider input").forEach((input) => { input.disabled = !on; });
  $("reset").disabled = !on;
}

// --- the edit -------------------------------------------------------------------------------------------------------

const maskNow = () => (state.about.attributes.some((one) => one.whole && state.amounts[one.index]) ? state.masks.whole : state.masks.face);

async function changeNow() {
  const { data, side } = state.aligned;
  const answer = await state.session.run({
    input: new ort.Tensor("uint8", data, [1, side, side, 3]),
    amounts: new ort.Tensor("float32", state.amounts, [1, state.amounts.length]),
  }, ["change"]);
  return answer.change.data;
}

// One edit at a time; the last amounts win.
async function update() {
  if (!state.aligned || !state.session) return;
  if (running) { waiting = true; return; }
  running = true;
  try {
    do {
      waiting = false;
      const [mask, aligned] = [maskNow(), state.aligned];
      const change = state.amounts.some(Boolean) ? await changeNow() : null;
      if (aligned === state.aligned) show(change, mask);
      document.documentElement.dataset.shown = state.amounts.join();
      await new Promise(requestAnimationFrame);
    } while (waiting);
  } catch (error) {
    say(`The edit failed: ${error.message}`, true);
  } finally {
    running = false;
  }
}

let last = [null, null];
function show(change = null, mask = null) {
  last = [change, mask];
  $("compare").setAttribute("aria-pressed", "false");
  paint($("photo"), state.view.small, state.view, change, mask);
}

// Draw a part of the photo, at any size, with a change.
function paint(target, source, part, change, mask) {
  const context = target.getContext("2d");
  context.drawImage(source, 0, 0);
  if (!change) return;
  const [size] = state.about.size;
  const [across, down] = [source.width / part.w, source.height / part.h];
  const [a, b, c, d, e, f] = state.aligned.matrix;
  const matrix = [a * across, b * across, (c - part.x) * across, d * down, e * down, (f - part.y) * down];
  const place = placeOf(source, matrix, size);
  if (place[2] < 1 || place[3] < 1) return;
  const pixels = context.getImageData(...place);
  add(pixels.data, place, matrix, size, change, mask);
  context.putImageData(pixels, place[0], place[1]);
}

async function download() {
  const button = $("download");
  button.disabled = true;
  try {
    const { full, type, name } = state.photo;
    const out = canvasOf(full.width, full.height);
    const mask = maskNow();
    const whole = { x: 0, y: 0, w: full.width, h: full.height };
    paint(out, full, whole, state.amounts.some(Boolean) ? await changeNow() : null, mask);
    const jpeg = type === "image/jpeg";
    const blob = await new Promise((done) => out.toBlob(done, jpeg ? "image/jpeg" : "image/png", 0.95));
    if (!blob) throw new Error("the browser cannot write a picture of this size");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name.replace(/\.[^.]*$/, "")}-edited.${jpeg ? "jpg" : "png"}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  } catch (error) {
    say(`The download failed: ${error.message}`, true);
  } finally {
    button.disabled = false;
  }
}

// --- events ---------------------------------------------------------------------------------------------------------

// Show the original, or the edited photo again.
function compare(original) {
  $("compare").setAttribute("aria-pressed", String(original));
  if (state.aligned) paint($("photo"), state.view.small, state.view, ...(original ? [null, null] : last));
}

$("file").addEventListener("change", (event) => event.target.files[0] && open(event.target.files[0]));
$("photo").addEventListener("click", (event) => mark(...inPhoto(event)));
$("mark").addEventListener("click", markAgain);
$("download").addEventListener("click", download);
$("zoom").addEventListener("click", () => look(!state.view.atFace));
$("other").addEventListener("click", () => { $("file").value = ""; $("file").click(); });
$("more").addEventListener("click", () => {
  document.querySelectorAll(".slider").forEach((row) => { row.hidden = false; });
  $("more").hidden = true;
});
$("reset").addEventListener("click", () => {
  document.querySelectorAll(".slider input").forEach((input) => {
    if (Number(input.value)) { input.value = 0; input.dispatchEvent(new Event("input")); }
  });
});
$("compare").addEventListener("click", () => compare($("compare").getAttribute("aria-pressed") !== "true"));
$("sample").addEventListener("click", async () => {
  try {
    const answer = await get("portrait.jpg");
    await open(new File([await answer.blob()], "portrait.jpg", { type: "image/jpeg" }));
  } catch (error) {
    say(`The portrait cannot be loaded: ${error.message}`, true);
    return;
  }
  const { width, height } = state.photo;
  state.about.portrait.forEach(([x, y]) => mark(x * width, y * height));
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    const file = name === "drop" && event.dataTransfer.files[0];
    if (file && state.session) open(file);
  });
}

$("photo").getContext("2d", { willReadFrequently: true });
$("file").disabled = $("sample").disabled = true;
load().then(() => {
  $("file").disabled = $("sample").disabled = false;
  say("Choose a photo that shows a face from the front.");
}).catch((error) => {
  say(`The model cannot be loaded (${error.message}). Serve this folder with a web server, such as python -m http.server.`, true);
});
