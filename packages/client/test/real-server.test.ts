/** The SDK against Tidewire's own server: sessions, outbox, presence and durable inboxes over real sockets. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Contract } from "@tidewire/contract";
import { createServer, type Listening, type ServerOptions, SILENT, type TidewireServer } from "@tidewire/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { inbox } from "../src/durable-inbox.ts";
import { type Client, type ConnectOptions, connect } from "../src/index.ts";
import { fileOutbox } from "../src/outbox/node.ts";
import { presence } from "../src/presence.ts";

const OPTIONS: ServerOptions = {
	authenticate: ({ token }) => (token === undefined ? null : { id: token }),
	may: { subscribe: { "*": true }, publish: { "*": true }, presence: { "*": true }, history: { "*": true } },
	log: SILENT,
};

let server: TidewireServer;
let listening: Listening;
let sockets: WebSocket[];
let folder: string;
const clients: Client<Contract>[] = [];

/** Remembers its sockets, so that a test can end one. */
const Remembered = class extends WebSocket {
	constructor(url: string, protocol: string) {
		super(url, protocol);
		sockets.push(this);
	}
} as unknown as typeof WebSocket;

function client(options: ConnectOptions = {}): Client<Contract> {
	const made = connect(`${listening.url}/connect`, { webSocket: Remembered, maxBackoffMs: 20, ...options });
	clients.push(made);
	return made;
}

/** What is in the channel `chat`, as another client sees it. */
async function published(): Promise<unknown[]> {
	const { messages } = await client({ token: "reader" }).channel("chat").history();
	return messages.map(({ data }) => data);
}

/** The connection is lost, and the client comes back by itself. */
async function interrupt(tw: Client<Contract>): Promise<void> {
	const back = new Promise<void>((resolve) => {
		tw.on("state", (state) => state === "connected" && resolve());
	});
	sockets.at(-1)?.close(4000);
	await back;
}

beforeEach(async () => {
	sockets = [];
	folder = mkdtempSync(join(tmpdir(), "tidewire-client-"));
	server = createServer(undefined, OPTIONS);
	listening = await server.listen({ port: 0 });
});

afterEach(async () => {
	await Promise.all(clients.splice(0).map((tw) => tw.close()));
	await server.close({ drainMs: 0 });
	rmSync(folder, { recursive: true });
});

describe("a session", () => {
	it("goes on over an interruption", async () => {
		const tw = client({ token: "ann" });
		await tw.ready();
		await tw.channel("chat").publish("one");
		const { session } = tw;
		await interrupt(tw);
		expect(tw.session).toBe(session);
	});

	it("knows what was published before its answer was lost: performed once", async () => {
		const tw = client({ token: "ann" });
		await tw.ready();
		const chat = tw.channel("chat");
		await chat.publish("one");
		const socket = sockets.at(-1)!;
		// What is sent arrives, and the answer finds nobody.
		socket.onmessage = null;
		const position = chat.publish("two");
		await vi.waitFor(async () => expect(await published()).toHaveLength(2));
		socket.close(4000);
		expect(await position).toMatch(/:2$/);
		expect(await published()).toEqual(["one", "two"]);
	});
});

describe("an outbox in a file", () => {
	it("sends what was published without a server once, and in order, from the next client", async () => {
		const path = join(folder, "outbox");
		const nowhere = connect("ws://127.0.0.1:9/connect", { outbox: fileOutbox(path), maxBackoffMs: 10 });
		const promises = ["one", "two", "three"].map((text) => nowhere.channel("chat").publish(text));
		const refused = Promise.allSettled(promises);
		await nowhere.close();
		expect(await refused).toMatchObject(Array(3).fill({ status: "rejected", reason: { code: "closed" } }));
		const told: unknown[] = [];
		const outbox = fileOutbox(path, { onOutcome: ({ data }) => told.push(data) });
		client({ outbox, token: "ann" });
		await vi.waitFor(() => expect(told).toEqual(["one", "two", "three"]));
		expect(await published()).toEqual(["one", "two", "three"]);
		expect(outbox.waiting()).toEqual([]);
	});

	it("of a process that is killed in the middle of it goes on in the next: each once, in order", async () => {
		const path = join(folder, "outbox");
		const source = (name: string): string => JSON.stringify(new URL(`../src/${name}`, import.meta.url).href);
		const script = `
			import { connect } from ${source("index.ts")};
			import { fileOutbox } from ${source("outbox/node.ts")};
			const url = ${JSON.stringify(`${listening.url}/connect`)};
			const tw = connect(url, { token: "ann", outbox: fileOutbox(${JSON.stringify(path)}) });
			await tw.ready();
			for (let count = 1; ; count += 1) {
				tw.channel("chat").publish(count).catch(() => {});
				if (count % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
			}`;
		const child = spawn(process.execPath, ["--conditions=tidewire-source", "--input-type=module", "--eval", script]);
		const reader = client({ token: "reader" });
		const seen: number[] = [];
		await new Promise<void>((resolve) => {
			reader.channel("chat").subscribe((data) => seen.push(data as number) > 200 && resolve());
		});
		const gone = once(child, "exit");
		child.kill("SIGKILL");
		await gone;
		const outbox = fileOutbox(path);
		const tw = client({ outbox, token: "ann" });
		await tw.ready();
		await vi.waitFor(() => expect(outbox.waiting()).toEqual([]), { timeout: 10_000 });
		await tw.channel("chat").publish("end");
		await vi.waitFor(() => expect(seen.at(-1)).toBe("end"));
		expect(seen.slice(0, -1)).toEqual(seen.slice(0, -1).map((_, index) => index + 1));
	});

	it("pipelines a channel's publishes in order (after), also behind one that the server refuses", async () => {
		const tw = client({ outbox: fileOutbox(join(folder, "outbox")), token: "ann" });
		await tw.ready();
		const chat = tw.channel("chat");
		const outcomes = await Promise.allSettled([
			chat.publish("one"),
			chat.publish("two", { if: "nowhere:7" }),
			chat.publish("three"),
			chat.publish("four"),
		]);
		expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
		expect(await published()).toEqual(["one", "three", "four"]);
	});
});

