/** C2: what is published waits for the connection, survives its page, and is sent once. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { TidewireError } from "../src/index.ts";
import type { KeptMessage } from "../src/outbox/index.ts";
import { FakePages, type Page } from "./fake-pages.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeWorld } from "./fake-world.ts";

let world: FakeWorld;
let server: FakeServer;
let pages: FakePages;

beforeEach(() => {
	world = new FakeWorld();
	server = new FakeServer(world);
	pages = new FakePages(world);
});

const done = (): unknown[] => server.carriedOut.map(({ data, input }) => data ?? input);

async function opened(...how: Parameters<FakePages["open"]>): Promise<Page> {
	const page = pages.open(...how);
	await world.settle();
	return page;
}

/** There is no server: connections are refused. */
function unplug(): void {
	world.onSocket = (socket) => socket.end(1006);
	world.sockets.at(-1)?.end(1006);
}

function plug(): void {
	world.onSocket = (socket) => server.accept(socket);
}

function quietly(promise: Promise<unknown>): void {
	promise.catch(() => {});
}

/** The page is loaded anew. */
async function reload(page: Page, ...how: Parameters<FakePages["open"]>): Promise<Page> {
	pages.kill(page);
	await world.settle();
	return opened(...how);
}

describe("a publish", () => {
	it("that was made offline survives a reload, and is sent once when the server is there, in order", async () => {
		unplug();
		const first = await opened();
		for (const text of ["one", "two", "three"]) {
			quietly(first.tw.channel("chat").publish(text));
		}
		await world.settle();
		const second = await reload(first);
		expect(second.outbox.waiting().map(({ data }) => data)).toEqual(["one", "two", "three"]);
		plug();
		await world.advance(10_000);
		expect(done()).toEqual(["one", "two", "three"]);
		expect(second.outbox.waiting()).toEqual([]);
		expect([...pages.records.keys()]).toEqual(["session"]);
	});

	it("is on the disk before it is on the wire", async () => {
		const { tw } = await opened();
		let atSending: readonly string[] = [];
		const position = tw.channel("chat").publish("hi");
		world.socket.send = new Proxy(world.socket.send, {
			apply: (send, socket, [payload]: [string]) => {
				atSending = [...pages.records.values()].map((record) => JSON.stringify(record));
				Reflect.apply(send, socket, [payload]);
			},
		});
		expect(await position).toBe("e1:1");
		expect(atSending.some((record) => record.includes("hi") && record.includes('"mark"'))).toBe(true);
	});

	it("whose page died between sending and ack is asked for again, under its id, in the session resumed", async () => {
		const page = await opened();
		server.losesReplies = true;
		quietly(page.tw.channel("chat").publish("hi"));
		await world.settle();
		const sent = world.socket.of("publish")[0];
		server.losesReplies = false;
		const onOutcome = vi.fn();
		await reload(page, { onOutcome });
		await world.advance(2_000);
		expect(world.socket.of("resume")).toHaveLength(1);
		expect(world.socket.of("publish")).toMatchObject([{ id: sent?.id, data: "hi" }]);
		expect(done()).toEqual(["hi"]);
		expect(onOutcome).toHaveBeenCalledExactlyOnceWith(
			expect.objectContaining({ action: "publish", channel: "chat", data: "hi" }),
			expect.objectContaining({ position: "e1:1" }),
		);
	});

	it("that may have been sent in a session that is gone is reported unknown, and never sent again", async () => {
		const page = await opened();
		server.deaf.add("publish");
		quietly(page.tw.channel("chat").publish("perhaps"));
		await world.settle();
		unplug();
		await world.settle();
		quietly(page.tw.channel("chat").publish("surely not"));
		await world.settle();
		server.sessions.clear();
		server.deaf.clear();
		plug();
		const told: [unknown, string | undefined][] = [];
		await reload(page, {
			onOutcome: (message: KeptMessage, outcome) => told.push([message.data, (outcome as TidewireError).code]),
		});
		await world.advance(2_000);
		expect(told).toEqual([
			["perhaps", "unknown_outcome"],
			["surely not", undefined],
		]);
		expect(done()).toEqual(["surely not"]);
	});

	it("of an unknown outcome that nobody asked for is the client's error: never silent", async () => {
		const page = await opened();
		server.deaf.add("publish");
		quietly(page.tw.channel("chat").publish("perhaps"));
		await world.settle();
		server.sessions.clear();
		const onError = vi.fn();
		await reload(page, {}, { onError });
		await world.advance(2_000);
		expect(onError).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: "unknown_outcome" }));
	});

	it("is not believed to be fresh because the clock went back: its outcome is unknown", async () => {
		const page = await opened();
		server.losesReplies = true;
		quietly(page.tw.channel("chat").publish("hi"));
		await world.settle();
		server.losesReplies = false;
		const onOutcome = vi.fn();
		await reload(page, { onOutcome, nowMs: () => 1_700_000_000_000 + world.time });
		await world.advance(2_000);
		expect(onOutcome).toHaveBeenCalledExactlyOnceWith(
			expect.anything(),
			expect.objectContaining({ code: "unknown_outcome" }),
		);
		expect(done()).toEqual(["hi"]);
	});

	it("after more than the session's window offline is sent as new if it was never sent, else unknown", async () => {
		const page = await opened();
		server.losesReplies = true;
		const lost = page.tw.channel("chat").publish("sent");
		quietly(lost);
		await world.settle();
		unplug();
		await world.settle();
		const waiting = page.tw.channel("chat").publish("typed offline");
		await world.advance(301_000);
		server.losesReplies = false;
		plug();
		await world.advance(60_000);
		await expect(lost).rejects.toMatchObject({ code: "unknown_outcome" });
		expect(await waiting).toBe("e1:2");
		expect(done()).toEqual(["sent", "typed offline"]);
	});

	it("waits for as long as it takes, unless the caller says otherwise", async () => {
		unplug();
		const { tw, outbox } = await opened();
		quietly(tw.channel("chat").publish("long"));
		await world.settle();
		const short = tw.channel("chat").publish("short", { timeoutMs: 10_000 });
		quietly(short);
		await world.advance(3_600_000);
		await expect(short).rejects.toMatchObject({ code: "timeout" });
		expect(outbox.waiting()).toMatchObject([{ data: "long" }]);
	});

	it("that its caller wanted for a time only is not sent later than that, by the next page either", async () => {
		unplug();
		const page = await opened();
		quietly(page.tw.channel("chat").publish("now or never", { timeoutMs: 10_000 }));
		await world.settle();
		const onOutcome = vi.fn();
		await reload(page, { onOutcome });
		await world.advance(20_000);
		plug();
		await world.advance(60_000);
		expect(done()).toEqual([]);
		expect(onOutcome).toHaveBeenCalledExactlyOnceWith(expect.anything(), expect.objectContaining({ code: "timeout" }));
	});

	it("is not kept where that is not wanted", async () => {
		unplug();
		const page = await opened();
		quietly(page.tw.channel("chat").publish("typing", { keep: false }));
		quietly(page.tw.action("like", { post: 1 }));
		quietly(page.tw.action("buy", { thing: 1 }, { keep: true }));
		await world.settle();
		await reload(page);
		plug();
		await world.advance(10_000);
		expect(done()).toEqual([{ thing: 1 }]);
	});

	it("is in order with those before it, though one of them is refused for the moment (after)", async () => {
		const { tw } = await opened();
		server.refusing = 1;
		const positions = Promise.all(["one", "two", "three"].map((text) => tw.channel("chat").publish(text)));
		await world.settle();
		const sent = world.socket.of("publish");
		expect(sent.map(({ after }) => after)).toEqual([undefined, sent[0]?.id, sent[1]?.id]);
		await world.advance(5_000);
		expect(await positions).toEqual(["e1:1", "e1:2", "e1:3"]);
		expect(done()).toEqual(["one", "two", "three"]);
	});

	it("goes on behind one that is refused for good", async () => {
		const { tw } = await opened();
		server.deaf.add("publish");
		const first = tw.channel("chat").publish("bad");
		const second = tw.channel("chat").publish("good");
		await world.settle();
		server.deaf.clear();
		const [bad, good] = world.socket.of("publish");
		world.socket.say({ ack: bad!.id, error: { code: "invalid_data", message: "no" } });
		world.socket.say({ ack: good!.id, error: { code: "conflict", message: "not after that", retryable: true } });
		await expect(first).rejects.toMatchObject({ code: "invalid_data" });
		await world.advance(1_000);
		expect(await second).toBe("e1:1");
	});
});

