/** The card of a panel's model: what it is, its variants, its speed, your own file. */

import { load, SeqcoreError } from '../seqcore.js';
import { element, showProblem } from './bars.js';

const VARIANTS = { none: 'float', float16: 'float16', dynamic: 'dynamic', int8: 'int8' };
const MEANING = {
  none: 'weights and arithmetic in 32-bit floats',
  float16: 'weights in 16-bit floats, arithmetic in 32',
  dynamic: 'weights in 8-bit integers, states in floats',
  int8: 'weights and arithmetic in 8-bit integers',
};
const PANEL_OF = { handwriting: 'Draw', speech: 'Speak', text: 'Type' };
const RUNS_SHOWN = 25;

export class Card {
  #times = [];
  #wanted = 0;
  #loaded = {}; // Entry and variant of the model; none of a reader's own file.
  #offered; // The entry whose variants are there to be chosen.

  /**
   * @param {HTMLElement} root
   * @param {string} app The application whose files this panel takes.
   * @param {(model: object, entry?: object) => void} onModel Called with each model
   *     that was loaded, and its entry of models.json if it has one.
   */
  constructor(root, app, onModel) {
    this.root = root;
    this.app = app;
    this.onModel = onModel;
    /** Called with the entry that is shown as chosen. */
    this.onOffer = () => {};
    this.model = null;
    this.title = element('h2');
    this.what = element('p', { class: 'what' });
    this.choice = element('div', {
      class: 'choice',
      role: 'radiogroup',
      'aria-label': 'Variant of the file',
    });
    asRadioGroup(this.choice);
    this.input = element('input', { type: 'file', accept: '.tflite', hidden: true });
    this.input.setAttribute('aria-label', 'Your own .tflite file');
    const own = element('button', { class: 'quiet', type: 'button' }, 'Use your own…');
    this.problem = element('p', { class: 'problem', role: 'alert', hidden: true });
    this.facts = element('dl', { class: 'facts' });
    this.more = element('dl', { class: 'more' });
    root.append(
      element('div', {}, this.title, this.what),
      element('div', { class: 'side' }, this.choice, own, this.input),
      this.problem,
      this.facts,
      element('details', {}, element('summary', {}, 'Model card'), this.more),
    );
    own.addEventListener('click', () => this.input.click());
    this.input.addEventListener('change', () => {
      if (this.input.files[0]) this.useOwn(this.input.files[0]);
      this.input.value = '';
    });
    takeDrops(root, (file) => this.useOwn(file));
  }

  /** Loads a shipped model (an entry of models.json) in its first variant. */
  use(entry) {
    return this.#open(entry, entry.variants[0]);
  }

