/** What the library prints by `console.warn`, kept for the test that expects it. */
export class Warnings implements Disposable {
  readonly texts: string[] = [];
  readonly #warn = console.warn;

  constructor() {
    console.warn = (text: string) => void this.texts.push(text);
  }

  [Symbol.dispose](): void {
    console.warn = this.#warn;
  }
}
