// The status line: time to first audio, and its parts.
const PARTS = [
  ['silence_ms', 'end of turn'],
  ['recognition_ms', 'recognition'],
  ['words_ms', 'language model'],
  ['speech_ms', 'speech'],
];

// The parts of a reply's latency: those of the server, and the rest for network and buffers.
export function partsOf(firstMs, timings) {
  const parts = {};
  for (const [name, part] of PARTS) if (timings[name] !== undefined) parts[part] = timings[name];
  const known = Object.values(parts).reduce((sum, ms) => sum + ms, 0);
  parts['network and buffers'] = firstMs - known;
  return parts;
}

// The line for the last of `replies`, with the median of all.
export function waitLine(replies) {
  const { first_audio_ms: firstMs, parts } = replies.at(-1);
  const listed = Object.entries(parts).map(([part, ms]) => `${part} ${Math.round(ms)}`);
  const all = replies.filter((one) => one.spoken).map((one) => one.first_audio_ms);
  all.sort((a, b) => a - b);
  const median = all.length > 1 ? `; median of ${all.length}: ${Math.round(all[all.length >> 1])} ms` : '';
  return `First sound after ${Math.round(firstMs)} ms (${listed.join(', ')})${median}`;
}
