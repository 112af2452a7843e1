/** Goes through the page without a pointer. */
export default async function keys({ newPage, open }) {
  const page = await newPage({ reducedMotion: 'reduce' });
  await open(page, 'draw');
  const press = async (key, times = 1) => {
    for (let i = 0; i < times; i++) await page.keyboard.press(key);
  };
  await page.focus('#pad');
  await press('Space');
  await press('ArrowDown', 12);
  await press('Space');
  await page.waitForSelector('#draw-bars[aria-busy="false"] li');
  const drawn = await page.getAttribute('#draw-bars li', 'data-label');
  // On a busy machine the strokes so far may have been read, and read out, before.
  await page.waitForSelector(`#draw-status:text-is("Read as ${drawn}")`, { state: 'attached' });
  await press('Backspace');
  const afterUndo = await page.locator('#draw-bars li').count();

  // Another variant by the arrow keys, then the tabs.
  await page.focus('#draw-card [role=radio][aria-checked="true"]');
  await press('ArrowRight');
  const ofCard = (selector) => page.textContent(`#draw-card ${selector}`);
  await page.waitForFunction(() =>
    document.querySelector('#draw-card .facts').textContent.includes('Variantfloat'),
  );
  const variant = await ofCard('[role=radio][aria-checked="true"]');

  await page.focus('#tab-draw');
  await press('ArrowRight', 2);
  await page.waitForSelector('#type:not([hidden])');
  const shown = await page.$$eval('[role=tabpanel]:not([hidden])', (panels) =>
    panels.map(({ id }) => id),
  );
  const focused = await page.evaluate(() => document.activeElement.id);
  return { drawn, afterUndo, variant, shown, focused };
}
