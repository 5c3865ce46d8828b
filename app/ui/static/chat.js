// The talk tab: connects the widgets with audio and WebSocket.
import { Audio } from './audio.js';
import { Connection } from './connection.js';
import { Log } from './log.js';
import { Settings } from './settings.js';
import { sampleOf, Voices } from './voices.js';
import { partsOf, waitLine } from './waits.js';

const STATES = {
  idle: 'Not started',
  listening: 'Listening',
  hearing: 'Hearing you',
  thinking: 'Thinking',
  speaking: 'Speaking',
  lost: 'Reconnecting',
};

const SILENCE = 84000; // samples, 3.5 s: longer than any silence that ends a turn

const RATE = 24000; // Hz

const SOUNDS = 12; // turns whose audio is cached

const INSECURE =
  'This page was loaded over plain HTTP, so the browser denies it the microphone. You can type; ' +
  'to talk, start the server with --self-signed (or a certificate: --ssl-keyfile and --ssl-certfile).';

// Unlike `disabled`, this keeps the keyboard focus.
function enable(button, on) {
  button.setAttribute('aria-disabled', !on);
}

function guarded(work) {
  return (event) => {
    if (event.currentTarget.getAttribute('aria-disabled') !== 'true') work(event);
  };
}

export function mount(root) {
  if (root.dataset.mounted) return;
  root.dataset.mounted = 'yes';
  window.repartee = new Chat(root);
}

class Chat {
  constructor(root) {
    this.find = (selector) => root.querySelector(selector);
    this.audio = new Audio();
    this.connection = new Connection({
      onEvent: (event) => this.receive(event),
      onSound: (reply, start, pcm) => this.play(reply, pcm),
      onLost: () => this.state('lost'),
      onGone: (why) => this.gone(why),
    });
    this.log = new Log(
      this.find('.rp-log'),
      (number) => this.fetchTurn(number),
      (buffer) => this.audio.replay(buffer).then((seconds) => this.figures.replays.push(seconds)),
    );
    this.voices = new Voices(
      this.find('.rp-voices'),
      (name) => this.hear(name),
      (text) => this.notice(text),
    );
    this.settings = new Settings(this.find, (name, value) => this.set(name, value));
    this.sounds = new Map();
    this.replies = new Map(); // reply -> { turn, speechEnd, first, asked }
    // measurements for the status line and for tests
    this.figures = { replies: [], played: 0, underruns: 0, stops: [], replays: [], levels: 0 };
    this.talking = false;
    this.audio.onSound = (pcm) => this.connection.sendSound(pcm);
    this.audio.onPlayed = (report) => this.played(report);
    this.audio.onLevel = (who, level) => this.level(who, level);
    this.wire();
    this.state('idle');
    this.offer();
  }

  wire() {
    const on = (selector, kind, work) => this.find(selector).addEventListener(kind, guarded(work));
    on('.rp-start', 'click', () => (this.talking ? this.stopTalking() : this.startTalking()));
    on('.rp-hush', 'click', () => this.connection.send({ type: 'stop' }));
    on('.rp-new', 'click', () => this.anew());
    on('.rp-download', 'click', () => this.download());
    on('.rp-sample', 'click', ({ currentTarget }) =>
      this.voices.hear(currentTarget, this.settings.voice));
    on('.rp-type', 'submit', (event) => {
      event.preventDefault();
      this.write();
    });
    this.notice('');
  }

  // Talking and typing

  async connect() {
    this.notice('');
    await this.audio.open();
    await this.connection.open();
    enable(this.find('.rp-new'), true);
  }

  async startTalking() {
    enable(this.find('.rp-start'), false);
    try {
      await this.connect();
      await this.audio.openMicrophone();
      this.pressed(true);
    } catch (error) {
      this.notice(error.message);
    } finally {
      enable(this.find('.rp-start'), true);
    }
  }

  // The server measures time in samples, so only silence lets it end the turn.
  stopTalking() {
    this.audio.closeMicrophone();
    this.connection.send({ type: 'stop' });
    this.connection.sendSilence(SILENCE);
    this.audio.sent += SILENCE;
    this.pressed(false);
  }

