// Between a photo and the small aligned picture of the model, as mien.photos.aligning and mien.photos.editing do it.
// Coordinates are continuous pixels: the center of the first pixel is (0.5, 0.5). A matrix [a, b, c, d, e, f] maps
// (x, y) to (a x + b y + c, d x + e y + f).

export const MOST_PIXELS = 1024; // side of the intermediate picture; larger faces are reduced first
const BORDER = 4; // pixels around the part of the photo, for the filter
export const VISIBLE = 1 / 512; // smallest weight of the mask that can change a pixel

export const apply = (m, x, y) => [m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]];

// The similarity transform from points to points with the least squared error, without reflection (Umeyama 1991; in
// two dimensions, rotation and scale are one complex number).
export function similarity(source, target) {
  const mean = (points, axis) => points.reduce((sum, p) => sum + p[axis], 0) / points.length;
  const [sx, sy, tx, ty] = [mean(source, 0), mean(source, 1), mean(target, 0), mean(target, 1)];
  let [real, imaginary, norm] = [0, 0, 0];
  source.forEach((p, i) => {
    const [ax, ay, bx, by] = [p[0] - sx, p[1] - sy, target[i][0] - tx, target[i][1] - ty];
    real += ax * bx + ay * by;
    imaginary += ax * by - ay * bx;
    norm += ax * ax + ay * ay;
  });
  const [a, b] = [real / norm, imaginary / norm];
  return [a, -b, tx - a * sx + b * sy, b, a, ty - b * sx - a * sy];
}

export function inverse([a, b, c, d, e, f]) {
  const det = a * e - b * d;
  const [p, q, r, s] = [e / det, -b / det, -d / det, a / det];
  return [p, q, -(p * c + q * f), r, s, -(r * c + s * f)];
}

export const scaleOf = (m) => Math.sqrt(Math.abs(m[0] * m[4] - m[1] * m[3]));

const cornersOf = (m, size) => [[0, 0], [size, 0], [size, size], [0, size]].map(([x, y]) => apply(m, x, y));

