/** Gives the panels files of the reader's own; what they answer. */
export default async function own({ newPage, open, drops, base }) {
  const page = await newPage();
  const answers = [];
  for (const { panel, path } of drops) {
    // A file that crashes the engine must not spoil the next answer.
    await page.goto('about:blank');
    await open(page, panel);
    const card = page.locator(`#${panel}-card`);
    const before = await card.locator('h2').textContent();
    await card.locator('input[type=file]').setInputFiles(path);
    await page.waitForFunction(
      ([panel, before]) => {
        const card = document.getElementById(`${panel}-card`);
        const problem = card.querySelector('.problem');
        return !problem.hidden || card.querySelector('h2').textContent !== before;
      },
      [panel, before],
    );
    answers.push({
      problem: await card.locator('.problem').textContent(),
      title: await card.locator('h2').textContent(),
    });
  }
  return answers;
}