  #open(entry, variant) {
    const shipped = { entry, variant };
    this.#offer(shipped); // At once; taken back if the file cannot be loaded.
    const name = variant.file.split('/').pop();
    return this.#load(`${variant.file}?${variant.hash}`, name, entry.title, shipped);
  }

  /** The variants of an entry, one of them marked as chosen; nothing without an entry. */
  #offer({ entry, variant }) {
    const variants = entry?.variants ?? [];
    if (entry !== this.#offered) {
      this.#offered = entry;
      const buttons = variants.map((one) => {
        const button = radio(VARIANTS[one.quantize] ?? one.quantize);
        button.title = MEANING[one.quantize] ?? '';
        button.addEventListener('click', () => this.#open(entry, one));
        return button;
      });
      this.choice.replaceChildren(...(buttons.length > 1 ? buttons : []));
    }
    mark(this.choice, variants.indexOf(variant));
    this.onOffer(entry);
  }

  /** A file of the reader's; one of the wrong kind is refused with a sentence. */
  useOwn(file) {
    return this.#load(file, file.name, file.name, {});
  }

  async #load(source, name, title, shipped) {
    const turn = ++this.#wanted;
    this.root.setAttribute('aria-busy', 'true');
    showProblem(this.problem, null);
    try {
      const model = await load(source, { name });
      if (model.app !== this.app) {
        model.close();
        throw new SeqcoreError(
          `${name} is a model for ${PANEL_OF[model.app]}: open it there. This panel ` +
            `takes files of apps.${this.app}.`,
        );
      }
      if (turn !== this.#wanted) {
        model.close();
        return;
      }
      const last = this.model;
      this.model = model;
      this.#loaded = shipped;
      this.#offer(shipped);
      this.#times = [];
      this.#describe(title);
      this.onModel(model, shipped.entry);
      last?.close();
    } catch (error) {
      if (turn !== this.#wanted) return;
      showProblem(this.problem, error);
      this.#offer(this.model ? this.#loaded : { entry: this.#offered });
    } finally {
      if (turn === this.#wanted) this.root.setAttribute('aria-busy', 'false');
    }
  }

  /** Counts a run into the median that the card shows. */
  ran(milliseconds) {
    this.#times = [...this.#times, milliseconds].slice(-RUNS_SHOWN);
    const middle = [...this.#times].sort((a, b) => a - b)[this.#times.length >> 1];
    this.speed.textContent = `${middle < 10 ? middle.toFixed(1) : middle.toFixed(0)} ms`;
    this.speed.dataset.milliseconds = middle;
  }

  #describe(title) {
    const { model } = this;
    const data = model.metadata.training_data ?? {};
    this.title.textContent = title;
    this.what.textContent = sentence(model.metadata.input ?? '');
    this.speed = element('dd', {}, '–');
    this.facts.replaceChildren(
      ...fact('File', `${Math.round(model.bytes / 1000).toLocaleString('en')} KB`),
      ...fact('A run takes', this.speed),
      ...fact('Labels', String(model.labels.length)),
      ...fact('Variant', VARIANTS[model.quantize] ?? model.quantize),
    );
    const own = model.metadata.seqcore ?? {};
    const difference = own.max_difference_from_keras;
    const rows = {
      Labels: model.labels.map((label) => label.replaceAll('_', ' ')).join(', '),
      Variant: MEANING[model.quantize] ?? model.quantize,
      'Training data': data.name,
      Licence: data.licence,
      Citation: data.citation,
      Limits: data.limits ?? data.note,
      Configuration: `apps.${model.app}, ${model.metadata.config ?? 'own settings'}`,
      'Largest difference from Keras':
        typeof difference === 'number' ? difference.toExponential(1) : undefined,
      'Made with': own.version && `seqcore ${own.version}, Keras ${own.keras}`,
      'Weights, SHA-256': own.weights_sha256,
    };
    this.more.replaceChildren(
      ...Object.entries(rows).flatMap(([name, value]) =>
        value ? [element('dt', {}, name), element('dd', {}, String(value))] : [],
      ),
    );
  }
}

function fact(name, value) {
  const shown = value instanceof Element ? value : element('dd', {}, value);
  return [element('div', {}, element('dt', {}, name), shown)];
}

function sentence(text) {
  return text && `Takes ${text}${text.endsWith('.') ? '' : '.'}`;
}

/** Dropped files go to `use`; the element shows that it would take one. */
export function takeDrops(target, use) {
  target.addEventListener('dragover', (event) => {
    event.preventDefault();
    target.classList.add('over');
  });
  target.addEventListener('dragleave', () => target.classList.remove('over'));
  target.addEventListener('drop', (event) => {
    event.preventDefault();
    target.classList.remove('over');
    const file = event.dataTransfer.files[0];
    if (file) use(file);
  });
}

/**
 * A switch between the shipped models of a panel; the first is chosen.
 *
 * @param {HTMLElement} group An empty radio group; hidden where there is one model.
 * @param {object[]} models Entries of models.json.
 * @param {Object<string, string>} names What each `mode` is called.
 * @param {Card} card Loads them.
 * @param {() => void} [onChoice] Called before another one is loaded.
 */
export async function chooseModels(group, models, names, card, onChoice = () => {}) {
  const buttons = models.map((model) => {
    const alike = models.filter((other) => other.mode === model.mode).length > 1;
    const name = names[model.mode];
    const button = radio(alike ? `${name}, ${model.labels} labels` : name);
    button.dataset.mode = model.mode;
    button.title = model.title;
    button.addEventListener('click', () => {
      onChoice();
      card.use(model);
    });
    return button;
  });
  card.onOffer = (entry) => mark(group, models.indexOf(entry));
  group.replaceChildren(...buttons);
  group.hidden = models.length < 2;
  asRadioGroup(group);
  if (models.length) await card.use(models[0]);
}

function radio(text) {
  return element('button', { type: 'button', role: 'radio', 'aria-checked': 'false' }, text);
}

/** The chosen button is the one that Tab reaches; with none chosen (-1), every one. */
function mark(group, chosen) {
  [...group.children].forEach((button, index) => {
    button.setAttribute('aria-checked', String(index === chosen));
    button.tabIndex = chosen < 0 || index === chosen ? 0 : -1;
  });
}

/** Arrow keys move the choice, as a group of radio buttons does. */
function asRadioGroup(group) {
  group.onkeydown = (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const buttons = [...group.children];
    const at = buttons.indexOf(document.activeElement) + by;
    const next = buttons[(at + buttons.length) % buttons.length];
    next.focus();
    next.click();
  };
}