  pressed(talking) {
    this.talking = talking;
    const button = this.find('.rp-start');
    button.setAttribute('aria-pressed', talking);
    button.textContent = talking ? 'Stop talking' : 'Start talking';
  }

  async write() {
    const input = this.find('.rp-type input');
    const text = input.value.trim();
    if (!text) return;
    try {
      await this.connect();
      this.typedAt = this.audio.context.currentTime;
      this.connection.send({ type: 'text', text });
      input.value = '';
    } catch (error) {
      this.notice(error.message);
    }
  }

  anew() {
    this.audio.stopReplay();
    this.audio.tell({ type: 'clear' });
    this.audio.closeMicrophone();
    this.pressed(false);
    this.connection.close();
    this.log.clear();
    this.sounds.clear();
    this.state('idle');
    enable(this.find('.rp-new'), false);
    enable(this.find('.rp-download'), false);
    this.find('.rp-figures').textContent = '';
  }

  gone(why) {
    this.audio.closeMicrophone();
    this.pressed(false);
    this.state('idle');
    if (why) this.notice(why);
  }

  // Events from the server

  receive(event) {
    const work = this[`on_${event.type.replaceAll('.', '_')}`];
    if (work) work.call(this, event);
  }

  // Offers the settings before a conversation starts.
  async offer() {
    const response = await fetch('/v1/conversation');
    if (response.ok && !this.connection.session) this.choices(await response.json());
  }

  choices(offered) {
    this.voices.offer(offered.voices);
    this.settings.show(offered);
  }

  set(name, value) {
    this.connection.settings[name] = value;
    this.connection.send({ type: 'settings', settings: { [name]: value } });
  }

  on_session(event) {
    this.choices(event);
    if (!event.resumed) {
      this.log.clear();
      this.audio.tell({ type: 'clear' });
    }
    this.audio.sent = 0; // the server's count restarts
    this.audio.anchor = null;
    for (const turn of event.turns) this.log.show({ ...turn, final: true });
    enable(this.find('.rp-download'), event.turns.length > 0);
    this.state('listening');
  }

  on_state(event) {
    this.state(event.state);
  }

  on_partial(event) {
    if (event.text) this.log.show({ turn: event.turn, who: 'user', text: event.text });
  }

  on_speech_started() {
    this.notice(''); // clears earlier errors
  }

  on_turn(event) {
    this.sounds.delete(event.turn);
    const known = this.replies.get(event.reply);
    if (known && known.firstMs) {
      event.timings.first_audio_ms = known.firstMs;
      this.measured(known, event.timings);
    }
    this.log.show({ ...event, final: true });
    enable(this.find('.rp-download'), true);
  }

  on_turn_reopened(event) {
    this.sounds.delete(event.turn);
    this.log.reopen(event.turn);
  }

  on_turn_dropped(event) {
    this.log.remove(event.turn);
  }

  on_reply_started(event) {
    this.audio.stopReplay();
    this.replies.set(event.reply, { turn: event.turn, speechEnd: event.speech_end });
  }

  on_reply_text(event) {
    const reply = this.replies.get(event.reply);
    if (reply) this.log.show({ turn: reply.turn, who: 'agent', text: event.text });
  }

  on_reply_words(event) {
    const reply = this.replies.get(event.reply);
    if (reply) reply.words = [...(reply.words || []), ...event.words];
  }

  on_reply_dropped(event) {
    const reply = this.replies.get(event.reply);
    if (reply) this.log.remove(reply.turn);
  }

  on_reply_sent(event) {
    this.audio.tell({ type: 'sent', reply: event.reply, samples: event.samples });
  }

  on_reply_calls(event) {
    for (const call of event.calls) this.log.call(call);
  }

  on_tool_returned(event) {
    this.log.returned(event);
  }

  on_duck(event) {
    this.audio.tell({ type: 'duck', gain: event.gain });
  }

  on_restore() {
    this.heldAt = null;
    this.audio.tell({ type: 'duck', gain: 1 });
  }

  on_stop(event) {
    this.audio.tell({ type: 'stop', reply: event.reply, fadeMs: event.fade_ms });
  }

