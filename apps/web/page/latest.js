/**
 * Runs slow work on the newest input only, and never for more than a ninth of the
 * time, so that drawing and typing stay smooth on slow machines.
 */
export class Latest {
  #work;
  #running = false;
  #waiting = null;
  #shown;

  /**
   * @param {HTMLElement} shown Where answers appear: `aria-busy` as long as one is due.
   * @param {(input: any) => Promise<void>} work Must not throw.
   */
  constructor(shown, work) {
    this.#shown = shown;
    this.#work = work;
  }

  request(input) {
    this.#waiting = { input };
    this.#shown.setAttribute('aria-busy', 'true');
    if (!this.#running) this.#run();
  }

  /** Forgets an input that has not been worked on yet. */
  cancel() {
    this.#waiting = null;
    this.#shown.setAttribute('aria-busy', 'false');
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
      if (!this.#waiting) this.#shown.setAttribute('aria-busy', 'false');
      await new Promise((done) => setTimeout(done, 8 * took));
    }
    this.#running = false;
  }
}
