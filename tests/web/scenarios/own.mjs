/** Gives the panel for ink files of the reader's own; what it answers. */
export default async function own({ newPage, open, drops }) {
  const page = await newPage();
  const answers = [];
  await open(page, 'draw');
  const card = page.locator('#draw-card');
  for (const path of drops) {
    await card.locator('input[type=file]').setInputFiles(path);
    await page.waitForSelector('#draw-card[aria-busy="false"]');
    answers.push({
      problem: await card.locator('.problem').textContent(),
      title: await card.locator('h2').textContent(),
    });
  }
  return answers;
}
