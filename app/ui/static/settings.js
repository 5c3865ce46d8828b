// The settings of a conversation.
import { options, shown } from './choices.js';

export class Settings {
  // `find(selector)` finds a widget; `onChange(name, value)` is called for each change.
  constructor(find, onChange) {
    this.find = find;
    this.onChange = onChange;
    // Changing the prompt resets the language model's context, so wait until editing ends.
    find('.rp-settings').addEventListener('input', ({ target }) => {
      if (target.name !== 'system_prompt') this.changed(target);
    });
    find('.rp-prompt textarea').addEventListener('change', ({ target }) => this.changed(target));
  }

  get voice() {
    return this.find('select[name=voice]').value;
  }

  show(offered) {
    const { settings, recognizer_caveat, detection_caveat } = offered;
    this.find('.rp-caveat').textContent = `${recognizer_caveat} ${detection_caveat}`.trim();
    for (const [name, choices] of Object.entries(options(offered))) this.fill(name, choices, settings[name]);
    this.showResponder();
    this.find('select[name=eagerness]').value = settings.eagerness === 'medium' ? 'auto' : settings.eagerness;
    const prompt = this.find('textarea[name=system_prompt]');
    if (document.activeElement !== prompt) prompt.value = settings.system_prompt;
    this.slide('silence_ms', settings.silence_ms);
  }

  // Who answers, without opening the settings.
  showResponder() {
    const chosen = this.find('select[name=responder]').selectedOptions[0];
    this.find('.rp-who').textContent = chosen ? `Answers come from ${chosen.text}.` : '';
  }

  fill(name, choices, chosen) {
    const select = this.find(`select[name=${name}]`);
    select.replaceChildren(...choices.map(([value, label]) => new Option(label, value)));
    if (choices.some(([value]) => value === chosen)) select.value = chosen;
  }

  slide(name, value) {
    const widget = this.find(`input[name=${name}]`);
    widget.value = value;
    widget.parentElement.querySelector('output').textContent = shown(name, value);
  }

  changed(widget) {
    const name = widget.name;
    let value = widget.value;
    if (widget.type === 'checkbox') value = widget.checked;
    if (widget.type === 'range') {
      value = Number(value);
      if (name === 'temperature' && value === 0) value = null;
      widget.parentElement.querySelector('output').textContent = shown(name, value);
    }
    if (name === 'responder') this.showResponder();
    this.onChange(name, value);
  }
}
