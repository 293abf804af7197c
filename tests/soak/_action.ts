/** Something that is done to tasks once, a while after it has begun. */
export class Action {
  readonly #ms: number;
  readonly #run: () => void;
  readonly #over = Promise.withResolvers<void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDone = false;

  constructor(ms: number, run: () => void) {
    this.#ms = ms;
    this.#run = run;
  }

  /** Resolves when it is done. */
  get done(): Promise<void> {
    return this.#over.promise;
  }

  begin(): void {
    this.#timer = setTimeout(() => this.run(), this.#ms);
  }

  run(): void {
    clearTimeout(this.#timer);
    if (this.#isDone) return;
    this.#isDone = true;
    try {
      this.#run();
      this.#over.resolve();
    } catch (error) {
      this.#over.reject(error);
    }
  }
}
