/** A mistake or a limit that a user can do something about: a sentence to show. */
export class SeqcoreError extends Error {
  constructor(message) {
    super(message);
    this.name = 'SeqcoreError';
  }
}
