/** The server's half: codecs that validate. Nothing here belongs in a browser. */
export {
	MAX_ID_BYTES,
	MAX_NAME_BYTES,
	MAX_SECONDS,
	MAX_TOKEN_BYTES,
} from "./fields.ts";
export { jsonServer } from "./json.ts";
export { memberSpan, nestsDeeper, type Span, trimSpan } from "./json-span.ts";
export { plainServer } from "./plain.ts";
export { MAX_NESTING } from "./publish-data.ts";
export { MAX_SUBSCRIBE_CHANNELS, validateClientMessage } from "./validate.ts";