describe("presence (B6)", () => {
	it("knows who is here, who comes, changes and goes, over an interruption too", async () => {
		const ann = client({ token: "ann" });
		const bob = client({ token: "bob" });
		const here = presence(ann.channel("room"), { enter: { data: "a" } });
		const users = (): unknown[] => [...here.members.values()].map(({ user, data }) => [user, data]).sort();
		await vi.waitFor(() => expect(users()).toEqual([["ann", "a"]]));
		const bobs = presence(bob.channel("room"));
		await bobs.enter({ mood: "fine" });
		await vi.waitFor(() =>
			expect(users()).toEqual([
				["ann", "a"],
				["bob", { mood: "fine" }],
			]),
		);
		await bobs.update("new");
		await vi.waitFor(() => expect(users()[1]).toEqual(["bob", "new"]));
		await interrupt(bob);
		await vi.waitFor(() => expect(bobs.members.size).toBe(2));
		expect(users()[1]).toEqual(["bob", "new"]);
		await bobs.leave();
		await vi.waitFor(() => expect(users()).toEqual([["ann", "a"]]));
		expect([...bobs.members.values()].map(({ user }) => user)).toEqual(["ann"]);
		expect([here.count, here.counting]).toEqual([1, false]);
	});

	it("ends without the channel's other listeners", async () => {
		const tw = client({ token: "ann" });
		const seen: unknown[] = [];
		tw.channel("room").subscribe((data) => seen.push(data));
		const mine = presence(tw.channel("room"), { enter: true });
		await vi.waitFor(() => expect(mine.members.size).toBe(1));
		mine.close();
		await vi.waitFor(async () => expect((await server.channel("room").presence()).count).toBe(0));
		await tw.channel("room").publish("hi");
		expect(seen).toEqual(["hi"]);
	});
});

describe("a durable inbox (B9)", () => {
	it("gets what came meanwhile, once: what was handled is received", async () => {
		const seen: unknown[] = [];
		const first = client({ token: "ann" });
		const reading = inbox(first.channel("@user"), "phone", (data) => void seen.push(data));
		await vi.waitFor(() => expect(first.channel("@user").state).toBe("subscribed"));
		const ann = server.user("ann");
		await ann.publish("one");
		await vi.waitFor(() => expect(seen).toEqual(["one"]));
		reading.close();
		await reading.done;
		await first.close();
		await ann.publish("two");
		await ann.publish("three");
		const second = client({ token: "ann" });
		inbox(second.channel("@user"), "phone", (data) => void seen.push(data));
		await vi.waitFor(() => expect(seen).toEqual(["one", "two", "three"]));
	});

	it("ends with its handler's error, and that message comes again", async () => {
		const first = client({ token: "ann" });
		const reading = inbox(first.channel("@user"), "phone", () => {
			throw new Error("no room");
		});
		await vi.waitFor(() => expect(first.channel("@user").state).toBe("subscribed"));
		await server.user("ann").publish("one");
		await expect(reading.done).rejects.toThrow("no room");
		const seen: unknown[] = [];
		inbox(first.channel("@user"), "phone", (data) => void seen.push(data));
		await vi.waitFor(() => expect(seen).toEqual(["one"]));
	});

	it("goes on after an interruption, behind a reader that is too slow as well", async () => {
		const tw = client({ token: "ann" });
		const seen: unknown[] = [];
		let go = (): void => {};
		const slow = new Promise<void>((resolve) => {
			go = resolve;
		});
		inbox(
			tw.channel("@user"),
			"phone",
			async (data) => {
				await slow;
				seen.push(data);
			},
			{ bufferMessages: 2 },
		);
		await vi.waitFor(() => expect(tw.channel("@user").state).toBe("subscribed"));
		const numbers = Array.from({ length: 10 }, (_, index) => index);
		for (const number of numbers) {
			await server.user("ann").publish(number);
		}
		await interrupt(tw);
		go();
		await vi.waitFor(() => expect(seen).toEqual(numbers));
	});
});
