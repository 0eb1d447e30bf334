/** B6, the client's half: the list of members, from pages and from what is told. */
import type { Contract } from "@tidewire/contract";
import { beforeEach, expect, it } from "vitest";
import { type Client, connect, type TidewireError } from "../src/index.ts";
import { type Member, type PresenceChange, type PresenceOptions, presence } from "../src/presence.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeWorld, type Sent } from "./fake-world.ts";

let world: FakeWorld;
let server: FakeServer;
let tw: Client<Contract>;
let errors: TidewireError[];
let changes: PresenceChange[];

const member = (id: string, data?: unknown): Member => ({
	id,
	user: id,
	since: 1,
	...(data === undefined ? {} : { data }),
});
const event = (name: "join" | "leave" | "update", who: Member) => ({ channel: "room", event: name, member: who });

beforeEach(async () => {
	world = new FakeWorld();
	server = new FakeServer(world);
	// The test answers these itself.
	server.deaf.add("presence");
	errors = [];
	changes = [];
	tw = connect("ws://host/connect", { webSocket: world.webSocket, environment: world });
	await world.settle();
});

async function begun(options: PresenceOptions = {}): Promise<ReturnType<typeof presence>> {
	const here = presence(tw.channel("room"), { onError: (error) => errors.push(error), ...options });
	here.subscribe((change) => changes.push(change));
	await world.settle();
	return here;
}

const asked = (): Sent[] => world.socket.of("presence");

async function answer(members: readonly Member[], more: object = {}): Promise<void> {
	world.socket.say({ ack: asked().at(-1)!.id, members, count: members.length, ...more });
	await world.settle();
}

const ids = (here: ReturnType<typeof presence>): string[] => [...here.members.keys()].sort();

it("subscribes, takes part, and asks for the members page by page", async () => {
	const here = await begun({ enter: { data: "mine" } });
	expect(world.socket.of("subscribe").at(-1)).toMatchObject({
		channel: "room",
		presence: { enter: true, watch: true, data: "mine" },
	});
	await answer([member("a"), member("b")], { more: true });
	expect(ids(here)).toEqual([]);
	expect(asked().at(-1)).toMatchObject({ channel: "room", after: "b" });
	await answer([member("c")]);
	expect(ids(here)).toEqual(["a", "b", "c"]);
	expect(here.count).toBe(3);
	expect(changes).toEqual([{ type: "members" }]);
});

it("follows joins, updates and leaves, also those between two pages", async () => {
	const here = await begun();
	await answer([member("a"), member("b")], { more: true });
	world.socket.say(event("leave", member("a")));
	world.socket.say(event("join", member("d")));
	await answer([member("c"), member("d")]);
	expect(ids(here)).toEqual(["b", "c", "d"]);
	world.socket.say(event("update", member("b", 2)));
	world.socket.say(event("leave", member("c")));
	expect(ids(here)).toEqual(["b", "d"]);
	expect([here.members.get("b")?.data, here.count]).toEqual([2, 2]);
});

it("asks anew after each subscribe, and takes part as before", async () => {
	const here = await begun();
	await answer([member("a")]);
	const entering = here.enter({ typing: false });
	await world.settle();
	await entering;
	world.socket.end(1006);
	await world.advance(1_000);
	expect(ids(here)).toEqual(["a"]);
	expect(world.socket.of("subscribe").at(-1)).toMatchObject({ presence: { enter: true, data: { typing: false } } });
	await answer([member("b")]);
	expect(ids(here)).toEqual(["b"]);
});

it("only counts where the server does, and lists again when it says so", async () => {
	const here = await begun();
	await answer([member("a")]);
	world.socket.say({ channel: "room", event: "presence", count: 1_001 });
	expect([here.counting, here.count, here.members.size]).toEqual([true, 1_001, 0]);
	world.socket.say(event("join", member("late")));
	expect(here.members.size).toBe(0);
	world.socket.say({ channel: "room", event: "presence", count: 2, anew: true });
	await world.settle();
	await answer([member("a"), member("b")]);
	expect([here.counting, here.count, ids(here)]).toEqual([false, 2, ["a", "b"]]);
});

it("stops paging when the channel turns out to be too large", async () => {
	const here = await begun();
	world.socket.say({ channel: "room", event: "presence", count: 5_000 });
	await answer([member("a")], { more: true, count: 5_000 });
	expect(asked()).toHaveLength(1);
	expect([here.counting, here.count, here.members.size]).toEqual([true, 5_000, 0]);
});

it("is told of a refusal", async () => {
	await begun();
	world.socket.say({ ack: asked()[0]!.id, error: { code: "forbidden", message: "not yours" } });
	await world.settle();
	expect(errors).toMatchObject([{ code: "forbidden" }]);
});

it("pages no further than its bound, whatever a server sends (S45)", async () => {
	const here = await begun();
	for (let page = 0; page < 250 && asked().length === page + 1; page += 1) {
		await answer(
			Array.from({ length: 500 }, (_, index) => member(`${page}-${index}`)),
			{ more: true },
		);
	}
	expect(here.members.size).toBe(100_000);
	expect(asked()).toHaveLength(200);
});

it("ends with close(): nothing more is told, and the member leaves", async () => {
	const off = tw.channel("room").subscribe(() => {});
	const here = await begun({ enter: true });
	await answer([member("a")]);
	here.close();
	await world.settle();
	expect(world.socket.of("subscribe").at(-1)).toMatchObject({ presence: { enter: false, watch: false } });
	world.socket.say(event("join", member("b")));
	expect(ids(here)).toEqual(["a"]);
	await expect(here.enter()).rejects.toMatchObject({ code: "closed" });
	off();
});