describe("limits", () => {
	it.each([0, -5, 1e-9, 1e300])(
		"a server that refuses for ever, with a retryAfter of %d, is asked no faster than once a second",
		async (retryAfter) => {
			const { tw } = await opened();
			server.refusing = Number.POSITIVE_INFINITY;
			server.retryAfter = retryAfter;
			quietly(tw.channel("chat").publish("one"));
			quietly(tw.channel("chat").publish("two"));
			await world.advance(120_000);
			const sent = world.socket.of("publish").length;
			expect(sent).toBeGreaterThan(2);
			// Two messages, and the first try of each.
			expect(sent).toBeLessThanOrEqual(2 * 121);
		},
	);

	it("one message too many, or too many bytes, are refused (limit_reached), and nothing is kept of them", async () => {
		unplug();
		const page = await opened({}, { maxRequests: 2, maxRequestBytes: 1_000 });
		const chat = page.tw.channel("chat");
		quietly(chat.publish("one"));
		await expect(chat.publish("x".repeat(1_000))).rejects.toMatchObject({ code: "limit_reached" });
		quietly(chat.publish("two"));
		await expect(chat.publish("three")).rejects.toMatchObject({ code: "limit_reached", retryable: true });
		await world.settle();
		expect((await reload(page)).outbox.waiting().map(({ data }) => data)).toEqual(["one", "two"]);
	});

	it("a disk that is full refuses what is new", async () => {
		const { tw } = await opened();
		pages.failure = Object.assign(new Error("full"), { name: "QuotaExceededError" });
		await expect(tw.channel("chat").publish("one")).rejects.toMatchObject({ code: "limit_reached" });
		pages.failure = undefined;
		expect(await tw.channel("chat").publish("two")).toBe("e1:1");
	});
});

