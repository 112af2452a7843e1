/** The panel that reads handwriting. */

import { announcer, element, readable, showBars, showProblem } from './bars.js';
import { Card, chooseModels } from './card.js';
import { Latest } from './latest.js';
import { Pad } from './pad.js';

const SHOWN = 6;
const NAMES = { symbol: 'Digits', word: 'Words' };

export async function drawPanel(root, models) {
  const at = (id) => root.querySelector(`#${id}`);
  const [bars, verdict, problem] = [at('draw-bars'), at('draw-verdict'), at('draw-problem')];
  const announce = announcer(at('draw-status'));
  const invite = at('draw-invite');
  let example = null; // Ends the example that is being written.
  let entry = null; // Of the last shipped model that was loaded.

  const reading = new Latest(bars, async (strokes) => {
    const { model } = card;
    if (!model || strokes.flat().length < 2) return;
    try {
      const answer = await model.recognise(strokes);
      if (pad.empty || model !== card.model) return;
      card.ran(answer.milliseconds);
      showProblem(problem, null);
      show(model, answer, strokes);
    } catch (error) {
      showProblem(problem, error);
    }
  });

  const pad = new Pad(at('pad'), () => {
    invite.hidden = !pad.empty;
    at('draw-undo').disabled = at('draw-clear').disabled = pad.empty;
    if (pad.empty) forget();
    else reading.request(pad.strokes.map((stroke) => [...stroke]));
  });

  const card = new Card(at('draw-card'), 'handwriting', (model, shipped) => {
    entry = shipped ?? entry;
    at('draw-example').disabled = !entry?.examples.length;
    if (pad.empty) forget();
    else reading.request(pad.strokes.map((stroke) => [...stroke]));
    invite.textContent =
      model.mode === 'word' ? 'Write a word here' : `Draw one of ${listed(model.labels)}`;
  });

  function forget() {
    reading.cancel();
    pad.colours = null;
    verdict.textContent = '';
    showBars(bars, []);
    announce('');
  }

  function show(model, { candidates, characters }, strokes) {
    const best = candidates[0]?.label ?? '';
    if (model.mode === 'word') {
      showBars(bars, candidates.map(({ label, score }) => ({ label, score: Math.exp(score) })));
      const letters = [...best].map((c, i) => element('span', { class: `ink${i % 6}` }, c));
      verdict.replaceChildren(element('span', {}, ...letters));
      verdict.classList.remove('glyph');
      pad.colour(characters);
    } else {
      showBars(bars, candidates.slice(0, SHOWN));
      const number = model.labels.indexOf(best);
      verdict.replaceChildren(element('span', { class: `ink${number % 6}` }, readable(best)));
      verdict.classList.toggle('glyph', best.length < 3);
      pad.colour(strokes.map((stroke) => new Int32Array(stroke.length).fill(number)));
    }
    announce(`Read as ${readable(best)}`);
  }

  at('draw-undo').addEventListener('click', () => (example?.abort(), pad.undo()));
  at('draw-clear').addEventListener('click', () => (example?.abort(), pad.clear()));
  for (const type of ['pointerdown', 'keydown']) {
    at('pad').addEventListener(type, () => example?.abort());
  }
  at('draw-example').addEventListener('click', async () => {
    example?.abort();
    const own = (example = new AbortController());
    const file = entry.examples[0];
    try {
      const response = await fetch(file);
      if (!response.ok) throw new Error(`${file}: ${response.status}`);
      const { strokes } = await response.json();
      // Somebody may have begun to write.
      if (!own.signal.aborted) await pad.replay(strokes, { signal: own.signal });
    } catch (error) {
      console.error(error);
      showProblem(problem, new Error('The example could not be loaded.'));
    }
  });

  pad.clear();
  await chooseModels(at('draw-modes'), models, NAMES, card, () => {
    example?.abort();
    pad.clear();
  });
  return {};
}

function listed(labels) {
  return labels.length > 12 ? `${labels.length} symbols` : labels.join(' ');
}
