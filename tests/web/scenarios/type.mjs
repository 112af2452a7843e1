/** Types texts into the page: every label's score, and which words carried one. */
export default async function type({ newPage, open, texts, explained }) {
  const page = await newPage({ viewport: { width: 1100, height: 900 } });
  await open(page, 'type');
  const answers = [];
  for (const text of texts) {
    await page.fill('#text', '');
    await page.fill('#text', text);
    await page.waitForSelector('#type-bars[aria-busy="false"]');
    answers.push(
      await page.$$eval('#type-bars li', (items) =>
        items.map(({ dataset }) => [dataset.label, Number(dataset.score)]),
      ),
    );
  }
  const milliseconds = await page
    .locator('#type-card [data-milliseconds]')
    .getAttribute('data-milliseconds');
  const explanations = await page.evaluate(async (texts) => {
    const { load } = await import('./seqcore.js');
    const { models } = await (await fetch('models.json')).json();
    const { file } = models.find(({ panel }) => panel === 'type').variants[0];
    const model = await load(file);
    const found = [];
    for (const text of texts) {
      found.push(await model.explain(text, await model.recognise(text)));
    }
    model.close();
    return found;
  }, explained);
  await page.fill('#text', explained[0]);
  await page.waitForSelector('#type-words mark');
  const marked = await page.$$eval('#type-words mark', (marks) =>
    marks.map((mark) => mark.firstChild.textContent),
  );
  return { answers, explanations, marked, milliseconds: Number(milliseconds) };
}