function bounds(points) {
  const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

// Weights of Pillow's cubic filter (a = -1) at the distance t after the second of four pixels.
function cubic(t, w) {
  const u = 1 - t;
  w[0] = -t * u * u;
  w[1] = 1 + t * t * (t - 2);
  w[2] = 1 + u * u * (u - 2);
  w[3] = -u * t * t;
}

const mirror = (i, n) => {
  const k = ((i % (2 * n)) + 2 * n) % (2 * n);
  return k < n ? k : 2 * n - 1 - k;
};

// The part of a photo around the aligned picture as floats of RGB, continued by reflection and reduced by a factor.
function region(photo, left, top, right, bottom, factor) {
  const [x0, y0] = [Math.max(left, 0), Math.max(top, 0)];
  const [width, height] = [Math.min(right, photo.width) - x0, Math.min(bottom, photo.height) - y0];
  if (width < 1 || height < 1) throw new Error("the marks are outside the photo");
  const inside = photo.read(x0, y0, width, height);
  const [w, h] = [right - left, bottom - top];
  const [small, tall] = [Math.ceil(w / factor), Math.ceil(h / factor)];
  const data = new Float32Array(small * tall * 3);
  const columns = Array.from({ length: w }, (_, x) => mirror(left + x - x0, width));
  for (let y = 0; y < tall; y++) {
    for (let x = 0; x < small; x++) {
      let [r, g, b, n] = [0, 0, 0, 0];
      for (let v = y * factor; v < Math.min((y + 1) * factor, h); v++) {
        const row = mirror(top + v - y0, height) * width;
        for (let u = x * factor; u < Math.min((x + 1) * factor, w); u++) {
          const i = 4 * (row + columns[u]);
          r += inside[i]; g += inside[i + 1]; b += inside[i + 2]; n++;
        }
      }
      const o = 3 * (y * small + x);
      data[o] = Math.round(r / n); data[o + 1] = Math.round(g / n); data[o + 2] = Math.round(b / n);
    }
  }
  return { data, width: small, height: tall };
}

// The face of a photo at the place of the template: uint8 RGB of n x n pixels, for the editor, which reduces it to
// size x size with a filter. `matrix` maps pixels of the model to pixels of the photo.
export function align(photo, matrix, size) {
  const [x0, y0, x1, y1] = bounds(cornersOf(matrix, size));
  const [left, top] = [Math.floor(x0) - BORDER, Math.floor(y0) - BORDER];
  const [right, bottom] = [Math.ceil(x1) + BORDER, Math.ceil(y1) + BORDER];
  const scale = scaleOf(matrix);
  const factor = Math.max(1, Math.floor((scale * size) / MOST_PIXELS));
  const part = region(photo, left, top, right, bottom, factor);
  const n = size * Math.max(1, Math.ceil(scale / factor));
  const k = size / n;
  const [a, b, c] = [(matrix[0] * k) / factor, (matrix[1] * k) / factor, (matrix[2] - left) / factor];
  const [d, e, f] = [(matrix[3] * k) / factor, (matrix[4] * k) / factor, (matrix[5] - top) / factor];
  const out = new Uint8Array(n * n * 3);
  const [wx, wy] = [new Float64Array(4), new Float64Array(4)];
  const clip = (i, m) => (i < 0 ? 0 : i < m ? i : m - 1);
  for (let y = 0, o = 0; y < n; y++) {
    for (let x = 0; x < n; x++, o += 3) {
      const [px, py] = [a * (x + 0.5) + b * (y + 0.5) + c - 0.5, d * (x + 0.5) + e * (y + 0.5) + f - 0.5];
      const [ix, iy] = [Math.floor(px), Math.floor(py)];
      cubic(px - ix, wx);
      cubic(py - iy, wy);
      let [r, g, s] = [0, 0, 0];
      for (let j = 0; j < 4; j++) {
        const row = clip(iy - 1 + j, part.height) * part.width;
        for (let i = 0; i < 4; i++) {
          const p = 3 * (row + clip(ix - 1 + i, part.width));
          const weight = wx[i] * wy[j];
          r += weight * part.data[p]; g += weight * part.data[p + 1]; s += weight * part.data[p + 2];
        }
      }
      out[o] = Math.max(0, Math.min(255, r));
      out[o + 1] = Math.max(0, Math.min(255, g));
      out[o + 2] = Math.max(0, Math.min(255, s));
    }
  }
  return { data: out, side: n };
}

// One value of a plane of side x side pixels at (x, y), its last pixels repeated.
function sample(plane, side, x, y, wx, wy) {
  const [ix, iy] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
  cubic(x - 0.5 - ix, wx);
  cubic(y - 0.5 - iy, wy);
  let sum = 0;
  for (let j = 0; j < 4; j++) {
    const v = iy - 1 + j;
    const row = (v < 0 ? 0 : v < side ? v : side - 1) * side;
    for (let i = 0; i < 4; i++) {
      const u = ix - 1 + i;
      sum += wx[i] * wy[j] * plane[row + (u < 0 ? 0 : u < side ? u : side - 1)];
    }
  }
  return sum;
}

// Where the aligned picture lies in a photo: left, top, width, height.
export function placeOf(photo, matrix, size) {
  const [x0, y0, x1, y1] = bounds(cornersOf(matrix, size));
  const [left, top] = [Math.max(Math.floor(x0), 0), Math.max(Math.floor(y0), 0)];
  return [left, top, Math.min(Math.ceil(x1), photo.width) - left, Math.min(Math.ceil(y1), photo.height) - top];
}

// Add a change (planes of size x size, a difference of pictures in [-1, 1]) to RGBA pixels in place, weighted by a mask.
export function add(pixels, [left, top, width, height], matrix, size, change, mask) {
  const back = inverse(matrix);
  const planes = [];
  const count = change.length / (size * size);
  for (let channel = 0; channel < count; channel++) {
    planes.push(change.subarray(channel * size * size, (channel + 1) * size * size));
  }
  const [wx, wy] = [new Float64Array(4), new Float64Array(4)];
  const zoom = mask.side / size;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = apply(back, left + x + 0.5, top + y + 0.5);
      if (u < 0 || v < 0 || u > size || v > size) continue;
      const weight = sample(mask.data, mask.side, u * zoom, v * zoom, wx, wy);
      if (weight <= VISIBLE) continue;
      const o = 4 * (y * width + x);
      let value = 0;
      for (let channel = 0; channel < 3; channel++) {
        if (channel < count) value = sample(planes[channel], size, u, v, wx, wy); // gray changes all three
        pixels[o + channel] += 127.5 * value * weight; // the array rounds and clips
      }
    }
  }
}
