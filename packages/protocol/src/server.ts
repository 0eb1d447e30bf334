/** The server's half: codecs that validate. Nothing here belongs in a browser. */
export { jsonServer } from "./json.ts";
export { plainServer } from "./plain.ts";
export { validateClientMessage } from "./validate.ts";
