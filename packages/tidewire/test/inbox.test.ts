/** B9: an inbox in a SQLite file outlives the process that it was written by, whether that was asked to end or killed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "tidewire";
import { createSqliteBroker } from "tidewire/sqlite";
import { expect, it, onTestFinished } from "vitest";
import { type Client, enveloped } from "../../server/test/client.ts";
import { start } from "./running.ts";

function makePath(): string {
	const folder = mkdtempSync(join(tmpdir(), "tidewire-inbox-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	return join(folder, "channels.db");
}

async function phone(url: string): Promise<{ client: Client; reply: unknown }> {
	const client = await enveloped(url, { headers: { authorization: "Bearer ann" } });
	return { client, reply: await client.ask({ action: "subscribe", channel: "@user", durable: "phone" }) };
}

it("servers one after the other on one file: what was not received comes again, what was does not", async () => {
	const path = makePath();
	const serve = async () => {
		const server = createServer(undefined, {
			authenticate: ({ token }) => ({ id: token ?? "guest" }),
			broker: createSqliteBroker({ path }),
			// So that only the end of the server writes the second of two that come at once.
			durable: { intervalMs: 3_600_000 },
		});
		onTestFinished(() => server.close());
		const { url } = await server.listen({ port: 0 });
		return { server, url: `${url.replace("http", "ws")}/connect` };
	};
	const first = await serve();
	await phone(first.url);
	await first.server.close();

	const second = await serve();
	const one = await second.server.user("ann").publish("one");
	const two = await second.server.user("ann").publish("two");
	const { client, reply } = await phone(second.url);
	expect(reply).toMatchObject({ recovered: true });
	expect([(await client.next()).data, (await client.next()).data]).toEqual(["one", "two"]);
	client.send({ action: "received", channel: "@user", position: one });
	client.send({ action: "received", channel: "@user", position: two });
	await client.ask({ action: "ping" });
	await second.server.user("ann").publish("three");
	await second.server.close();

	const third = await serve();
	const again = await phone(third.url);
	expect(again.reply).toMatchObject({ position: two, recovered: true });
	expect((await again.client.next()).data).toBe("three");
});

it("a server killed with -9: nothing that it accepted is missing", async () => {
	const path = makePath();
	const serve = async () => {
		const args = ["serve", "--port", "0", "--config", "configs/inbox.ts", "--broker", `sqlite:${path}`];
		const gateway = start(args);
		const [, url = ""] = await gateway.says(/^Clients connect to (\S+)$/m);
		return { gateway, url };
	};
	const first = await serve();
	const before = await phone(first.url);
	before.client.socket.terminate();
	const sender = await enveloped(first.url, { headers: { authorization: "Bearer ann" } });
	const { position } = await sender.ask({ action: "publish", channel: "@user", data: "while away" });
	await first.gateway.kill("SIGKILL");

	const second = await serve();
	const { client, reply } = await phone(second.url);
	expect(reply).toMatchObject({ recovered: true });
	expect(await client.next()).toMatchObject({ data: "while away" });
	client.send({ action: "received", channel: "@user", position });
	await client.ask({ action: "ping" });
	await second.gateway.kill("SIGTERM");

	const third = await serve();
	const again = await phone(third.url);
	expect(again.reply).toMatchObject({ position, recovered: true });
	await again.client.nothingElse();
});
