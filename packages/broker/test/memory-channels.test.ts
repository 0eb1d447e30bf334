/** What the memory broker promises of its list of channels and of `told` beside the compliance suite. */
import { expect, it } from "vitest";
import { createMemoryBroker, type MemoryBroker } from "../src/memory-broker.ts";
import { FakeClock } from "./fake-clock.ts";

const KEEP = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };
const DAY_MS = 24 * 3_600_000;
const ONE = { data: Uint8Array.of(49), encoding: "json" } as const;

function setUp(): { readonly broker: MemoryBroker; readonly clock: FakeClock } {
	const clock = new FakeClock();
	const broker = createMemoryBroker({ now: clock.now, every: clock.never, after: clock.after });
	broker.listen({ entries: () => {}, reset: () => {} });
	return { broker, clock };
}

it("channels that were asked about or left are not listed, and take no place in the list", async () => {
	const { broker, clock } = setUp();
	for (let channel = 0; channel < 1_000; channel++) {
		await broker.read(`asked-${channel}`, { after: 0, limit: 1 });
		await broker.subscribe(`left-${channel}`);
		broker.unsubscribe(`left-${channel}`);
	}
	await broker.publish("a", ONE, { retention: KEEP });
	expect(await broker.channels({ limit: 10 })).toEqual(["a"]);
	clock.advance(KEEP.ageMs + DAY_MS);
	expect(await broker.channels({ limit: 10 })).toEqual([]);
});

it("told is the number of subscribed nodes", async () => {
	const { broker } = setUp();
	const options = { retention: KEEP, idempotencyKey: "k" };
	await broker.subscribe("a");
	expect(await broker.publish("a", ONE, options)).toMatchObject({ duplicate: false, told: 1 });
	expect(await broker.publish("a", ONE, options)).not.toHaveProperty("told");
	expect(await broker.publish("b", ONE, options)).toMatchObject({ duplicate: false, told: 0 });
});
