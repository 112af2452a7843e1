/** A first visit, its size, and a second one without a network. */
export default async function visits({ newPage, open }) {
  const page = await newPage();
  let bytes = 0;
  const sizes = [];
  page.on('response', (response) => {
    const length = Number(response.headers()['content-length'] ?? 0);
    bytes += length;
    sizes.push([response.url(), length]);
  });
  await open(page, 'draw');
  await page.click('#tab-speak');
  await page.waitForSelector('#speak-bars li');
  await page.click('#tab-type');
  await page.waitForSelector('#type-bars li');
  const firstVisit = bytes;
  await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    if (active.state !== 'activated') {
      await new Promise((done) => active.addEventListener('statechange', done));
    }
  });
  await page.context().setOffline(true);
  const asked = [];
  page.on('response', (response) => {
    if (!response.fromServiceWorker()) asked.push(response.url());
  });
  await page.reload();
  await page.waitForSelector('#type-bars li');
  await page.fill('#text', 'my card was stolen');
  await page.waitForSelector('#type-bars[aria-busy="false"] li.top');
  const offline = await page.getAttribute('#type-bars li', 'data-label');
  return { firstVisit, sizes, offline, asked };
}
