/**
 * From scores per step to transcripts (connectionist temporal classification).
 * Scores are natural logarithms [steps, labels + 1] in one array, the blank last.
 */

const NEVER = -Infinity;

/** Sum of two probabilities that are given, and returned, as logarithms. */
function logAdd(a, b) {
  const [high, low] = a < b ? [b, a] : [a, b];
  return low === NEVER ? high : high + Math.log1p(Math.exp(low - high));
}

/**
 * Prefix beam search (Hannun et al., arXiv:1408.2873), as `apps.handwriting` does it.
 *
 * @param {Float32Array} scores
 * @param {string[]} labels One character each.
 * @param {{width?: number, least?: number, top?: number}} [options] Prefixes kept
 *     after each step; smallest probability of a label that is tried; transcripts
 *     wanted.
 * @returns {{label: string, score: number}[]} Best first; the score is the logarithm
 *     of the transcript's probability.
 */
export function beamSearch(scores, labels, { width = 16, least = 1e-3, top = 5 } = {}) {
  const blank = labels.length;
  const floor = Math.log(least);
  let beam = new Map([['', { blank: 0, label: NEVER, last: -1 }]]);
  for (let from = 0; from < scores.length; from += blank + 1) {
    const row = scores.subarray(from, from + blank + 1);
    const tried = [];
    for (let i = 0; i < blank; i++) if (row[i] >= floor) tried.push(i);
    const grown = new Map();
    const entry = (text, last) => {
      let found = grown.get(text);
      if (!found) grown.set(text, (found = { blank: NEVER, label: NEVER, last }));
      return found;
    };
    for (const [text, prefix] of beam) {
      const same = entry(text, prefix.last);
      const total = logAdd(prefix.blank, prefix.label);
      same.blank = logAdd(same.blank, total + row[blank]);
      for (const index of tried) {
        let gained = total + row[index];
        if (index === prefix.last) {
          same.label = logAdd(same.label, prefix.label + row[index]);
          gained = prefix.blank + row[index];
        }
        if (gained === NEVER) continue;
        const longer = entry(text + labels[index], index);
        longer.label = logAdd(longer.label, gained);
      }
    }
    const ranked = [...grown].map(([text, p]) => [text, p, logAdd(p.blank, p.label)]);
    ranked.sort((a, b) => b[2] - a[2]);
    beam = new Map(ranked.slice(0, width));
  }
  return [...beam]
    .map(([label, prefix]) => ({ label, score: logAdd(prefix.blank, prefix.label) }))
    .filter(({ score }) => score > NEVER)
    .sort((a, b) => b.score - a.score || (a.label < b.label ? -1 : 1))
    .slice(0, top);
}

/**
 * Where each character of a transcript is spoken: the most probable alignment.
 *
 * @param {Float32Array} scores
 * @param {number[]} text Indices of labels.
 * @param {number} blank Number of labels.
 * @returns {{first: number, last: number}[]} Steps, one pair a character; empty where
 *     the steps are too few for the text.
 */
export function align(scores, text, blank) {
  const steps = scores.length / (blank + 1);
  const states = 2 * text.length + 1; // blank, character, blank, ...
  const symbol = (state) => (state % 2 ? text[(state - 1) / 2] : blank);
  const came = new Uint8Array(steps * states); // How many states back.
  let best = new Float64Array(states).fill(NEVER);
  best[0] = scores[blank];
  if (text.length) best[1] = scores[text[0]];
  for (let step = 1; step < steps; step++) {
    const next = new Float64Array(states).fill(NEVER);
    for (let state = 0; state < states; state++) {
      let from = best[state];
      if (state > 0 && best[state - 1] > from) {
        from = best[state - 1];
        came[step * states + state] = 1;
      }
      const skips = state % 2 && state > 1 && symbol(state) !== symbol(state - 2);
      if (skips && best[state - 2] > from) {
        from = best[state - 2];
        came[step * states + state] = 2;
      }
      next[state] = from + scores[step * (blank + 1) + symbol(state)];
    }
    best = next;
  }
  let state = states - 1;
  if (state > 0 && best[state - 1] > best[state]) state--;
  if (best[state] === NEVER) return [];
  const found = text.map(() => ({ first: steps, last: -1 }));
  for (let step = steps - 1; step >= 0; step--) {
    if (state % 2) {
      const place = found[(state - 1) / 2];
      place.first = step;
      place.last = Math.max(place.last, step);
    }
    state -= came[step * states + state];
  }
  return found;
}
