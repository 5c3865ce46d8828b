// Labels for options whose names do not explain themselves.
const RESPONDERS = {
  'built-in': 'built-in (a short script, no language model)',
  'speech-to-speech': 'speech-to-speech (answers your voice directly, on a few topics)',
};

const DETECTIONS = {
  semantic_vad: 'when you sound finished',
  server_vad: 'after a fixed silence',
};

const LANGUAGES = { en: 'English', zh: 'Mandarin' };

const named = (names, words) => names.map((one) => [one, words[one] || one]);

// The label for automatic detection.
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

// The text beside a slider.
export function shown(name, value) {
  if (name === 'silence_ms') return `${value} ms`;
  return value === null ? 'default' : value.toFixed(1);
}
