/**
 * What `server.ts` uses of highlight.js. The types that come with it would bring those of the DOM to all other modules
 * that are checked at the same time.
 *
 * @module
 */

declare const hljs: {
  getLanguage(name: string): object | undefined;
  highlight(code: string, options: { language: string }): { value: string };
};

export default hljs;
