// The page's microphone and loudspeaker, around the two worklets.
import { openPlayer } from './player.js';

const RATE = 24000;

export class Audio {
  constructor() {
    this.context = null;
    this.onSound = () => {}; // (Int16Array)
    this.onPlayed = () => {}; // (report of the playback worklet)
    this.onLevel = () => {}; // (who, 0 to 1)
    this.sent = 0; // captured samples passed on
    this.anchor = null; // [index, context time] of a captured sample
    this.stream = null;
    this.replaying = null;
  }

  // Browsers require a call from a click or key press.
  async open() {
    if (this.context) return this.context.resume();
    try {
      this.context = new AudioContext({ sampleRate: RATE, latencyHint: 'interactive' });
    } catch {
      this.context = new AudioContext({ latencyHint: 'interactive' });
    }
    this.player = await openPlayer(this.context);
    this.player.connect(this.context.destination);
    this.player.port.onmessage = ({ data }) => {
      if (data.level !== undefined) this.onLevel('it', data.level);
      else this.onPlayed(data);
    };
    await this.context.resume();
  }

  async openMicrophone() {
    if (!navigator.mediaDevices) {
      throw new Error(
        'Browsers allow the microphone only over HTTPS or on localhost. Start the server ' +
        'with --self-signed (or a certificate: --ssl-keyfile and --ssl-certfile), or type below.',
      );
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
      });
    } catch (error) {
      throw new Error(explain(error));
    }
    let source;
    try {
      source = this.context.createMediaStreamSource(this.stream);
    } catch {
      this.closeMicrophone(); // the browser cannot combine two sample rates
      throw new Error('This browser cannot record at 24 kHz. Use another one, or type below.');
    }
    await this.context.audioWorklet.addModule(new URL('capture-worklet.js', import.meta.url));
    this.capture = new AudioWorkletNode(this.context, 'repartee-capture', { numberOfOutputs: 0 });
    this.capture.port.onmessage = ({ data }) => {
      this.sent += data.pcm.length;
      this.anchor = [this.sent, data.time];
      this.onLevel('you', data.level);
      this.onSound(data.pcm);
    };
    this.source = source;
    source.connect(this.capture);
  }

  closeMicrophone() {
    if (this.capture) {
      this.source.disconnect();
      this.capture.port.onmessage = null;
      this.capture = null;
    }
    for (const track of this.stream ? this.stream.getTracks() : []) track.stop();
    this.stream = null;
    this.onLevel('you', 0);
  }

  // The context time at which a captured sample was spoken.
  timeOf(sample) {
    if (!this.anchor) return null;
    return this.anchor[1] - (this.anchor[0] - sample) / RATE;
  }

  latency() {
    return this.context ? this.context.outputLatency || 0 : 0;
  }

  tell(message, transfer = []) {
    if (this.player) this.player.port.postMessage(message, transfer);
  }

  // Plays a finished turn; resolves when playback ends.
  async replay(buffer) {
    await this.open();
    this.stopReplay();
    const node = this.context.createBufferSource();
    node.buffer = buffer;
    node.connect(this.context.destination);
    this.replaying = node;
    return new Promise((resolve) => {
      node.onended = () => resolve(buffer.duration);
      node.start();
    });
  }

  stopReplay() {
    if (this.replaying) this.replaying.stop();
    this.replaying = null;
  }
}

function explain(error) {
  if (error.name === 'NotAllowedError') {
    return "Microphone access was denied. Allow it in the browser's address bar, or type below.";
  }
  if (error.name === 'NotFoundError') return 'No microphone found. Plug one in, or type below.';
  if (error.name === 'NotReadableError') return 'Another program is using the microphone. Close it, or type below.';
  return `The microphone cannot be used (${error.name}). Type below instead.`;
}
