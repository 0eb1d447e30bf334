import { type Contract, channel, compileChannels, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { access, type Deed } from "../../src/auth/access.ts";
import { ANONYMOUS, type Caller, FULL } from "../../src/auth/caller.ts";
import { ask, type Permissions } from "../../src/auth/permission.ts";
import type { TidewireNode } from "../../src/node.ts";
import { OwnChannels } from "../../src/own-channels.ts";
import { Refusal } from "../../src/refusal.ts";

const ANN: Caller = { user: { id: "ann" }, full: false, admitted: true };
const declared = contract({
	channels: { "order_{orderId}": channel(), lobby: channel() },
	actions: {},
});
const odd: Contract = contract({ channels: { constructor: channel() } });

function world(may: Permissions<typeof declared, { readonly id: string }>, from: Contract = declared) {
	const logged: string[] = [];
	const log = { info() {}, warn() {}, error: (text: string) => logged.push(text) };
	const node = {
		channels: compileChannels(from),
		ownChannels: new OwnChannels(from),
		may,
		options: { log },
	} as unknown as TidewireNode;
	return {
		logged,
		code: async (caller: Caller, deed: Deed, name: string): Promise<string> => {
			try {
				const found = await access(node, caller, deed, name);
				return found.name === name ? "yes" : found.name;
			} catch (error) {
				return error instanceof Refusal ? error.wire.code : "broken";
			}
		},
	};
}

describe("who may", () => {
	it("nobody, where nothing is said; whoever holds the key, everywhere", async () => {
		const { code } = world({});
		for (const deed of ["subscribe", "publish", "history"] as const) {
			expect([await code(ANN, deed, "lobby"), await code(ANONYMOUS, deed, "lobby")]).toEqual([
				"forbidden",
				"forbidden",
			]);
			expect(await code(FULL, deed, "lobby")).toBe("yes");
		}
	});

	it("as the pattern's rule says, with the user and the name's parameters", async () => {
		const { code } = world({
			subscribe: {
				"order_{orderId}": ({ user, params, channel: name }) =>
					user?.id === "ann" && params.orderId === "1" && name === "order_1",
			},
		});
		expect([
			await code(ANN, "subscribe", "order_1"),
			await code(ANN, "subscribe", "order_2"),
			await code(ANONYMOUS, "subscribe", "order_1"),
			await code(ANN, "publish", "order_1"),
		]).toEqual(["yes", "forbidden", "forbidden", "forbidden"]);
	});

	it("history as subscribe, unless its pattern has a rule of its own: one rule closes no other pattern", async () => {
		const subscribe = { lobby: true, "order_{orderId}": true };
		const shared = world({ subscribe });
		const own = world({ subscribe, history: { lobby: false } });
		expect([
			await shared.code(ANN, "history", "lobby"),
			await own.code(ANN, "history", "lobby"),
			await own.code(ANN, "history", "order_1"),
			await own.code(ANN, "publish", "order_1"),
		]).toEqual(["yes", "forbidden", "yes", "forbidden"]);
	});

	it("a rule that throws or rejects has not answered: no, but perhaps later; and it is logged", async () => {
		const { code, logged } = world({
			subscribe: {
				lobby: () => {
					throw new Error("secret");
				},
				"order_{orderId}": () => Promise.reject(new Error("secret")),
			},
		});
		expect([await code(ANN, "subscribe", "lobby"), await code(ANN, "subscribe", "order_1")]).toEqual([
			"unavailable",
			"unavailable",
		]);
		expect(logged).toHaveLength(2);
	});

	it.each([1, "yes", {}, [], undefined, null])("a rule that answers %j is a no: only true opens", async (answer) => {
		const rule = (() => answer) as unknown as () => boolean;
		const later = (async () => answer) as unknown as () => Promise<boolean>;
		for (const each of [rule, later, answer as boolean]) {
			expect(await ask(each, undefined, () => {})).toBe(false);
		}
	});

	it("S18: a channel called constructor or __proto__ has the rules that are written, not those of Object", async () => {
		const none = world({ subscribe: {} }, contract({}));
		expect(await none.code(ANN, "subscribe", "constructor")).toBe("forbidden");
		const declaredOne = world({ subscribe: {} }, odd);
		expect(await declaredOne.code(ANN, "subscribe", "constructor")).toBe("forbidden");
		expect(await declaredOne.code(ANN, "subscribe", "__proto__")).toBe("not_found");
		const allowed = world({ subscribe: Object.fromEntries([["constructor", true]]) }, odd);
		expect(await allowed.code(ANN, "subscribe", "constructor")).toBe("yes");
	});

	it("S26: names are matched whole and bytewise", async () => {
		const { code } = world({ subscribe: { lobby: true, "order_{orderId}": true } });
		const names = ["Lobby", "lobby ", "lobby/x", "/lobby", "order_", "order_1:x", "order_1/2", "order_{orderId}", "*"];
		expect(await Promise.all(names.map((name) => code(ANN, "subscribe", name)))).toEqual([
			"not_found",
			"not_found",
			"not_found",
			"not_found",
			"not_found",
			"not_found",
			"not_found",
			"yes",
			"not_found",
		]);
		expect(await code(ANN, "subscribe", "e\u0301")).toBe("bad_request");
		expect(await code(ANN, "subscribe", "lobby\n")).toBe("bad_request");
	});
});

describe("a user's own channels", () => {
	const as = (id: string): Caller => ({ user: { id }, full: false, admitted: true });

	it("are each user's own: the same name means another channel of the broker", async () => {
		const { code } = world({});
		for (const deed of ["subscribe", "history"] as const) {
			expect([
				await code(ANN, deed, "@user"),
				await code(as("bob"), deed, "@user"),
				await code(ANN, deed, "@device:phone-1"),
				await code({ ...ANN, full: true }, deed, "@device:a:b/c.d"),
			]).toEqual(["@user:ann", "@user:bob", "@device:ann:phone-1", "@device:ann:a%3Ab%2Fc.d"]);
		}
	});

	it("are nobody's without a user, the holder of the key included", async () => {
		const { code } = world({});
		expect([
			await code(ANONYMOUS, "subscribe", "@user"),
			await code(ANONYMOUS, "publish", "@device:x"),
			await code(FULL, "subscribe", "@user"),
		]).toEqual(["unauthenticated", "unauthenticated", "unauthenticated"]);
	});

	it("are published to by nobody but the server, unless a rule says so", async () => {
		const closed = world({});
		const open = world({
			publish: {
				"@user": ({ channel: name }) => name === "@user",
				"@device:{device}": ({ params }) => params.device === "1",
			},
		});
		expect([
			await closed.code(ANN, "publish", "@user"),
			await closed.code({ ...ANN, full: true }, "publish", "@user"),
			await open.code(ANN, "publish", "@user"),
			await open.code(ANN, "publish", "@device:1"),
			await open.code(ANN, "publish", "@device:2"),
		]).toEqual(["forbidden", "@user:ann", "@user:ann", "@device:ann:1", "forbidden"]);
	});

	it.each([
		"@user:ann",
		"@user:bob",
		"@device:",
		"@device",
		"@device:ann:phone-1".replace("@d", "@D"),
		"@",
		"@@user",
		"$all",
		"$report:n1",
		"$report:",
		"$",
	])("no name that a client can send reaches the broker's channel %s", async (name) => {
		const { code } = world({ publish: { "@user": true, "@device:{device}": true } });
		for (const caller of [ANN, FULL, ANONYMOUS]) {
			for (const deed of ["subscribe", "publish", "history"] as const) {
				expect(await code(caller, deed, name)).toBe("not_found");
			}
		}
	});

	it("asking for another's device is asking for one's own of that name", async () => {
		expect(await world({}).code(as("bob"), "subscribe", "@device:ann:phone-1")).toBe("@device:bob:ann%3Aphone-1");
	});

	it("names of devices are names of channels: not too long, in form C, without control characters", async () => {
		const { code } = world({});
		for (const id of ["e\u0301", "x".repeat(200), "a\n", "\ud800"]) {
			expect(await code(ANN, "subscribe", `@device:${id}`)).toBe("bad_request");
		}
	});

	it("a user's id of any length and shape has a channel that a broker takes", async () => {
		const { code } = world({});
		for (const id of ["a:b", "@user", "x".repeat(512), "\ud800", "e\u0301", "\n"]) {
			expect(await code(as(id), "subscribe", "@user")).toMatch(/^@user:[!-~]{1,140}$/);
		}
	});
});
