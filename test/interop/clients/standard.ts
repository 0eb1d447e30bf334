/**
 * The commands by the WebSocket of the WHATWG's standard, which browsers and Node have. A browser gets `runCommand` as
 * text, so it uses nothing from outside itself.
 */
export function runCommand(line: string, say: (event: object) => void): void {
	const scope = globalThis as { interopSockets?: Map<string, WebSocket> };
	scope.interopSockets ??= new Map();
	const sockets = scope.interopSockets;
	const [verb = "", connection = "", first = "", second = ""] = line.split("\t");
	const socket = sockets.get(connection);
	switch (verb) {
		case "open": {
			const opening = second === "" ? new WebSocket(first) : new WebSocket(first, second);
			opening.binaryType = "arraybuffer";
			let opened = false;
			opening.onopen = () => {
				opened = true;
				say({ connection, event: "open", protocol: opening.protocol });
			};
			opening.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
				if (typeof data === "string") {
					say({ connection, event: "text", data });
				} else {
					say({ connection, event: "binary", data: btoa(String.fromCharCode(...new Uint8Array(data))) });
				}
			};
			opening.onclose = ({ code, reason }) => {
				say(opened ? { connection, event: "closed", code, reason } : { connection, event: "refused", status: null });
			};
			sockets.set(connection, opening);
			break;
		}
		case "text":
			socket?.send(first);
			break;
		case "binary":
			socket?.send(Uint8Array.from(atob(first), (letter) => letter.charCodeAt(0)));
			break;
		case "close":
			socket?.close(Number(first), second);
			break;
		default:
			throw new Error(`a standard WebSocket cannot ${verb}`);
	}
}
