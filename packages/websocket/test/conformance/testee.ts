/**
 * Our client role as a testee of the public suite's fuzzing server (see README.md): asks how many cases there are,
 * echoes its way through each, and has the report written.
 *
 *     node --conditions=tidewire-source packages/websocket/test/conformance/testee.ts ws://127.0.0.1:9002
 *
 * It offers to compress each message alone: the suite's server asks that of those only who have offered it.
 */
import type { Socket } from "node:net";
import { type Connection, resolveCompression, resolveLimits } from "../../src/index.ts";
import { connectWebSocket, type SocketContext, socketHandler } from "../../src/node/index.ts";

const AGENT = "tidewire";

interface Testee extends SocketContext {
	connection?: Connection<Testee>;
	/** The last text that came: the fuzzing server's answers. */
	text: string;
	readonly closed: PromiseWithResolvers<void>;
}

const limits = resolveLimits({ maxMessageBytes: 64 * 1024 * 1024 });
const compression = resolveCompression({ clientNoContextTakeover: process.argv[3] !== "--default-offer" });

const ignore = (): void => {};
const close = (testee: Testee): void => testee.closed.resolve();

const listener = socketHandler<Testee>({
	message: (testee, data, text) => {
		testee.text = text ? new TextDecoder().decode(data) : "";
	},
	ping: ignore,
	pong: ignore,
	close,
});

const echo = socketHandler<Testee>({
	message: ({ connection }, data, text) => void (text ? connection?.sendText(data) : connection?.sendBinary(data)),
	ping: ignore,
	pong: ignore,
	close,
});

/** One connection from its beginning to its end; what it heard last. */
async function visit(url: string, handler: typeof echo): Promise<string> {
	const context = (socket: Socket): Testee => ({ socket, text: "", closed: Promise.withResolvers() });
	const { context: testee, connection } = await connectWebSocket(url, { context, limits, compression }, handler);
	// Awaited directly, so this comes before the first event: the socket flows from the next tick on.
	testee.connection = connection;
	await testee.closed.promise;
	return testee.text;
}

const server = process.argv[2];
if (server === undefined || !URL.canParse(server)) {
	process.stderr.write("the URL of a fuzzing server is missing, such as ws://127.0.0.1:9002\n");
	process.exitCode = 2;
} else {
	const cases = Number(await visit(`${server}/getCaseCount`, listener));
	for (let number = 1; number <= cases; number++) {
		await visit(`${server}/runCase?case=${number}&agent=${AGENT}`, echo);
	}
	await visit(`${server}/updateReports?agent=${AGENT}`, listener);
	process.stdout.write(`${cases} cases\n`);
}