describe("a store", () => {
	it("that another page has leaves this one without: with a session of its own, and said", async () => {
		await opened();
		const onError = vi.fn();
		const twin = await opened({}, { onError });
		expect(onError).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: "outbox_failed" }));
		expect(await twin.tw.channel("chat").publish("hi")).toBe("e1:1");
		expect(world.socket.of("resume")).toEqual([]);
	});

	it("that cannot be written to holds back what it keeps, until it can", async () => {
		unplug();
		const onError = vi.fn();
		const page = await opened({}, { onError });
		const position = page.tw.channel("chat").publish("hi");
		await world.settle();
		pages.failure = new Error("gone");
		plug();
		await world.advance(3_000);
		expect(onError).toHaveBeenCalledWith(expect.objectContaining({ code: "outbox_failed" }));
		expect(done()).toEqual([]);
		pages.failure = undefined;
		await world.advance(60_000);
		expect(await position).toBe("e1:1");
	});

	it("with records that are not ours is read as far as it makes sense", async () => {
		unplug();
		const page = await opened();
		quietly(page.tw.channel("chat").publish("hi"));
		await world.settle();
		pages.records.set("message x", { id: "1", payload: 5 });
		pages.records.set("message y", { id: 7, payload: "{" });
		pages.records.set("session", [1]);
		pages.records.set("position chat", "e1:1");
		const onError = vi.fn();
		const next = await reload(page, {}, { onError });
		expect(next.outbox.waiting()).toMatchObject([{ data: "hi" }]);
		plug();
		await world.advance(3_000);
		expect(done()).toEqual(["hi"]);
	});

	it("is emptied by clear(), and what waits is rejected", async () => {
		unplug();
		const page = await opened();
		const waiting = page.tw.channel("chat").publish("mine");
		await world.settle();
		const cleared = page.outbox.clear();
		await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
		await cleared;
		expect([...pages.records.keys()]).toEqual([]);
	});

	it("keeps what waits when the client is closed, and gives itself up", async () => {
		unplug();
		const page = await opened();
		const waiting = page.tw.channel("chat").publish("later");
		await world.settle();
		void page.tw.close();
		await expect(waiting).rejects.toMatchObject({ code: "closed" });
		await world.settle();
		plug();
		await opened();
		await world.advance(2_000);
		expect(done()).toEqual(["later"]);
	});
});

describe("positions", () => {
	it("let a subscription go on where the page before it was", async () => {
		vi.useFakeTimers();
		const page = await opened();
		const seen: unknown[] = [];
		page.tw.channel("chat").subscribe((data) => seen.push(data));
		await world.settle();
		server.publish("chat", 1);
		vi.advanceTimersByTime(1_000);
		vi.useRealTimers();
		await world.settle();
		pages.kill(page);
		server.publish("chat", 2);
		const next = await opened();
		next.tw.channel("chat").subscribe((data) => seen.push(data), { rewind: 100 });
		await world.settle();
		server.publish("chat", 3);
		expect(seen).toEqual([1, 2, 3]);
		expect(world.socket.of("subscribe")).toMatchObject([{ channel: "chat", since: "e1:1" }]);
	});

	it("in a Map do so between clients of one page; who leaves a channel begins anew", async () => {
		const positions = new Map<string, string>();
		const page = await opened({}, { positions });
		const off = page.tw.channel("chat").subscribe(() => {});
		await world.settle();
		server.publish("chat", 1);
		expect(positions.get("chat")).toBe("e1:1");
		off();
		expect(positions.has("chat")).toBe(false);
	});
});
