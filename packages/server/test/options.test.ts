/** What cannot be meant is refused at the start, in words that say what was probably meant. */
import { action, channel, contract } from "@tidewire/contract";
import { describe, expect, it } from "vitest";
import type { ServerError } from "../src/errors.ts";
import type { ServerOptions } from "../src/options.ts";
import { createServer, type ListenOptions } from "../src/server.ts";

const declared = contract({
	channels: { "order_{orderId}": channel(), "driver_{orderId}": channel(), lobby: channel() },
	actions: { contact_driver: action(), count: action() },
});
const actions = { contact_driver() {}, count() {} };

/** What the server says of options as somebody without a type checker writes them. */
function complaint(options: object, of = declared): string {
	try {
		void createServer(of, { actions, ...options } as ServerOptions<typeof declared>).close();
		return "none";
	} catch (error) {
		const { code, message } = error as ServerError;
		return `${code}: ${message}`;
	}
}

describe("an option that nobody would read", () => {
	it.each([
		[
			{ authenticat: () => null },
			'bad_option: the configuration has "authenticat", which is no option; the nearest is "authenticate"',
		],
		[
			{ limits: { maxMessageSize: 1 } },
			'bad_option: limits has "maxMessageSize", which is no limit; the nearest is "maxMessageBytes"',
		],
		[
			{ heartbeat: { interval: 1 } },
			'bad_option: heartbeat has "interval", which is no option; the nearest is "intervalMs"',
		],
		[{ compression: { levle: 1 } }, 'bad_option: compression has "levle", which is no option; the nearest is "level"'],
		[
			{ routes: { "/track": { chanels: [] } } },
			'bad_option: route "/track" has "chanels", which is no option; the nearest is "channels"',
		],
		[
			{ actions: { ...actions, cuont() {} } },
			'bad_option: actions has "cuont", which is no action of the contract; the nearest is "count"',
		],
	])("%j", (options, words) => {
		expect(complaint(options)).toBe(words);
	});

	it("to listen with neither", async () => {
		const server = createServer(declared, { actions });
		const listening = server.listen({ port: 0, hots: "::1" } as ListenOptions);
		await expect(listening).rejects.toThrow('listen has "hots", which is no option; the nearest is "host"');
		await server.close();
	});

	it("but a known one may be undefined", () => {
		const known = { authenticate: undefined, may: undefined, routes: undefined, limits: undefined, log: undefined };
		expect(complaint(known)).toBe("none");
	});
});

describe("a route to a channel that the contract does not have", () => {
	it.each([
		[
			{ channels: ["ordr_{x}"] },
			'bad_option: route "/track?id={x}" has "ordr_{x}", which is no channel of the contract; ' +
				'the nearest is "order_{orderId}" or "lobby"',
		],
		[
			{ publish: "loby" },
			'bad_option: route "/track?id={x}" has "loby", which is no channel of the contract; the nearest is "lobby"',
		],
		[{ channels: ["order_{x}", "order_1", "lobby"], publish: "driver_{x}" }, "none"],
	])("%j", (route, words) => {
		expect(complaint({ routes: { "/track?id={x}": route } })).toBe(words);
	});

	it("any will do where the contract is open", () => {
		expect(complaint({ routes: { "/track?id={x}": { channels: ["any_{x}"] } } }, contract({}) as never)).toBe("none");
	});
});

describe("a rule that would never be asked", () => {
	it.each([
		[
			{ call: { contact_drivr: false } },
			'bad_option: may.call has "contact_drivr", which is no action; the nearest is "contact_driver"',
		],
		[
			{ subscribe: { "orders_{orderId}": true } },
			'bad_option: may.subscribe has "orders_{orderId}", which is no channel pattern of the contract; ' +
				'the nearest is "order_{orderId}"',
		],
		[
			{ publish: { "order_{id}": true } },
			'bad_option: may.publish has "order_{id}", which is no channel pattern of the contract; ' +
				'the nearest is "order_{orderId}"',
		],
		[
			{ history: { "*": true } },
			'bad_option: may.history has "*", which is no channel pattern of the contract; the nearest is "lobby"',
		],
		[
			{ subscibe: { lobby: true } },
			'bad_option: may has "subscibe", which is no kind of permission; the nearest is "subscribe"',
		],
	])("%j", (may, words) => {
		expect(complaint({ may })).toBe(words);
	});

	it("where the contract is open: any but * for channels, and of actions those without a handler", () => {
		const open = (may: object): string => complaint({ may }, contract({}) as never);
		expect(open({ subscribe: { "*": true }, call: { count: true } })).toBe("none");
		expect(open({ subscribe: { "*": true, admin: false } })).toMatch(/may\.subscribe has "admin".* "\*"/);
		expect(open({ call: { cuont: false } })).toMatch(/may\.call has "cuont".* "count"/);
		expect(open({ call: { "*": false } })).toMatch(/may\.call has "\*"/);
		expect(open({ call: { constructor: false } })).toMatch(/may\.call has "constructor"/);
	});
});