  on_notice(event) {
    this.notice(event.message);
  }

  on_error(event) {
    this.notice(event.message);
  }

  // Sound

  play(reply, pcm) {
    const samples = new Float32Array(pcm.length);
    for (let i = 0; i < pcm.length; i++) samples[i] = pcm[i] / 32767;
    this.audio.tell({ type: 'sound', reply, samples }, [samples.buffer]);
  }

  played(report) {
    this.figures.played = report.total;
    this.follow(report);
    if (report.first) this.measure(report);
    if (report.held) this.heldAt = report.time + this.audio.latency();
    if (report.stopped) {
      const silentAt = this.heldAt ?? report.time + this.audio.latency();
      this.figures.stops.push({ reply: report.reply, played: report.played, at: silentAt });
      this.heldAt = null;
    }
    if (report.underruns) this.figures.underruns += report.underruns;
    this.connection.send({
      type: 'playback',
      reply: report.reply,
      played: report.played,
      finished: Boolean(report.finished),
      stopped: Boolean(report.stopped),
      underruns: report.underruns || 0,
    });
  }

  follow({ reply, played, finished }) {
    const known = this.replies.get(reply);
    if (!known || !known.words || finished) return;
    const heard = known.words.filter(([, start]) => start < played / RATE);
    this.log.light(known.turn, heard.map(([word]) => word));
  }

  // Time from the end of the user's speech (or sending a typed turn) to the first sample played.
  measure({ reply, time }) {
    const known = this.replies.get(reply);
    if (!known) return;
    const spoken = known.speechEnd !== null && known.speechEnd !== undefined;
    const from = spoken ? this.audio.timeOf(known.speechEnd) : this.typedAt;
    if (from === null || from === undefined) return;
    known.firstMs = 1000 * (time + this.audio.latency() - from);
    known.spoken = spoken;
    if (spoken) this.connection.send({ type: 'measured', reply, first_audio_ms: known.firstMs });
    this.find('.rp-figures').textContent = `First sound after ${Math.round(known.firstMs)} ms`;
  }

  measured({ spoken, firstMs }, timings) {
    const { replies } = this.figures;
    replies.push({ spoken, first_audio_ms: firstMs, parts: partsOf(firstMs, timings) });
    this.find('.rp-figures').textContent = waitLine(replies);
  }

  level(who, rms) {
    const meter = this.find(who === 'you' ? '.rp-you' : '.rp-it');
    const value = rms > 0 ? Math.max(0, 1 + Math.log10(rms) / 2.5) : 0;
    meter.value = Math.max(value, meter.value * 0.8);
    if (who === 'it') this.figures.levels = Math.max(this.figures.levels, rms);
  }

  async hear(name) {
    await this.audio.open();
    await this.audio.replay(await sampleOf(name, this.audio.context));
  }

  async fetchTurn(number) {
    if (!this.sounds.has(number)) {
      await this.audio.open();
      const response = await fetch(`/v1/conversation/${this.connection.session}/turns/${number}.wav`);
      if (!response.ok) throw new Error('This turn has no audio.');
      this.sounds.set(number, await this.audio.context.decodeAudioData(await response.arrayBuffer()));
      // bounds memory in long conversations
      if (this.sounds.size > SOUNDS) this.sounds.delete(this.sounds.keys().next().value);
      return this.sounds.get(number);
    }
    return this.sounds.get(number);
  }

  async download() {
    const response = await fetch(`/v1/conversation/${this.connection.session}/dialogue.zip`);
    if (!response.ok) {
      this.notice('There is nothing to download yet.');
      return;
    }
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await response.blob());
    link.download = 'repartee-dialogue.zip';
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // Widgets

  state(state) {
    const element = this.find('.rp-state');
    element.dataset.state = state;
    element.querySelector('b').textContent = STATES[state] || state;
    enable(this.find('.rp-hush'), state === 'speaking');
  }

  // Shows a message; without one, why the microphone is unavailable, if it is.
  notice(text) {
    this.find('.rp-notice').textContent = text || (window.isSecureContext ? '' : INSECURE);
  }
}
