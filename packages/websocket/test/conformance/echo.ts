/**
 * `npm run echo -- --port 9001`: a server that sends every message back as it came, for the public conformance suite
 * (see README.md) and for trying the engine by hand. It checks no origin: it is made for this machine.
 */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { parseArgs } from "node:util";
import { type Connection, resolveCompression, resolveLimits } from "../../src/index.ts";
import { acceptSocket, type SocketContext, socketHandler } from "../../src/node/index.ts";

const USAGE = `Usage: npm run echo -- [--port <number>] [--host <address>]

A WebSocket server that sends every message back as it came, up to 64 MiB, compressed where the client can.

  --port <number>   where to listen; 0 takes a free port and prints it (default 9001)
  --host <address>  (default 127.0.0.1)
  --help            this text
`;

interface Options {
	readonly host: string;
	readonly port: number;
}

interface Client extends SocketContext {
	connection?: Connection<Client>;
}

/**
 * Fragments are charged at least 32 bytes each against an allowance of the same size, so up to 2,097,152 empty ones
 * may make one message.
 */
const limits = resolveLimits({ maxMessageBytes: 64 * 1024 * 1024, closeTimeoutMs: 1_000 });
const compression = resolveCompression();

function readOptions(args: readonly string[]): Options | "help" | undefined {
	try {
		const { values } = parseArgs({
			args: [...args],
			options: {
				port: { type: "string", default: "9001" },
				host: { type: "string", default: "127.0.0.1" },
				help: { type: "boolean", default: false },
			},
		});
		if (values.help) {
			return "help";
		}
		if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535) {
			throw new RangeError(`--port must be a number from 0 to 65535, not ${JSON.stringify(values.port)}`);
		}
		return { host: values.host, port: Number(values.port) };
	} catch (error) {
		process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
		return undefined;
	}
}

function serve({ host, port }: Options): void {
	const clients = new Set<Client>();
	const handler = socketHandler<Client>({
		message: ({ connection }, data, text) => void (text ? connection?.sendText(data) : connection?.sendBinary(data)),
		ping: () => {},
		pong: () => {},
		close: (client) => void clients.delete(client),
	});
	const http = createServer((_request, response) => {
		response.writeHead(426, { upgrade: "websocket", connection: "Upgrade, close" }).end("a WebSocket echo server\n");
	});
	http.on("upgrade", (request, socket: Socket, head) => {
		const options = { limits, compression, context: (socket: Socket): Client => ({ socket }) };
		const connection = acceptSocket(request, socket, head, options, handler);
		if (connection !== undefined) {
			connection.context.connection = connection;
			clients.add(connection.context);
		}
	});
	http.once("error", (error) => {
		process.stderr.write(`cannot listen on ${host}:${port}: ${error.message}\n`);
		process.exitCode = 1;
	});
	http.listen(port, host, () => {
		const { port: taken } = http.address() as AddressInfo;
		process.stdout.write(`echo: ws://${host.includes(":") ? `[${host}]` : host}:${taken}\n`);
	});
	const stop = (): void => {
		http.close();
		http.closeAllConnections();
		for (const client of clients) {
			client.connection?.close(1001, "the server stops");
		}
	};
	// Under npm one Ctrl-C arrives twice. What does not answer our close frames is gone a second later in any case.
	process.on("SIGINT", stop);
	process.on("SIGTERM", stop);
}

const options = readOptions(process.argv.slice(2));
if (options === "help") {
	process.stdout.write(USAGE);
} else if (options === undefined) {
	process.exitCode = 2;
} else {
	serve(options);
}
