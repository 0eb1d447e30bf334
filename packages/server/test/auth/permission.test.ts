import { type Contract, channel, compileChannels, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import { access, type Deed } from "../../src/auth/access.ts";
import { ANONYMOUS, type Caller, FULL } from "../../src/auth/caller.ts";
import { ask, type Permissions } from "../../src/auth/permission.ts";
import type { TidewireNode } from "../../src/node.ts";
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
		may,
		options: { log },
	} as unknown as TidewireNode;
	return {
		logged,
		code: async (caller: Caller, deed: Deed, name: string): Promise<string> => {
			try {
				await access(node, caller, deed, name);
				return "yes";
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
		expect(await code(FULL, "subscribe", "@user")).toBe("not_found");
		expect(await code(FULL, "subscribe", "$all")).toBe("not_found");
	});
});
