// The line below the conversation: how long the first sound took, and what that time went into.
const PARTS = [
  ['silence_ms', 'end of turn'],
  ['recognition_ms', 'recognition'],
  ['words_ms', 'first words'],
  ['speech_ms', 'first sound'],
];

// The parts of a reply's wait: the server's own, and what is left for the way and both buffers.
export function partsOf(firstMs, timings) {
  const parts = {};
  for (const [name, part] of PARTS) if (timings[name] !== undefined) parts[part] = timings[name];
  const known = Object.values(parts).reduce((sum, ms) => sum + ms, 0);
  parts['way and buffers'] = firstMs - known;
  return parts;
}

// `replies` are all so far, the last of them the one that the line is about.
export function waitLine(replies) {
  const { first_audio_ms: firstMs, parts } = replies.at(-1);
  const listed = Object.entries(parts).map(([part, ms]) => `${part} ${Math.round(ms)}`);
  const all = replies.filter((one) => one.spoken).map((one) => one.first_audio_ms);
  all.sort((a, b) => a - b);
  const median = all.length > 1 ? `; median of ${all.length}: ${Math.round(all[all.length >> 1])} ms` : '';
  return `First sound after ${Math.round(firstMs)} ms (${listed.join(', ')})${median}`;
}
