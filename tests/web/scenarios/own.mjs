/** Gives the panel for ink files of the reader's own; what it answers. */
export default async function own({ newPage, open, drops }) {
  const page = await newPage();
  const answers = [];
  await open(page, 'draw');
  const card = page.locator('#draw-card');
  for (const path of drops) {
    const before = await card.textContent();
    await card.locator('input[type=file]').setInputFiles(path);
    await page.waitForFunction(
      (before) => document.getElementById('draw-card').textContent !== before,
      before,
    );
    answers.push({
      problem: await card.locator('.problem').textContent(),
      title: await card.locator('h2').textContent(),
    });
  }
  return answers;
}
