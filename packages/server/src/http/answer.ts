/** Plain HTTP on a port of our own: health, and what to say to those who are wrong here. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Router } from "./route.ts";
import { readUrl } from "./upgrade.ts";

export function answerPlainly(
	request: IncomingMessage | Http2ServerRequest,
	response: ServerResponse | Http2ServerResponse,
	router: Router,
	draining: boolean,
): void {
	const { path } = readUrl(request.url ?? "");
	const answer = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): void => {
		const fields = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", ...headers };
		// The overloads of the two responses differ in what this does not use.
		(response as ServerResponse).writeHead(status, fields).end(`${text}\n`);
	};
	if (router.owns(path)) {
		if (request.httpVersionMajor === 1) {
			answer(426, "this is a WebSocket endpoint", { upgrade: "websocket", connection: "upgrade" });
		} else {
			// HTTP/2 has no upgrade; a WebSocket is asked for by CONNECT (RFC 8441).
			answer(405, "this is a WebSocket endpoint", { allow: "CONNECT" });
		}
	} else if (request.method === "CONNECT" && path !== "") {
		answer(404, "there is no WebSocket at this path");
	} else if (request.method !== "GET" && request.method !== "HEAD") {
		answer(405, "only GET is known here", { allow: "GET, HEAD" });
	} else if (path === "/healthz") {
		answer(200, "ok");
	} else if (path === "/readyz") {
		answer(draining ? 503 : 200, draining ? "draining" : "ready");
	} else {
		answer(404, "there is nothing at this path");
	}
}
