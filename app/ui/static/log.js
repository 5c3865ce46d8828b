// The conversation as messages: each question beside its answer, with spectrograms.
import { saidUntil } from './following.js';
import { draw } from './picture.js';

const PICTURE_S = 4; // pictures share one time scale up to this length

const NEAR_END = 160; // pixels; further from the end, new turns do not scroll the log

const SHOWN_CALL = 60; // characters of a function's arguments, and result, shown in its line

const SHOWN_LOST = 12; // words shown of the unheard part of an interrupted turn

export class Log {
  constructor(root, fetchTurn, replay) {
    this.root = root;
    this.fetchTurn = fetchTurn; // (number) -> AudioBuffer
    this.replay = replay; // (AudioBuffer) -> Promise
    this.turns = new Map();
    this.pair = null;
  }

  clear() {
    this.root.querySelectorAll('.rp-pair').forEach((one) => one.remove());
    this.turns.clear();
    this.pair = null;
    this.root.querySelector('.rp-empty').hidden = false;
  }

  // Adds or updates a turn, which is `final` once it is in the history.
  show(turn) {
    const followed = this.followed();
    const element = this.turns.get(turn.turn) || this.create(turn);
    element.dataset.live = !turn.final;
    element.setAttribute('aria-live', turn.final ? 'polite' : 'off');
    const unread = turn.wordless ? '(audio only)' : '(not understood)';
    element.querySelector('.rp-text').textContent = turn.text || (turn.final ? unread : '…');
    const lost = element.querySelector('.rp-lost');
    lost.textContent = '';
    if (turn.cut && turn.intended) lost.textContent = ' ' + rest(turn.intended, turn.text);
    if (turn.final) this.finish(element, turn);
    if (followed) this.root.scrollTop = this.root.scrollHeight;
  }

  // Highlights the words of a turn that have been played.
  light(number, words) {
    const text = this.turns.get(number)?.querySelector('.rp-text');
    if (!text) return;
    const whole = text.textContent;
    const said = document.createElement('span');
    said.className = 'rp-said';
    said.textContent = whole.slice(0, saidUntil(whole, words));
    text.replaceChildren(said, whole.slice(said.textContent.length));
  }

  followed() {
    return this.root.scrollHeight - this.root.scrollTop - this.root.clientHeight < NEAR_END;
  }

  // The user continues, so the turn is no longer final.
  reopen(number) {
    const element = this.turns.get(number);
    if (!element) return;
    element.dataset.live = true;
    element.querySelector('.rp-line').textContent = '';
    element.querySelector('canvas')?.remove();
  }

  // A new row of the conversation.
  begin() {
    this.pair = document.createElement('div');
    this.pair.className = 'rp-pair';
    this.root.append(this.pair);
  }

  create(turn) {
    this.root.querySelector('.rp-empty').hidden = true;
    if (turn.who === 'user' || !this.pair) this.begin();
    const element = document.createElement('article');
    element.className = 'rp-turn';
    element.dataset.who = turn.who;
    element.dataset.turn = turn.turn;
    element.innerHTML =
      '<h2></h2><p><span class="rp-text"></span><span class="rp-lost"></span></p><div class="rp-line"></div>';
    element.querySelector('h2').textContent = turn.who === 'user' ? 'You' : 'Repartee';
    this.pair.append(element);
    this.turns.set(turn.turn, element);
    return element;
  }

  // Shows a function call of the language model; its state is read out when it changes.
  call({ id, name, arguments: given }) {
    const followed = this.followed();
    this.root.querySelector('.rp-empty').hidden = true;
    if (!this.pair) this.begin();
    const element = document.createElement('details');
    element.className = 'rp-tool';
    element.dataset.call = id;
    element.innerHTML =
      '<summary><code></code> <span></span> <span role="status"></span></summary>' +
      '<dl><dt>Arguments</dt><dd><pre></pre></dd><dt>Result</dt><dd><pre></pre></dd></dl>';
    element.querySelector('code').textContent = name;
    element.querySelector('code + span').textContent = short(given);
    const [before, after] = element.querySelectorAll('pre');
    before.textContent = pretty(given);
    after.textContent = '…';
    this.pair.append(element);
    element.querySelector('[role=status]').textContent = 'is running';
    if (followed) this.root.scrollTop = this.root.scrollHeight;
  }

  returned({ call, result, failed, seconds }) {
    const element = this.root.querySelector(`.rp-tool[data-call="${CSS.escape(call)}"]`);
    if (!element) return;
    element.dataset.failed = failed;
    element.querySelectorAll('pre')[1].textContent = pretty(result);
    const state = failed ? 'failed' : 'returned';
    const status = `${state} after ${seconds.toFixed(1)} s: ${short(result)}`;
    element.querySelector('[role=status]').textContent = status;
  }

  finish(element, turn) {
    const line = element.querySelector('.rp-line');
    line.textContent = '';
    element.dataset.cut = turn.cut;
    const notes = [];
    if (turn.typed) notes.push('typed');
    if (turn.cut) notes.push('interrupted');
    if (turn.seconds) notes.push(`${turn.seconds.toFixed(1)} s`);
    if (turn.manner && turn.manner.f0_hz) notes.push(`${Math.round(turn.manner.f0_hz)} Hz`);
    if (turn.manner && turn.manner.word) notes.push(`sounds ${turn.manner.word}`);
    const first = turn.timings && turn.timings.first_audio_ms;
    if (first) notes.push(`first sound after ${Math.round(first)} ms`);
    if (turn.seconds) line.append(this.button(turn));
    const text = document.createElement('span');
    text.textContent = notes.join(' · ');
    line.append(text);
    if (turn.seconds && !element.querySelector('canvas')) this.picture(element, turn);
  }

  button(turn) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'rp-replay';
    button.textContent = '▶ Replay';
    button.setAttribute('aria-label', `Replay: ${turn.text}`);
    button.addEventListener('click', async () => this.replay(await this.fetchTurn(turn.turn)));
    return button;
  }

  async picture(element, turn) {
    const canvas = document.createElement('canvas');
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `Spectrogram and pitch curve of: ${turn.text}`);
    element.querySelector('.rp-line').before(canvas);
    const followed = this.followed();
    try {
      const buffer = await this.fetchTurn(turn.turn);
      const seconds = Math.max(PICTURE_S, buffer.duration);
      draw(canvas, buffer.getChannelData(0), buffer.sampleRate, seconds);
    } catch {
      canvas.remove();
    }
    if (followed) this.root.scrollTop = this.root.scrollHeight;
  }

  remove(number) {
    const element = this.turns.get(number);
    if (!element) return;
    this.turns.delete(number);
    const pair = element.parentElement;
    element.remove();
    if (!pair.children.length) {
      pair.remove();
      this.pair = this.root.querySelector('.rp-pair:last-of-type');
    }
  }
}

// The unheard part of an interrupted answer.
function rest(intended, heard) {
  const count = heard.split(/\s+/).filter(Boolean).length;
  const words = intended.split(/\s+/).slice(count);
  return words.length > SHOWN_LOST ? [...words.slice(0, SHOWN_LOST), '…'].join(' ') : words.join(' ');
}

function short(text) {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= SHOWN_CALL ? line : `${line.slice(0, SHOWN_CALL)}…`;
}

// JSON with line breaks; other text as it is.
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
