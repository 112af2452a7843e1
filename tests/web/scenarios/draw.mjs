/**
 * Writes inks with the mouse, one after the other; the answers to each, and frames a
 * second at rest and while writing.
 */
const MOVES_A_FRAME = 4;

export default async function draw({ newPage, open, inks, mode }) {
  const page = await newPage({ viewport: { width: 1100, height: 900 } });
  await open(page, 'draw');
  if (mode) await chooseMode(page, mode);
  const box = await page.locator('#pad').boundingBox();
  await countFrames(page);
  await page.waitForTimeout(1000);
  const atRest = await framesSoFar(page);
  const answers = [];
  const writing = [];
  for (const ink of inks) {
    await page.keyboard.press('Escape'); // The pad has the focus: clears it.
    await countFrames(page);
    await write(page, fit(ink, box));
    writing.push(await framesSoFar(page));
    await page.waitForSelector('#draw-bars[aria-busy="false"] li');
    answers.push(await candidates(page));
  }
  const milliseconds = await page
    .locator('#draw-card [data-milliseconds]')
    .getAttribute('data-milliseconds');
  const total = (rows, key) => rows.reduce((sum, row) => sum + row[key], 0);
  return {
    answers,
    milliseconds: Number(milliseconds),
    framesAtRest: atRest.frames / atRest.seconds,
    framesWriting: total(writing, 'frames') / total(writing, 'seconds'),
  };
}

async function chooseMode(page, mode) {
  const before = await page.textContent('#draw-card h2');
  const button = page.locator(`#draw-modes button[data-mode="${mode}"]`);
  if ((await button.getAttribute('aria-checked')) === 'true') return;
  await button.click();
  await page.waitForFunction(
    (title) => document.querySelector('#draw-card h2').textContent !== title,
    before,
  );
}

/** The ink as large as the pad, its proportions kept. */
function fit(strokes, box) {
  const all = strokes.flat();
  const [xs, ys] = [all.map((p) => p[0]), all.map((p) => p[1])];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const scale = Math.min(
    (box.width * 0.86) / Math.max(Math.max(...xs) - left, 1e-9),
    (box.height * 0.86) / Math.max(Math.max(...ys) - top, 1e-9),
  );
  return strokes.map((stroke) =>
    stroke.map(([x, y]) => [
      box.x + box.width * 0.07 + (x - left) * scale,
      box.y + box.height * 0.07 + (y - top) * scale,
    ]),
  );
}

async function write(page, strokes) {
  for (const [first, ...rest] of strokes) {
    await page.mouse.move(...first);
    await page.mouse.down();
    // Several moves a frame, as a pen reports them: the pad must not lose any.
    for (let at = 0; at < rest.length; at += MOVES_A_FRAME) {
      const some = rest.slice(at, at + MOVES_A_FRAME);
      await Promise.all(some.map((point) => page.mouse.move(...point)));
    }
    await page.mouse.up();
  }
}

const candidates = (page) =>
  page.$$eval('#draw-bars li', (items) =>
    items.map(({ dataset }) => ({ label: dataset.label, score: Number(dataset.score) })),
  );

const countFrames = (page) =>
  page.evaluate(() => {
    const count = (globalThis.frameCount = { frames: 0, from: performance.now() });
    const tick = () => {
      if (globalThis.frameCount !== count) return;
      count.frames++;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });

const framesSoFar = (page) =>
  page.evaluate(() => {
    const { frames, from } = globalThis.frameCount;
    globalThis.frameCount = null;
    return { frames, seconds: (performance.now() - from) / 1000 };
  });
