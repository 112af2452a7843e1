/** Pictures of the three panels, and what axe-core finds in them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const SIZES = {
  desktop: { viewport: { width: 1200, height: 880 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};

export default async function looks({ newPage, open, require, folder, recording, text }) {
  const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
  const findings = [];
  for (const [size, options] of Object.entries(SIZES)) {
    const page = await newPage({ ...options, colorScheme: 'light', reducedMotion: 'reduce' });
    await open(page, 'draw');
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > options.viewport.width) findings.push(`${size}: ${width} pixels wide`);
    await fill(page, { recording, text });
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme });
      for (const panel of ['draw', 'speak', 'type']) {
        await page.click(`#tab-${panel}`);
        await page.waitForTimeout(150);
        if (folder) {
          const path = join(folder, `${panel}-${size}-${scheme}.png`);
          await page.screenshot({ path, fullPage: size === 'phone' });
        }
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() =>
          globalThis.axe.run({ resultTypes: ['violations'] }),
        );
        for (const { id, impact, nodes } of violations) {
          findings.push(`${panel} ${size} ${scheme}: ${impact} ${id} ${nodes[0].html}`);
        }
      }
    }
    await page.context().close();
  }
  return findings;
}

/** Something to see in every panel. */
async function fill(page, { recording, text }) {
  const words = page.locator('#draw-modes button[data-mode="word"]');
  if (await words.count()) {
    await words.click();
    await page.waitForSelector('#draw-invite:text("word")');
  }
  await page.click('#draw-example');
  await page.waitForTimeout(2500);
  await page.waitForSelector('#draw-bars[aria-busy="false"] li');
  await page.click('#tab-speak');
  await page.waitForSelector('#speak-bars li');
  if (recording) await page.setInputFiles('#speak-file-input', recording);
  else await page.click('#speak-example');
  await page.waitForSelector('#speak-heard li[data-label]');
  await page.waitForTimeout(1500);
  await page.click('#tab-type');
  await page.waitForSelector('#type-bars li');
  await page.locator('#text').pressSequentially(text, { delay: 25 });
  await page.waitForSelector('#type-words mark');
}
