/**
 * Shares a port with an application: takes the upgrades of our own paths and leaves everything else to whoever had it,
 * requests with an `Upgrade` header that nobody here knows (`h2c`) included.
 *
 * It stands before the `upgrade` listeners instead of being one of them: with two listeners Node hands a socket to
 * both, and others (`ws` with `{ server, path }`) answer 400 to each path that is not theirs, on the socket that we
 * have just taken.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { formatResponse } from "@tidewire/websocket";
import type { Router } from "./route.ts";
import { readUrl, type Upgrader } from "./upgrade.ts";

type HttpServer = (Server | SecureServer) & {
	/** Node 24.9 and newer: whether a request is taken for an upgrade. Older ones do so wherever there is a listener. */
	shouldUpgradeCallback?: (request: IncomingMessage) => boolean;
};

/** Takes our upgrades from now on. What it returns gives them back. */
export function attach(server: HttpServer, router: Router, upgrader: Upgrader): () => void {
	const owns = (request: IncomingMessage): boolean => router.owns(readUrl(request.url ?? "").path);
	const { emit, shouldUpgradeCallback } = server;

	const takeOurs = (event: string | symbol, ...details: readonly unknown[]): boolean => {
		// What Node emits as "upgrade".
		const [request, socket, head] = details as readonly [IncomingMessage, Duplex, Buffer];
		if (event === "upgrade" && owns(request)) {
			void upgrader.upgrade(request, socket, head);
			return true;
		}
		return Reflect.apply(emit, server, [event, ...details]);
	};
	const takeOursOnly = (request: IncomingMessage): boolean =>
		owns(request) || shouldUpgradeCallback?.call(server, request) === true;

	server.emit = takeOurs;
	if (shouldUpgradeCallback === undefined) {
		server.off("upgrade", refuseUnknown).on("upgrade", refuseUnknown);
	} else {
		server.shouldUpgradeCallback = takeOursOnly;
	}
	return () => {
		if (server.emit === takeOurs) {
			server.emit = emit;
		}
		if (server.shouldUpgradeCallback === takeOursOnly && shouldUpgradeCallback !== undefined) {
			server.shouldUpgradeCallback = shouldUpgradeCallback;
		}
		server.off("upgrade", refuseUnknown);
	};
}

/** Before Node 24.9, where nobody else is there to answer: without an answer the client would wait. */
function refuseUnknown(this: Server, _request: IncomingMessage, socket: Duplex): void {
	if (this.listeners("upgrade").every((listener) => listener === refuseUnknown)) {
		socket.on("error", () => socket.destroy());
		socket.once("finish", () => socket.destroy());
		socket.end(formatResponse(404, { connection: "close" }, "there is no WebSocket at this path\n"));
	}
}
