/**
 * Listens to Chromium's fake microphone, which plays a file, and to the same file;
 * until it has heard `count` words, and a while longer for words too many.
 */
export default async function speak({ newPage, open, seconds, wav, count }) {
  const page = await newPage({ permissions: ['microphone'] });
  await open(page, 'speak');
  await page.click('#speak-listen');
  await page.waitForSelector('#speak-listen[aria-pressed="true"]');
  await page.waitForTimeout(1000 * seconds);
  const heard = await detections(page, count);
  await page.click('#speak-listen');
  await page.waitForSelector('#speak-listen[aria-pressed="false"]');
  await page.setInputFiles('#speak-file-input', wav);
  const fromFile = await detections(page, count);
  const milliseconds = await page
    .locator('#speak-card [data-milliseconds]')
    .getAttribute('data-milliseconds');
  return { heard, fromFile, milliseconds: Number(milliseconds) };
}

async function detections(page, count) {
  const items = page.locator('#speak-heard li[data-label]');
  // The assertion on what was heard says more than a timeout here would.
  await items.nth(count - 1).waitFor({ timeout: 15_000 }).catch(() => null);
  await page.waitForTimeout(1500);
  return items.evaluateAll((found) =>
    found.map(({ dataset }) => ({
      label: dataset.label,
      seconds: Number(dataset.seconds),
      score: Number(dataset.score),
    })),
  );
}
