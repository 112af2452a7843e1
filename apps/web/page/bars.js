/** Scores as bars, and small helpers that the panels share. */

/**
 * @param {HTMLOListElement} list
 * @param {{label: string, score: number}[]} candidates Probabilities, in the order
 *     to be shown.
 */
export function showBars(list, candidates) {
  while (list.children.length > candidates.length) list.lastChild.remove();
  const most = Math.max(0, ...candidates.map(({ score }) => score));
  candidates.forEach(({ label, score }, index) => {
    let item = list.children[index];
    if (!item) {
      item = element('li', {}, element('i'), element('b'), element('span'));
      list.append(item);
    }
    const [bar, name, number] = item.children;
    item.classList.toggle('top', score === most && most > 0.5);
    name.textContent = readable(label);
    Object.assign(item.dataset, { label, score: score.toFixed(6) });
    number.textContent = percent(score);
    bar.style.width = `${Math.max(0, Math.min(1, score)) * 100}%`;
  });
}

/** Labels of data sets as people read them; a space must be seen. */
export function readable(label) {
  if (!label.trim()) return label ? '␣' : '(nothing)';
  return label.length > 2 ? label.replaceAll('_', ' ') : label;
}

export function percent(score) {
  const value = 100 * score;
  return `${value >= 99.95 ? '100' : value.toFixed(1)} %`;
}

/** An element with attributes and children. */
export function element(tag, attributes = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in found && typeof value !== 'string') found[name] = value;
    else found.setAttribute(name, value);
  }
  found.append(...children);
  return found;
}

/** A status line for screen readers, which waits for a pause before it speaks. */
export function announcer(line) {
  let timer;
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (line.textContent !== text) line.textContent = text;
    }, 700);
  };
}

/** Shows a problem in words; null takes it away. */
export function showProblem(line, error) {
  if (error && error.name !== 'SeqcoreError') console.error(error);
  line.hidden = !error;
  line.textContent = error?.message ?? '';
}
