import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePort, NodeProcess } from "../../src/verify/fault/node-process.ts";

/** A server that says who it is: its process's id. It ends at SIGTERM with the code given. */
const SERVER = [
	'const server = require("node:net").createServer((s) => s.on("error", () => {}).end(String(process.pid)));',
	'process.on("SIGTERM", () => process.exit(3));',
	"server.listen(Number(process.argv[1]));",
].join("");

async function node(script = SERVER): Promise<NodeProcess> {
	const node = new NodeProcess(`"${process.execPath}" -e '${script}' {port}`, "127.0.0.1", await freePort());
	onTestFinished(() => node.kill());
	return node;
}

async function ask({ host, port }: NodeProcess): Promise<string> {
	const socket = connect({ host, port });
	const [chunk] = (await once(socket, "data")) as [Buffer];
	socket.destroy();
	return chunk.toString();
}

describe("a node that the run starts", () => {
	it("is ready when it takes connections, and another one after kill -9, on the same port", async () => {
		const server = await node();
		await server.start();
		const first = await ask(server);
		await server.kill();
		await expect(ask(server)).rejects.toThrow();
		await server.start();
		expect(await ask(server)).not.toBe(first);
	});

	it("is asked to stop, and does", async () => {
		const server = await node();
		await server.start();
		expect(await server.drain()).toBe(true);
		await expect(ask(server)).rejects.toThrow();
	});

	it("leaves no child of the shell behind", async () => {
		const port = await freePort();
		// The shell itself stays in the foreground: a signal to it alone would leave the server.
		const server = new NodeProcess(`"${process.execPath}" -e '${SERVER}' {port}; true`, "127.0.0.1", port);
		onTestFinished(() => server.kill());
		await server.start();
		await server.kill();
		await expect(ask(server)).rejects.toThrow();
	});

	it("says what the command said, where it ends at once", async () => {
		const server = await node('console.error("no such option"); process.exit(2);');
		await expect(server.start()).rejects.toThrow(/--start ended: [\s\S]*no such option/);
	});
});
