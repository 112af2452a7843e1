/** The panel that listens for keywords. */

import { announcer, element, percent, readable, showBars, showProblem } from './bars.js';
import { Card, chooseModels, takeDrops } from './card.js';
import { Microphone, readRecording } from './microphone.js';
import { Spectrogram } from './spectrogram.js';

const PIECE = 1600; // Samples of a recording that are pushed at a time: 0.1 s
const MOST_HEARD = 40;
const NAMES = { stream: 'Live', clip: 'Clips' };

export async function speakPanel(root, models) {
  const at = (id) => root.querySelector(`#${id}`);
  const [heard, bars, verdict] = [at('speak-heard'), at('speak-bars'), at('speak-verdict')];
  const [listen, problem, meter] = [at('speak-listen'), at('speak-problem'), at('speak-meter')];
  const announce = announcer(at('speak-status'));
  const spectrogram = new Spectrogram(at('spectrogram'));
  let microphone = null;
  let stream = null;
  let session = 0; // What still arrives from an earlier one is dropped.
  const [example] = models.flatMap(({ examples }) => examples);

  const card = new Card(at('speak-card'), 'speech', async (model) => {
    await stop();
    begin();
    const words = model.labels.filter((label) => !model.rule.ignore.includes(label));
    at('speak-words').textContent = `Listens for: ${words.map(readable).join(', ')}.`;
  });

  /** A new sound: state, picture and list from the beginning. */
  function begin() {
    session++;
    stream = card.model.stream();
    spectrogram.clear();
    heard.replaceChildren(element('li', { class: 'none' }, 'nothing yet'));
    verdict.textContent = '';
    showBars(bars, card.model.labels.map((label) => ({ label, score: 0 })));
    showProblem(problem, null);
    return session;
  }

  async function take(samples, own) {
    const { model } = card;
    showLevel(samples);
    spectrogram.push(samples);
    try {
      const answer = await stream.push(samples);
      if (own !== session || !answer.scores) return;
      card.ran(answer.milliseconds / answer.chunks);
      showBars(bars, model.labels.map((label, i) => ({ label, score: answer.scores[i] })));
      answer.detections.forEach(show);
    } catch (error) {
      if (own !== session) return;
      await stop();
      showProblem(problem, error);
    }
  }

  function show(detection) {
    const { label, score, seconds } = detection;
    spectrogram.mark(detection);
    heard.querySelector('.none')?.remove();
    const item = element(
      'li',
      {},
      element('b', {}, readable(label)),
      element('span', {}, `${seconds.toFixed(2)} s`),
    );
    Object.assign(item.dataset, { label, seconds, score });
    heard.append(item);
    while (heard.children.length > MOST_HEARD) heard.firstChild.remove();
    verdict.replaceChildren(readable(label), element('small', {}, percent(score)));
    announce(`Heard ${readable(label)}`);
  }

  function showLevel(samples) {
    let sum = 0;
    for (const value of samples) sum += value * value;
    const db = 10 * Math.log10(sum / (samples.length || 1) + 1e-12);
    const shown = Math.min(0, Math.max(-60, db));
    meter.firstElementChild.style.width = `${((shown + 60) / 60) * 100}%`;
    meter.setAttribute('aria-valuenow', shown.toFixed(0));
  }

  async function start() {
    if (!card.model) return;
    const own = begin();
    microphone = new Microphone();
    listening(true);
    try {
      await microphone.start((samples) => own === session && take(samples, own));
    } catch (error) {
      await stop();
      showProblem(problem, error);
    }
  }

  async function stop() {
    const used = microphone;
    microphone = null;
    listening(false);
    showLevel([]);
    await used?.stop();
  }

  function listening(on) {
    listen.setAttribute('aria-pressed', String(on));
    listen.querySelector('span').textContent = on ? 'Stop' : 'Listen';
    at('speak-invite').hidden = on || spectrogram.columns > 0;
  }

  /** Runs a recording through the stream, faster than it was spoken. */
  async function play(blob, name) {
    await stop();
    if (!card.model) return;
    const own = begin();
    at('speak-invite').hidden = true;
    try {
      const samples = await readRecording(blob, name);
      for (let i = 0; i < samples.length && own === session; i += PIECE) {
        await take(samples.subarray(i, i + PIECE), own);
        // The picture is seen to run.
        await new Promise((done) => setTimeout(done));
      }
      showLevel([]);
      if (own === session && heard.querySelector('.none')) {
        heard.firstChild.textContent = `none of its words in ${name}`;
      }
    } catch (error) {
      if (own === session) showProblem(problem, error);
    }
  }

  listen.addEventListener('click', () => (microphone ? stop() : start()));
  at('speak-file').addEventListener('click', () => at('speak-file-input').click());
  at('speak-file-input').addEventListener('change', ({ target }) => {
    if (target.files[0]) play(target.files[0], target.files[0].name);
    target.value = '';
  });
  takeDrops(root.querySelector('.sound'), (file) => play(file, file.name));
  at('speak-example').addEventListener('click', async () => {
    const response = await fetch(example).catch(() => null);
    const name = example.split('?')[0].split('/').pop();
    if (response?.ok) await play(await response.blob(), name);
    else showProblem(problem, new Error('The example could not be loaded.'));
  });

  at('speak-example').hidden = !example;
  await chooseModels(at('speak-modes'), models, NAMES, card);
  return { leave: stop };
}
