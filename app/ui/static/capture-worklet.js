// The microphone: mono, 24 kHz, int16, 20 ms per message.
import { Resampler } from './resampler.js';

const RATE = 24000;
const FRAME = 480;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    const mono = new Float32Array(channels.length ? channels[0].length : 128);
    for (const channel of channels) {
      for (let i = 0; i < mono.length; i++) mono[i] += channel[i] / channels.length;
    }
    for (const value of this.resampler.push(mono)) {
      this.energy += value * value;
      this.frame[this.filled++] = Math.round(Math.max(-1, Math.min(1, value)) * 32767);
      if (this.filled === FRAME) this.send();
    }
    return true;
  }

  send() {
    const pcm = this.frame.slice();
    const level = Math.sqrt(this.energy / FRAME);
    // `time` is the context time of the frame's last sample
    this.port.postMessage({ pcm, level, time: currentTime + 128 / sampleRate }, [pcm.buffer]);
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor('repartee-capture', Capture);
