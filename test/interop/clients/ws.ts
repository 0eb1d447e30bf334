/** The npm package `ws` as a client program (`../client.ts` has the commands). */
import { createInterface } from "node:readline";
import { WebSocket } from "ws";

const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);
const sockets = new Map<string, WebSocket>();

function open(connection: string, url: string, protocol: string): void {
	const socket = protocol === "" ? new WebSocket(url) : new WebSocket(url, protocol);
	let state: "opening" | "open" | "refused" = "opening";
	socket.on("open", () => {
		state = "open";
		say({ connection, event: "open", protocol: socket.protocol });
	});
	socket.on("unexpected-response", (_request, { statusCode }) => {
		state = "refused";
		say({ connection, event: "refused", status: statusCode });
		socket.terminate();
	});
	socket.on("message", (data: Buffer, isBinary) => {
		const event = isBinary ? "binary" : "text";
		say({ connection, event, data: data.toString(isBinary ? "base64" : "utf8") });
	});
	socket.on("pong", (data) => say({ connection, event: "pong", data: data.toString("utf8") }));
	socket.on("close", (code, reason) => {
		if (state === "open") {
			say({ connection, event: "closed", code, reason: reason.toString("utf8") });
		} else if (state === "opening") {
			say({ connection, event: "refused", status: null });
		}
	});
	// Each is followed by what is said above.
	socket.on("error", () => {});
	sockets.set(connection, socket);
}

/** Cuts between bytes, so that characters are cut, too. */
function sendFragments(socket: WebSocket | undefined, count: number, text: string): void {
	const bytes = Buffer.from(text);
	for (let index = 0; index < count; index++) {
		const part = bytes.subarray((index * bytes.length) / count, ((index + 1) * bytes.length) / count);
		socket?.send(part, { binary: false, fin: index === count - 1 });
	}
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
	const [verb = "", connection = "", first = "", second = ""] = line.split("\t");
	const socket = sockets.get(connection);
	switch (verb) {
		case "open":
			open(connection, first, second);
			break;
		case "text":
			socket?.send(first);
			break;
		case "fragments":
			sendFragments(socket, Number(first), second);
			break;
		case "binary":
			socket?.send(Buffer.from(first, "base64"));
			break;
		case "ping":
			socket?.ping(first);
			break;
		case "close":
			socket?.close(Number(first), second);
			break;
		default:
			throw new Error(`unknown command ${verb}`);
	}
});
lines.on("close", () => process.exit(0));
say({ event: "ready" });
