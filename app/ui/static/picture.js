// Draws the spectrogram and pitch contour of a turn on a canvas.
const WINDOW = 512;
const TOP_HZ = 5000;
const LOW_HZ = 70;
const HIGH_HZ = 400;

// In-place radix-2 FFT.
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= n; size <<= 1) {
    const angle = (-2 * Math.PI) / size;
    for (let start = 0; start < n; start += size) {
      for (let k = 0; k < size / 2; k++) {
        const c = Math.cos(angle * k);
        const s = Math.sin(angle * k);
        const a = start + k;
        const b = a + size / 2;
        const xr = re[b] * c - im[b] * s;
        const xi = re[b] * s + im[b] * c;
        re[b] = re[a] - xr;
        im[b] = im[a] - xi;
        re[a] += xr;
        im[a] += xi;
      }
    }
  }
}

// F0 in Hz at `count` points, by normalised autocorrelation; 0 where unvoiced.
export function pitch(samples, rate, count) {
  const step = Math.max(1, Math.floor(rate / 8000));
  const hz = rate / step;
  const low = new Float32Array(Math.floor(samples.length / step));
  for (let i = 0; i < low.length; i++) {
    for (let k = 0; k < step; k++) low[i] += samples[i * step + k] / step;
  }
  const size = Math.round(0.04 * hz);
  const shortest = Math.floor(hz / HIGH_HZ);
  const longest = Math.ceil(hz / LOW_HZ);
  const curve = new Float32Array(count);
  for (let column = 0; column < count; column++) {
    const start = Math.round((column / count) * (low.length - size - longest));
    if (start >= 0) curve[column] = pitchAt(low, start, size, shortest, longest, hz);
  }
  return curve;
}

function pitchAt(low, start, size, shortest, longest, hz) {
  let power = 0;
  for (let i = 0; i < size; i++) power += low[start + i] ** 2;
  if (power / size < 1e-5) return 0;
  const rho = new Float32Array(longest + 1);
  let top = 0;
  for (let lag = shortest; lag <= longest; lag++) {
    let cross = 0;
    let other = 0;
    for (let i = 0; i < size; i++) {
      cross += low[start + i] * low[start + i + lag];
      other += low[start + i + lag] ** 2;
    }
    rho[lag] = cross / Math.sqrt(power * other + 1e-12);
    top = Math.max(top, rho[lag]);
  }
  if (top < 0.6) return 0;
  let lag = shortest;
  while (rho[lag] < 0.92 * top) lag++;
  while (lag < longest && rho[lag + 1] > rho[lag]) lag++;
  return hz / lag;
}

export function draw(canvas, samples, rate, seconds) {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const width = (canvas.width = Math.max(120, Math.round(canvas.clientWidth * ratio)));
  const height = (canvas.height = Math.round(84 * ratio));
  const context = canvas.getContext('2d');
  const used = Math.max(1, Math.round(width * Math.min(1, samples.length / rate / seconds)));
  spectrogram(context, samples, rate, used, height);
  const curve = pitch(samples, rate, Math.min(used, 300));
  context.strokeStyle = '#fde047';
  context.lineWidth = 2 * ratio;
  context.beginPath();
  let joined = false;
  curve.forEach((hz, i) => {
    if (!hz) {
      joined = false;
      return;
    }
    const x = ((i + 0.5) / curve.length) * used;
    const y = height * (1 - Math.log(hz / LOW_HZ) / Math.log(HIGH_HZ / LOW_HZ));
    if (joined) context.lineTo(x, y);
    else context.moveTo(x, y);
    joined = true;
  });
  context.stroke();
  return curve;
}

function spectrogram(context, samples, rate, width, height) {
  const bins = Math.floor((TOP_HZ / rate) * WINDOW);
  const image = context.createImageData(width, height);
  const re = new Float32Array(WINDOW);
  const im = new Float32Array(WINDOW);
  for (let x = 0; x < width; x++) {
    const start = Math.round((x / width) * Math.max(0, samples.length - WINDOW));
    im.fill(0);
    for (let i = 0; i < WINDOW; i++) {
      re[i] = (samples[start + i] || 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
    }
    fft(re, im);
    for (let y = 0; y < height; y++) {
      const bin = Math.floor((1 - y / height) * (bins - 1));
      const db = 10 * Math.log10(re[bin] ** 2 + im[bin] ** 2 + 1e-9);
      const light = Math.max(0, Math.min(1, (db + 35) / 60));
      const at = 4 * (y * width + x);
      image.data[at] = 11 + 60 * light ** 2;
      image.data[at + 1] = 18 + 200 * light;
      image.data[at + 2] = 32 + 150 * light;
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}
