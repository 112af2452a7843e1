/**
 * Runs slow work on the newest input only, and never for more than a fifth of the
 * time, so that drawing and typing stay smooth on slow machines.
 */
export class Latest {
  #work;
  #running = false;
  #waiting = null;

  /** @param {(input: any) => Promise<void>} work Must not throw. */
  constructor(work) {
    this.#work = work;
  }

  request(input) {
    this.#waiting = { input };
    if (!this.#running) this.#run();
  }

  /** Forgets an input that has not been worked on yet. */
  cancel() {
    this.#waiting = null;
  }

  async #run() {
    this.#running = true;
    while (this.#waiting) {
      // What the last event has drawn is shown first.
      await new Promise((done) => setTimeout(done));
      if (!this.#waiting) break;
      const { input } = this.#waiting;
      this.#waiting = null;
      const from = performance.now();
      await this.#work(input);
      const took = performance.now() - from;
      await new Promise((done) => setTimeout(done, 4 * took));
    }
    this.#running = false;
  }
}
