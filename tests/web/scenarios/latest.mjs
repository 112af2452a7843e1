/** Asks for work far more often than it may be done; when it was done, and on what. */
export default async function latest({ newPage, base }) {
  const page = await newPage();
  await page.goto(base);
  return page.evaluate(async () => {
    const { Latest } = await import('./page/latest.js');
    const pause = () => new Promise((done) => setTimeout(done, 5));
    const shown = document.createElement('p');
    const runs = [];
    let asked = 0;
    const latest = new Latest(shown, async (input) => {
      const run = { input, newest: asked, from: performance.now() };
      while (performance.now() - run.from < 10);
      runs.push({ ...run, until: performance.now() });
    });
    while (asked < 100) {
      latest.request(++asked);
      await pause();
    }
    while (shown.getAttribute('aria-busy') === 'true') await pause();
    return { asked, runs };
  });
}
