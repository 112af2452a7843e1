/** The panel that classifies text. */

import { announcer, element, percent, readable, showBars, showProblem } from './bars.js';
import { Card } from './card.js';
import { Latest } from './latest.js';

const PAUSE = 250; // Milliseconds without typing before the words are weighed.

export async function typePanel(root, models) {
  const at = (id) => root.querySelector(`#${id}`);
  const [text, words] = [at('text'), at('type-words')];
  const [bars, verdict, problem] = [at('type-bars'), at('type-verdict'), at('type-problem')];
  const announce = announcer(at('type-status'));
  let weighing = null;

  const reading = new Latest(bars, async (message) => {
    const { model } = card;
    if (!model) return;
    try {
      const answer = await model.recognise(message);
      if (message !== text.value || model !== card.model) return;
      card.ran(answer.milliseconds);
      showProblem(problem, null);
      showBars(bars, answer.candidates);
      const [best] = answer.candidates;
      verdict.replaceChildren(readable(best.label), element('small', {}, percent(best.score)));
      announce(`${readable(best.label)}, ${percent(best.score)}`);
      weigh(model, message, answer);
    } catch (error) {
      showProblem(problem, error);
    }
  });

  async function weigh(model, message, answer) {
    weighing?.abort();
    const own = (weighing = new AbortController());
    await new Promise((done) => setTimeout(done, PAUSE));
    try {
      own.signal.throwIfAborted();
      const effects = await model.explain(message, answer, { signal: own.signal });
      if (!own.signal.aborted) showWords(message, effects);
    } catch (error) {
      if (!own.signal.aborted) showProblem(problem, error);
    }
  }

  function showWords(message, effects) {
    const largest = Math.max(0.02, ...effects.map(({ effect }) => Math.abs(effect)));
    const parts = [];
    let end = 0;
    for (const { word, start, effect } of effects) {
      parts.push(message.slice(end, start));
      end = start + word.length;
      const share = Math.abs(effect) / largest;
      if (share < 0.08) {
        parts.push(word);
        continue;
      }
      const mark = element('mark', { class: effect > 0 ? 'for' : 'against' }, word);
      mark.style.setProperty('--much', share.toFixed(2));
      mark.title = `${effect > 0 ? '+' : '−'}${percent(Math.abs(effect))}`;
      mark.append(element('span', { class: 'sr' }, ` (${mark.title})`));
      parts.push(mark);
    }
    words.replaceChildren(...parts, message.slice(end));
  }

  function read() {
    weighing?.abort();
    words.textContent = text.value;
    if (text.value.trim()) {
      reading.request(text.value);
      return;
    }
    reading.cancel();
    verdict.textContent = '';
    showBars(bars, (card.model?.labels ?? []).map((label) => ({ label, score: 0 })));
    announce('');
  }

  const card = new Card(at('type-card'), 'text', () => read());
  text.addEventListener('input', read);
  const [entry] = models;
  if (!entry) return {};
  const lines = entry.examples.length ? await readLines(entry.examples[0]) : [];
  for (const line of lines) {
    const chip = element('button', { class: 'quiet', type: 'button' }, line);
    chip.addEventListener('click', () => {
      text.value = line;
      read();
    });
    at('type-examples').append(chip);
  }
  text.placeholder = lines[0] ? `such as “${lines[0]}”` : '';
  await card.use(entry);
  return {};
}

/** Of an example; none where it cannot be loaded: the panel works without. */
async function readLines(file) {
  try {
    const response = await fetch(file);
    if (!response.ok) return [];
    return (await response.text()).split('\n').filter((line) => line.trim());
  } catch {
    return [];
  }
}
