/**
 * Runs one scenario in headless Chromium: a job as JSON on standard input, its
 * result as JSON on standard output.
 */
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const job = JSON.parse(readFileSync(0, 'utf8'));
const require = createRequire(`${job.web}/package.json`);
const { chromium } = require('playwright-core');

const args = ['--no-sandbox', '--disable-dev-shm-usage', ...(job.flags ?? [])];
const browser = await chromium.launch({ executablePath: job.chromium, args });
const requests = new Set();
const problems = [];

/** A page in a fresh profile; what it asks for and what goes wrong is kept. */
async function newPage(options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(job.timeout);
  context.on('request', (request) => requests.add(request.url()));
  const page = await context.newPage();
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  return page;
}

/** Opens a panel and waits until its model has been loaded. */
async function open(page, panel) {
  await page.goto(`${job.base}#${panel}`);
  await page.waitForSelector(`#${panel}-card[aria-busy="false"] h2:not(:empty)`);
}

try {
  const { default: scenario } = await import(`./scenarios/${job.scenario}.mjs`);
  const result = await scenario({ ...job, newPage, open, require });
  console.log(JSON.stringify({ result, requests: [...requests], problems }));
} finally {
  await browser.close();
}
