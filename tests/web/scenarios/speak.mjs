/** Listens to Chromium's fake microphone, which plays a file, and to the same file. */
export default async function speak({ newPage, open, base, seconds, wav }) {
  const page = await newPage({ permissions: ['microphone'] });
  await open(page, 'speak');
  await page.click('#speak-listen');
  await page.waitForSelector('#speak-listen[aria-pressed="true"]');
  await page.waitForTimeout(1000 * seconds);
  const heard = await detections(page);
  const level = await page.getAttribute('#speak-meter', 'aria-valuenow');
  await page.click('#speak-listen');
  await page.waitForSelector('#speak-listen[aria-pressed="false"]');
  await page.setInputFiles('#speak-file-input', wav);
  await page.waitForFunction(
    (count) => document.querySelectorAll('#speak-heard li[data-label]').length >= count,
    heard.length,
  );
  await page.waitForTimeout(1500);
  const fromFile = await detections(page);
  const milliseconds = await page
    .locator('#speak-card [data-milliseconds]')
    .getAttribute('data-milliseconds');
  return { heard, fromFile, level: Number(level), milliseconds: Number(milliseconds) };
}

const detections = (page) =>
  page.$$eval('#speak-heard li[data-label]', (items) =>
    items.map(({ dataset }) => ({
      label: dataset.label,
      seconds: Number(dataset.seconds),
      score: Number(dataset.score),
    })),
  );
