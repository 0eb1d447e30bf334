/** As much of Express as the tests use; it brings no types of its own. */
declare module "express" {
	import type { IncomingMessage, Server, ServerResponse } from "node:http";

	interface Request extends IncomingMessage {
		readonly body: unknown;
	}
	interface Response extends ServerResponse {
		send(body: string): void;
		json(body: unknown): void;
	}
	type Handler = (request: Request, response: Response, next: () => void) => void;
	interface Express {
		get(path: string, ...handlers: readonly Handler[]): void;
		post(path: string, ...handlers: readonly Handler[]): void;
		listen(port: number, host: string): Server;
	}
	interface Make {
		(): Express;
		json(options: { readonly limit: string }): Handler;
	}
	const express: Make;
	export default express;
}
