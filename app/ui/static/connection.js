// The conversation's WebSocket (see PROTOCOL.md). Reconnects automatically.
const RETRIES = 6;
const MOST = 12000; // samples per message

export class Connection {
  constructor(handlers) {
    this.handlers = handlers; // onEvent(event), onSound(reply, start, Int16Array), onLost(), onGone(why)
    this.socket = null;
    this.session = null;
    this.settings = {};
    this.tries = 0;
    this.wanted = false;
    this.opening = null;
  }

  // Resolves when the session is open; concurrent calls share one connection.
  open() {
    if (this.ready) return Promise.resolve();
    if (!this.opening) this.opening = this.connect().finally(() => (this.opening = null));
    return this.opening;
  }

  connect() {
    this.wanted = true;
    let refused = '';
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/v1/conversation`);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.ready = false;
    return new Promise((resolve, reject) => {
      socket.onopen = () => {
        const start = { type: 'start', protocol: 1, sample_rate: 24000, settings: this.settings };
        if (this.session) start.session = this.session;
        socket.send(JSON.stringify(start));
      };
      socket.onmessage = ({ data }) => {
        if (typeof data !== 'string') return this.sound(data);
        const event = JSON.parse(data);
        if (event.type === 'session') {
          this.session = event.session;
          this.ready = true;
          this.tries = 0;
          this.handlers.onEvent(event);
          return resolve(event);
        }
        if (event.type === 'error' && event.fatal) {
          this.wanted = false;
          refused = event.message;
        }
        this.handlers.onEvent(event);
        return undefined;
      };
      socket.onclose = () => {
        reject(new Error(refused || 'Cannot reach the server.'));
        if (this.socket !== socket) return; // another conversation has started
        this.ready = false;
        if (this.wanted) this.again();
        else this.handlers.onGone(refused);
      };
    });
  }

  again() {
    this.handlers.onLost();
    if (this.tries++ >= RETRIES) {
      this.wanted = false;
      this.handlers.onGone('Connection lost. Press "Start talking" to try again.');
      return;
    }
    setTimeout(() => this.wanted && this.open().catch(() => {}), 300 * 2 ** this.tries);
  }

  sound(buffer) {
    const head = new DataView(buffer);
    this.handlers.onSound(head.getUint32(0, true), head.getUint32(4, true), new Int16Array(buffer, 8));
  }

  send(message) {
    if (this.ready) this.socket.send(JSON.stringify(message));
  }

  sendSound(pcm) {
    // drops audio on a slow connection instead of building up delay
    if (this.ready && this.socket.bufferedAmount < 96000) this.socket.send(pcm.buffer);
  }

  // Never dropped, since it ends the turn when no more audio follows.
  sendSilence(samples) {
    for (let left = samples; this.ready && left > 0; left -= MOST) {
      this.socket.send(new ArrayBuffer(2 * Math.min(left, MOST)));
    }
  }

  close() {
    this.wanted = false;
    this.send({ type: 'end' });
    if (this.socket) this.socket.close();
    this.socket = null;
    this.ready = false;
    this.session = null;
  }
}
