// How much of a written text has been spoken, from the words in spoken form.
const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');

const AHEAD = 3; // written words that may be skipped because they are spoken differently, like "42"

// The number of characters of `text` that the spoken words, in order, have reached.
export function saidUntil(text, spoken) {
  const written = [...text.matchAll(/\S+/g)];
  let at = -1;
  let met = true; // whether the word at `at` was spoken as written
  for (const word of spoken) {
    const said = plain(word);
    if (!said) continue;
    let step = 1;
    while (step <= AHEAD && at + step < written.length && plain(written[at + step][0]) !== said) step += 1;
    if (step <= AHEAD && at + step < written.length) {
      at += step;
      met = true;
    } else if (met && at + 1 < written.length) {
      at += 1; // the first word of a spoken number or symbol
      met = false;
    }
  }
  return at < 0 ? 0 : written[at].index + written[at][0].length;
}
