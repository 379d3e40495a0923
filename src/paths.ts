/** The folders of files that a browser gets. They are found from `src/`, and from `dist/` with the program in one file. */
export const STATIC = new URL("../static/", import.meta.url);
export const CLIENT = new URL("../dist/client/", import.meta.url);
