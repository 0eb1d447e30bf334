/**
 * Shares a port with an application: takes the upgrades of our own paths, by HTTP/1.1 or as streams of HTTP/2 (RFC
 * 8441), and leaves everything else to whoever had it, requests with an `Upgrade` header that nobody here knows (`h2c`)
 * included.
 *
 * It stands before the `upgrade` and `stream` listeners instead of being one of them: with two listeners Node hands a socket to
 * both, and others (`ws` with `{ server, path }`) answer 400 to each path that is not theirs, on the socket that we
 * have just taken.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Http2SecureServer, Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { formatResponse } from "@tidewire/websocket";
import { HTTP2_SETTINGS, isWebSocketStream, refuseStream } from "@tidewire/websocket/node";
import { streamArrival, upgradeArrival } from "./arrival.ts";
import type { Router } from "./route.ts";
import { readUrl, type Upgrader } from "./upgrade.ts";

/** A server that may belong to an application. */
export type HttpServer = Server | SecureServer | Http2Server | Http2SecureServer;

type Attachable = HttpServer & {
	/** Node 24.9 and newer: whether a request is taken for an upgrade. Older ones do so wherever there is a listener. */
	shouldUpgradeCallback?: (request: IncomingMessage) => boolean;
};

/** Takes our upgrades from now on. What it returns gives them back. */
export function attach(server: Attachable, router: Router, upgrader: Upgrader): () => void {
	const owns = (target: string | undefined): boolean => router.owns(readUrl(target ?? "").path);
	const { emit, shouldUpgradeCallback } = server;

	const takeUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): boolean => {
		if (!owns(request.url)) {
			return false;
		}
		void upgrader.upgrade(upgradeArrival(request, socket, head));
		return true;
	};
	const takeStream = (
		stream: ServerHttp2Stream,
		headers: IncomingHttpHeaders,
		_flags: number,
		rawHeaders: readonly string[],
	): boolean => {
		if (!isWebSocketStream(headers)) {
			return false;
		}
		if (owns(headers[":path"])) {
			void upgrader.upgrade(streamArrival(stream, headers, rawHeaders));
			return true;
		}
		if (server.listenerCount("stream") > 0) {
			return false;
		}
		// Nobody else is there to answer, and without an answer the client would wait.
		refuseStream(stream, 404, "there is no WebSocket at this path");
		return true;
	};
	// What Node emits under these names.
	const takeOurs = (event: string | symbol, ...details: readonly unknown[]): boolean =>
		(event === "upgrade" && takeUpgrade(...(details as Parameters<typeof takeUpgrade>))) ||
		(event === "stream" && takeStream(...(details as Parameters<typeof takeStream>))) ||
		Reflect.apply(emit, server, [event, ...details]);
	// What was there before us says yes to everything as soon as anybody listens, as we do.
	const others = shouldUpgradeCallback;
	const takeOursOnly = (request: IncomingMessage): boolean =>
		owns(request.url) ||
		(others !== undefined && (ours.has(others) || !isAlone(server)) && others.call(server, request) === true);

	if ("updateSettings" in server) {
		server.updateSettings(HTTP2_SETTINGS);
	}
	server.emit = takeOurs;
	// Without any listener Node closes the socket before it emits anything.
	server.on("upgrade", refuseUnknown);
	if (shouldUpgradeCallback !== undefined) {
		ours.add(takeOursOnly);
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

/** Our own `shouldUpgradeCallback`s, of all HTTP servers. */
const ours = new WeakSet<object>();

/** Whether nobody but us listens for upgrades. */
function isAlone(server: HttpServer): boolean {
	return server.listeners("upgrade").every((listener) => listener === refuseUnknown);
}

/** Before Node 24.9, where nobody else is there to answer: without an answer the client would wait. */
function refuseUnknown(this: Server, _request: IncomingMessage, socket: Duplex): void {
	// One HTTP server may have several of us, each with this listener.
	if (isAlone(this) && !socket.writableEnded) {
		socket.on("error", () => socket.destroy());
		socket.once("finish", () => socket.destroy());
		socket.end(formatResponse(404, { connection: "close" }, "there is no WebSocket at this path\n"));
	}
}
