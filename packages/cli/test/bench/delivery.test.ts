import { describe, expect, it } from "vitest";
import { DeliveryReader, nowMicros } from "../../src/bench/delivery.ts";

const reader = new DeliveryReader({ prefix: 'bench_"é_' });
const read = (text: string): boolean => reader.read(Buffer.from(text));
const CHANNEL = '"channel":"bench_\\"é_12"';

describe("a delivery read in place", () => {
	it("gives channel, offset and due time", () => {
		expect(read(`{${CHANNEL},"offset":42,"name":"1234567890123","data":{"offset":7}}`)).toBe(true);
		expect(reader.delivery).toEqual({ channel: 12, offset: 42, previous: undefined, dueMicros: 1_234_567_890_123 });
	});

	it.each([
		["another member between", `{${CHANNEL},"offset":42,"prev":41,"name":"1","data":1}`],
		["another order", `{"offset":42,${CHANNEL},"name":"1","data":1}`],
		["no name", `{${CHANNEL},"offset":42,"data":1}`],
		["a name that is no number", `{${CHANNEL},"offset":42,"name":"now","data":1}`],
		["another channel", '{"channel":"bench_other","offset":42,"name":"1","data":1}'],
		["an event", `{${CHANNEL},"event":"gap","from":1,"to":2}`],
		["a cut text", `{${CHANNEL},"offset":`],
		["nothing", ""],
	])("leaves %s to the parser", (_what, text) => {
		expect(read(text)).toBe(false);
	});

	it("is the same when it is read by the parser", () => {
		const message = { channel: 'bench_"é_12', offset: 42, prev: 40, name: "99", data: 1 };
		expect(reader.readParsed(message)).toBe(true);
		expect(reader.delivery).toEqual({ channel: 12, offset: 42, previous: 40, dueMicros: 99 });
		expect(reader.readParsed({ ...message, event: "gap" })).toBe(false);
		expect(reader.readParsed({ ...message, channel: "chat" })).toBe(false);
	});
});

it("the clock is the machine's steady one", () => {
	const before = Number(process.hrtime.bigint()) / 1_000;
	const now = nowMicros();
	const after = Number(process.hrtime.bigint()) / 1_000;
	// A microsecond of rounding to either side.
	expect(now).toBeGreaterThan(before - 2);
	expect(now).toBeLessThan(after + 2);
});
