// The cloning tab's buttons: streams a text in the new voice.
import { Audio } from './audio.js';

const audio = new Audio();
let current = 0;

export function mount(element) {
  window.reparteeListen = { played: 0, underruns: 0, firstMs: null, finished: 0 };
  element.addEventListener('click', ({ target }) => {
    const button = target.closest('button[data-model]');
    if (button) listen(button, element).catch((error) => tell(element, String(error.message || error)));
  });
}

function tell(element, text) {
  const status = element.querySelector('[role=status]');
  if (status) status.textContent = text;
}

async function listen(button, element) {
  const figures = window.reparteeListen;
  const { voice, model, text } = button.dataset;
  audio.tell({ type: 'stop', reply: current, fadeMs: 30 });
  const reply = ++current;
  const asked = performance.now();
  await audio.open();
  audio.onPlayed = (report) => {
    figures.played = report.total;
    if (report.reply !== reply) return;
    if (report.underruns) figures.underruns += report.underruns;
    if (report.first) {
      figures.firstMs = Math.round(performance.now() - asked);
      tell(element, `${model}: first sound after ${figures.firstMs} ms`);
    }
    if (report.finished) figures.finished += 1;
  };
  const response = await fetch('/v1/audio/speech', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model, voice, input: text, response_format: 'pcm' }),
  });
  if (!response.ok) throw new Error(await reason(response));
  await play(response.body.getReader(), reply);
}

async function reason(response) {
  const body = await response.json().catch(() => ({}));
  return (body.error && body.error.message) || `the server answered ${response.status}`;
}

// Network chunks may end within a two-byte sample.
async function play(reader, reply) {
  let rest = new Uint8Array(0);
  let sent = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (reply !== current) return void reader.cancel();
    if (done) break;
    const bytes = new Uint8Array(rest.length + value.length);
    bytes.set(rest);
    bytes.set(value, rest.length);
    const whole = bytes.length & ~1;
    rest = bytes.slice(whole);
    const view = new DataView(bytes.buffer, 0, whole);
    const samples = new Float32Array(whole / 2);
    for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(2 * i, true) / 32767;
    sent += samples.length;
    audio.tell({ type: 'sound', reply, samples }, [samples.buffer]);
  }
  audio.tell({ type: 'sent', reply, samples: sent });
}
