/**
 * Shares a port with an application: takes the upgrades of our own paths and leaves everything else to whoever had it.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { formatResponse } from "@tidewire/websocket";
import type { Router } from "./route.ts";
import { readUrl, type Upgrader } from "./upgrade.ts";

/** Listens for upgrades. What it returns takes the listener away again. */
export function attach(server: Server | SecureServer, router: Router, upgrader: Upgrader): () => void {
	const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
		if (router.owns(readUrl(request.url ?? "").path)) {
			void upgrader.upgrade(request, socket, head);
		} else if (server.listenerCount("upgrade") === 1) {
			// Nobody else is there to answer, and without an answer the client would wait.
			socket.on("error", () => socket.destroy());
			socket.once("finish", () => socket.destroy());
			socket.end(formatResponse(404, { connection: "close" }, "there is no WebSocket at this path\n"));
		}
	};
	server.on("upgrade", onUpgrade);
	return () => server.off("upgrade", onUpgrade);
}
