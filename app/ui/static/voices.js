// Buttons that play a sample of each voice.

// `play(name)` plays a sample and resolves when it ends.
export class Voices {
  constructor(group, play, tell) {
    this.group = group;
    this.play = play;
    this.tell = tell;
  }

  offer(voices) {
    const names = voices.map((one) => one.name).join();
    if (this.group.dataset.names === names) return; // keeps the keyboard focus
    this.group.dataset.names = names;
    this.group.querySelector('div').replaceChildren(...voices.map((voice) => this.button(voice)));
  }

  button({ name, description }) {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.voice = name;
    button.textContent = `▶ ${name}`;
    button.title = description;
    button.setAttribute('aria-label', `Hear ${name}: ${description}`);
    button.addEventListener('click', () => this.hear(button, name));
    return button;
  }

  async hear(button, name) {
    this.group.querySelectorAll('[data-playing]').forEach((one) => delete one.dataset.playing);
    button.dataset.playing = 'yes';
    try {
      await this.play(name);
    } catch (error) {
      this.tell(error.message);
    } finally {
      delete button.dataset.playing;
    }
  }
}

// Fetches a voice's sample, which the browser caches.
export async function sampleOf(name, context) {
  const response = await fetch(`/v1/audio/voices/${encodeURIComponent(name)}/sample`);
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new Error((body.error && body.error.message) || `The server answered ${response.status}.`);
  }
  return context.decodeAudioData(await response.arrayBuffer());
}
