/**
 * Writes inks with the mouse, one after the other; the answers to each, and frames a
 * second while writing and, for comparison, while the mouse only moves.
 */
const FRAMES_AN_INK = 24;

export default async function draw({ newPage, open, inks, mode }) {
  const page = await newPage({ viewport: { width: 1100, height: 900 } });
  await open(page, 'draw');
  if (mode) await chooseMode(page, mode);
  const box = await page.locator('#pad').boundingBox();
  const answers = [];
  const [writing, moving] = [[], []];
  for (const [number, ink] of inks.entries()) {
    const fitted = fit(ink, box);
    await page.keyboard.press('Escape'); // The pad has the focus: clears it.
    if (number % 5 === 0) moving.push(await rateOf(page, () => write(page, fitted, false)));
    writing.push(await rateOf(page, () => write(page, fitted, true)));
    await page.waitForSelector('#draw-bars[aria-busy="false"] li');
    answers.push(await candidates(page));
  }
  const milliseconds = await page
    .locator('#draw-card [data-milliseconds]')
    .getAttribute('data-milliseconds');
  return {
    answers,
    milliseconds: Number(milliseconds),
    framesMoving: median(moving),
    framesWriting: median(writing),
  };
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

async function chooseMode(page, mode) {
  const button = page.locator(`#draw-modes button[data-mode="${mode}"]`);
  if ((await button.getAttribute('aria-checked')) === 'true') return;
  await button.click();
  await page.waitForSelector('#draw-card[aria-busy="false"]');
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

/** The same moves with the button pressed, or not. */
async function write(page, strokes, pressed) {
  // Several moves a frame, as a pen reports them: the pad must not lose any.
  const together = Math.max(4, Math.ceil(strokes.flat().length / FRAMES_AN_INK));
  for (const [first, ...rest] of strokes) {
    await page.mouse.move(...first);
    if (pressed) await page.mouse.down();
    for (let at = 0; at < rest.length; at += together) {
      const some = rest.slice(at, at + together);
      await Promise.all(some.map((point) => page.mouse.move(...point)));
    }
    if (pressed) await page.mouse.up();
  }
}

const candidates = (page) =>
  page.$$eval('#draw-bars li', (items) =>
    items.map(({ dataset }) => ({ label: dataset.label, score: Number(dataset.score) })),
  );

/** Frames a second while `work` goes on. */
async function rateOf(page, work) {
  await page.evaluate(() => {
    const count = (globalThis.frameCount = { frames: 0, from: performance.now() });
    const tick = () => {
      if (globalThis.frameCount !== count) return;
      count.frames++;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  await work();
  return page.evaluate(() => {
    const { frames, from } = globalThis.frameCount;
    globalThis.frameCount = null;
    return (1000 * frames) / (performance.now() - from);
  });
}
