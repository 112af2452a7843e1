/** Puts the page together: tabs, the list of shipped models, the three panels. */

import { drawPanel } from './draw.js';
import { speakPanel } from './speak.js';
import { typePanel } from './type.js';

const PANELS = { draw: drawPanel, speak: speakPanel, type: typePanel };
const started = new Map();
const tabs = [...document.querySelectorAll('[role="tab"]')];
let shipped;

/** Shows a panel; its models are loaded when it is first shown. */
function show(name, { focus = false } = {}) {
  for (const tab of tabs) {
    const chosen = tab.getAttribute('aria-controls') === name;
    tab.setAttribute('aria-selected', String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(tab.getAttribute('aria-controls')).hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
  for (const [other, panel] of started) {
    // Not waited for: its model may still be on the way.
    if (other !== name) panel.then((left) => left?.leave?.()).catch(console.error);
  }
  if (!started.has(name)) started.set(name, start(name, document.getElementById(name)));
}

async function start(name, element) {
  const problem = element.querySelector('.problem');
  try {
    shipped ??= fetch('models.json').then((response) => {
      if (!response.ok) throw new Error(`models.json: ${response.status}`);
      return response.json();
    });
    const models = (await shipped).models.filter((model) => model.panel === name);
    problem.hidden = true; // Of an earlier try.
    return await PANELS[name](element, models);
  } catch (error) {
    shipped = undefined;
    started.delete(name);
    problem.textContent =
      'The list of models could not be loaded: look at the connection and reload the ' +
      'page.';
    problem.hidden = false;
    console.error(error);
    return {};
  }
}

for (const tab of tabs) {
  const name = tab.getAttribute('aria-controls');
  tab.addEventListener('click', () => {
    history.replaceState(null, '', `#${name}`);
    show(name);
  });
  tab.addEventListener('keydown', (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1, Home: -tabs.length, End: tabs.length };
    const by = move[event.key];
    if (!by) return;
    event.preventDefault();
    const at = tabs.indexOf(tab) + by;
    const next =
      Math.abs(by) > 1
        ? Math.min(Math.max(at, 0), tabs.length - 1)
        : (at + tabs.length) % tabs.length;
    tabs[next].click();
    tabs[next].focus();
  });
}

const wanted = () => (location.hash.slice(1) in PANELS ? location.hash.slice(1) : 'draw');
addEventListener('hashchange', () => show(wanted()));
show(wanted());

if ('serviceWorker' in navigator && isSecureContext) {
  // Without it the page works as well, only not offline.
  navigator.serviceWorker.register('sw.js').catch(() => {});
}
