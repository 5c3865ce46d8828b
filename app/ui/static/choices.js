// What can be chosen, in words, where a name or a number does not say it.
const RESPONDERS = {
  'built-in': 'built-in (a short script, no language model)',
  'speech-to-speech': 'speech-to-speech (hears sound, knows only its topics)',
};

const DETECTIONS = {
  semantic_vad: 'how finished it sounds',
  server_vad: 'a silence',
};

const LANGUAGES = { en: 'English', zh: 'Mandarin' };

const named = (names, words) => names.map((one) => [one, words[one] || one]);

// What stands for "found in each turn".
function eitherOf(languages) {
  return languages.map((one) => LANGUAGES[one] || one).join(' or ') || 'any language';
}

// The options of each select, as [value, label].
export function options({ voices, predictors, responders, detections, languages }) {
  return {
    voice: voices.map((one) => [one.name, `${one.name}: ${one.description}`]),
    predictor: named(predictors, {}),
    responder: named(responders, RESPONDERS),
    detection: named(detections, DETECTIONS),
    language: [['', eitherOf(languages)], ...named(languages, LANGUAGES)],
  };
}

// What stands beside a slider.
export function shown(name, value) {
  if (name === 'silence_ms') return `${value} ms`;
  return value === null ? 'as trained' : value.toFixed(1);
}
