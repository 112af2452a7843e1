/*
 * Keeps the page for the next visit, also without a network. `files.js`, which the
 * build writes, names every file with a hash: a new build is a new cache.
 */
importScripts('files.js');

const { version, first } = self.SEQCORE_FILES;
const CACHE = `seqcore-${version}`;

self.addEventListener('install', (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      await cache.addAll(first.map((path) => new Request(path, { cache: 'no-cache' })));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith('seqcore-') && name !== CACHE) await caches.delete(name);
      }
      await self.clients.claim();
    })(),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return;
  event.respondWith(
    (async () => {
      const cache = await caches.open(CACHE);
      const kept = await cache.match(request);
      if (kept) return kept;
      const response = await fetch(request);
      // Variants and examples, once somebody has asked for them.
      if (response.status === 200) cache.put(request, response.clone());
      return response;
    })(),
  );
});
