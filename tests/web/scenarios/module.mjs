/** Uses seqcore.js as another page would: one file, inputs of one kind, raw scores. */
export default async function module({ newPage, base, file, inputs }) {
  const page = await newPage();
  await page.goto(base);
  return page.evaluate(
    async ({ file, inputs }) => {
      const { load } = await import('./seqcore.js');
      const model = await load(file);
      const answers = [];
      for (const input of inputs) {
        try {
          const { candidates, scores, characters } = await model.recognise(
            model.app === 'speech' ? Float32Array.from(input) : input,
          );
          answers.push({
            candidates,
            scores: scores && [...scores],
            characters: characters?.map((stroke) => [...stroke]),
          });
        } catch (error) {
          answers.push({ error: error.message });
        }
      }
      const { metadata, labels, bytes, app } = model;
      model.close();
      return { answers, metadata, labels, bytes, app };
    },
    { file, inputs },
  );
}
