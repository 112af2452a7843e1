/** What the page says when something is missing. */
export default async function trouble({ newPage, open, base }) {
  const found = {};

  const silent = await newPage();
  await open(silent, 'speak');
  await silent.click('#speak-listen');
  found.microphone = await problem(silent, '#speak-problem');

  const noSound = await newPage();
  await open(noSound, 'speak');
  const text = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') };
  await noSound.setInputFiles('#speak-file-input', text);
  found.recording = await problem(noSound, '#speak-problem');

  const old = await newPage({ serviceWorkers: 'block' });
  await old.addInitScript(() => delete globalThis.WebAssembly);
  await old.goto(base);
  found.webAssembly = await problem(old, '#draw-card .problem');

  const model = await newPage({ serviceWorkers: 'block' });
  await model.route('**/*.tflite*', (route) => route.fulfill({ status: 404 }));
  await model.goto(base);
  found.model = await problem(model, '#draw-card .problem');

  const engine = await newPage({ serviceWorkers: 'block' });
  await engine.route('**/*.wasm', (route) => route.fulfill({ status: 404 }));
  await engine.goto(base);
  found.engine = await problem(engine, '#draw-card .problem');

  const list = await newPage({ serviceWorkers: 'block' });
  await list.route('**/models.json', (route) => route.fulfill({ status: 404 }));
  await list.goto(base);
  found.list = await problem(list, '#draw-problem');
  await list.unroute('**/models.json');
  await list.click('#tab-draw');
  await list.waitForSelector('#draw-card[aria-busy="false"] h2:not(:empty)');
  found.listAfterwards = await shown(list, '#draw .problem');

  const type = await newPage({ serviceWorkers: 'block' });
  await type.route('**/*.txt*', (route) => route.abort());
  await open(type, 'type');
  await type.click('#tab-type');
  found.example = await shown(type, '#type .problem');
  found.cards = await type.locator('#type-card h2').count();

  const forgetful = await newPage({ colorScheme: 'light' });
  await forgetful.addInitScript(() => {
    const get = () => {
      throw new DOMException('forbidden', 'SecurityError');
    };
    Object.defineProperty(globalThis, 'localStorage', { get });
  });
  await forgetful.goto(base);
  await forgetful.click('#theme');
  found.theme = await forgetful.getAttribute('html', 'data-theme');
  return found;
}

const shown = (page, selector) => page.locator(`${selector}:not([hidden])`).count();

async function problem(page, selector) {
  await page.waitForSelector(`${selector}:not([hidden])`);
  return page.textContent(selector);
}
