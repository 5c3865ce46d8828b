// Streaming resampler between any two rates, by a windowed sinc.
const HALF = 16; // taps per side

export class Resampler {
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz;
    this.cutoff = Math.min(1, toHz / fromHz) * 0.95;
    this.held = new Float32Array(2 * HALF);
    this.at = HALF; // position of the next output in `held`
  }

  push(input) {
    if (this.step === 1) return input.slice();
    const held = new Float32Array(this.held.length + input.length);
    held.set(this.held);
    held.set(input, this.held.length);
    const out = [];
    while (this.at + HALF < held.length) {
      out.push(this.value(held, this.at));
      this.at += this.step;
    }
    const drop = Math.max(0, Math.floor(this.at) - HALF);
    this.held = held.slice(drop);
    this.at -= drop;
    return Float32Array.from(out);
  }

  value(held, at) {
    const centre = Math.floor(at);
    let sum = 0;
    for (let i = centre - HALF + 1; i <= centre + HALF; i++) {
      const x = i - at;
      const angle = Math.PI * x * this.cutoff;
      const sinc = Math.abs(x) < 1e-9 ? 1 : Math.sin(angle) / angle;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / HALF);
      sum += held[i] * sinc * window * this.cutoff;
    }
    return sum;
  }
}
