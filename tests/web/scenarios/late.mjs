/** What comes late, or not at all, while somebody has gone on already. */
export default async function late({ newPage, open, base }) {
  const options = { serviceWorkers: 'block' }; // A worker's requests pass by routes.
  const found = {};

  // Leave to use the microphone, after Listen was pressed a second time.
  const speak = await newPage(options);
  await speak.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = () =>
      new Promise((done) => {
        globalThis.allow = () => {
          const { stream } = new AudioContext().createMediaStreamDestination();
          done(stream);
          return stream.getTracks();
        };
      });
  });
  await open(speak, 'speak');
  await speak.click('#speak-listen');
  await speak.click('#speak-listen');
  found.tracks = await speak.evaluate(async () => {
    const tracks = globalThis.allow();
    await new Promise((done) => setTimeout(done, 100));
    return tracks.map(({ readyState }) => readyState);
  });

  // The example, after somebody has begun to write.
  const draw = await newPage(options);
  await open(draw, 'draw');
  const example = '**/handwriting_digits/*.json*';
  const giveExample = await hold(draw, example);
  await draw.click('#draw-example');
  const box = await draw.locator('#pad').boundingBox();
  await draw.mouse.move(box.x + 100, box.y + 50);
  await draw.mouse.down();
  await draw.mouse.move(box.x + 100, box.y + 150, { steps: 5 });
  await draw.mouse.up();
  await draw.waitForSelector('#draw-bars[aria-busy="false"] li');
  const given = draw.waitForResponse(example);
  giveExample();
  await (await given).finished();
  await draw.waitForTimeout(300);
  found.written = await draw.locator('#draw-bars li').count();

  // The model of a panel that was left.
  const tabs = await newPage(options);
  const giveModel = await hold(tabs, '**/handwriting_digits/*.tflite*');
  await tabs.goto(base);
  await tabs.click('#tab-type');
  await tabs.waitForSelector('#type-bars li');
  giveModel();
  await tabs.waitForSelector('#draw-card h2:not(:empty)', { state: 'attached' });

  // A variant and a mode that are listed, but not there.
  const gone = await newPage(options);
  await gone.route('**/models.json', async (route) => {
    const { models } = await (await route.fetch()).json();
    const digits = models.find(({ mode }) => mode === 'symbol');
    const variant = { ...digits.variants[0], file: 'gone.tflite', quantize: 'none' };
    digits.variants.push(variant);
    const words = { ...digits, mode: 'word', variants: [variant], examples: ['gone.json'] };
    await route.fulfill({ json: { models: [digits, words] } });
  });
  await open(gone, 'draw');
  found.chosen = [];
  for (const wanted of ['#draw-card [role=radio]:text("float")', '[data-mode="word"]']) {
    await gone.click(wanted);
    await gone.waitForSelector('#draw-card[aria-busy="false"] .problem:not([hidden])');
    found.chosen.push(
      await gone.$$eval('#draw [aria-checked="true"]', (all) => all.map((x) => x.textContent)),
    );
  }
  const asked = gone.waitForRequest('**/*.json*');
  await gone.click('#draw-example');
  found.example = (await asked).url();
  return found;
}

/** Holds answers back until what is returned is called. */
async function hold(page, pattern) {
  let give;
  const given = new Promise((done) => (give = done));
  await page.route(pattern, async (route) => {
    await given;
    await route.continue();
  });
  return give;
}
