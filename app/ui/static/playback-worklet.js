// The loudspeaker: plays replies from a queue, and reports exactly how much was played.
import { Resampler } from './resampler.js';

const RATE = 24000;
const START_S = 0.06; // audio buffered before a reply starts
const MOST_START_S = 0.4; // largest such buffer, which grows after underruns
const AGAIN_S = 0.12; // audio buffered after an underrun
const REPORT_S = 0.1;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.reset(0);
    this.gain = 1;
    this.wanted = 1;
    this.underruns = 0;
    this.start = START_S;
    this.total = 0; // samples played, of all replies
    this.energy = 0;
    this.counted = 0;
    this.port.onmessage = ({ data }) => this[data.type](data);
  }

  reset(reply) {
    this.reply = reply;
    this.queue = [];
    this.offset = 0;
    this.buffered = 0;
    this.played = 0; // in samples at 24 kHz
    this.whole = -1;
    this.running = false;
    this.fading = 0;
    this.stopped = false;
    this.resampler = new Resampler(RATE, sampleRate);
    this.reported = 0;
    this.begun = false;
  }

  // for another conversation, whose reply numbers restart at 1
  clear() {
    this.reset(0);
    this.gain = this.wanted = 1;
  }

  sound({ reply, samples }) {
    if (reply !== this.reply) {
      this.reset(reply);
      this.gain = this.wanted = 1;
    }
    if (this.stopped) return;
    const piece = this.resampler.push(samples);
    this.queue.push(piece);
    this.buffered += piece.length;
  }

  // all samples of the reply have been sent
  sent({ reply, samples }) {
    if (reply !== this.reply || this.stopped) return;
    const rest = this.resampler.step === 1 ? null : this.resampler.push(new Float32Array(32));
    if (rest) {
      this.queue.push(rest);
      this.buffered += rest.length;
    }
    this.whole = samples;
    if (!this.running && this.begun && !this.buffered) {
      // all were played before this message arrived
      this.played = samples;
      this.report({ finished: true });
    }
  }

  // no gain at all: playback pauses, until there is some again
  duck({ gain }) {
    this.wanted = gain;
  }

  held() {
    return this.running && this.wanted === 0 && this.gain < 0.01 && !this.fading;
  }

  stop({ reply, fadeMs }) {
    if (reply !== this.reply) return;
    const silent = !this.running || this.held();
    this.stopped = true;
    this.fading = Math.max(1, Math.round((fadeMs / 1000) * sampleRate));
    this.fadeStep = this.gain / this.fading;
    if (silent) this.end();
  }

  end() {
    this.queue = [];
    this.buffered = 0;
    this.running = false;
    this.fading = 0;
    this.gain = this.wanted = 1;
    this.report({ stopped: true, time: currentTime });
  }

  report(more) {
    const played = this.whole >= 0 ? Math.min(this.played, this.whole) : this.played;
    this.port.postMessage({ reply: this.reply, played: Math.round(played), total: this.total, ...more });
  }

  ready() {
    if (this.whole >= 0) return this.buffered > 0;
    return this.buffered >= (this.begun ? AGAIN_S : this.start) * sampleRate;
  }

  process(_, outputs) {
    const out = outputs[0][0];
    if (!this.running && this.ready() && !this.stopped) {
      this.running = true;
      if (!this.begun) this.report({ first: true, time: currentTime });
      this.begun = true;
    }
    if (this.running && !this.held()) {
      this.fill(out);
      if (this.held()) this.report({ held: true, time: currentTime });
    }
    for (let i = 1; i < outputs[0].length; i++) outputs[0][i].set(out);
    this.level(out);
    return true;
  }

  fill(out) {
    let count = 0;
    while (count < out.length && this.queue.length) {
      const piece = this.queue[0];
      out[count++] = piece[this.offset++] * this.gain;
      if (this.offset === piece.length) {
        this.queue.shift();
        this.offset = 0;
      }
      if (this.fading) {
        this.gain -= this.fadeStep;
        if (--this.fading === 0) {
          this.advance(count);
          this.end();
          return;
        }
      } else {
        this.gain += (this.wanted - this.gain) * 0.004; // about 10 ms
      }
    }
    this.advance(count);
    if (count < out.length) this.ranOut();
    else if (this.played - this.reported > REPORT_S * RATE) {
      this.reported = this.played;
      this.report({});
    }
  }

  advance(count) {
    this.buffered -= count;
    this.total += count;
    this.played += (count * RATE) / sampleRate;
  }

  ranOut() {
    this.running = false;
    if (this.whole >= 0) {
      this.played = this.whole;
      this.start = Math.max(START_S, 0.8 * this.start);
      this.report({ finished: true });
    } else if (this.fading) {
      this.end();
    } else {
      this.underruns += 1;
      this.start = Math.min(MOST_START_S, 2 * this.start);
      this.report({ underruns: 1 });
    }
  }

  level(out) {
    for (const value of out) this.energy += value * value;
    this.counted += out.length;
    if (this.counted >= sampleRate / 15) {
      this.port.postMessage({ level: Math.sqrt(this.energy / this.counted) });
      this.energy = this.counted = 0;
    }
  }
}

registerProcessor('repartee-playback', Playback);
