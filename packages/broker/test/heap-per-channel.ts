/** Prints what a channel with one message takes in the memory broker. Run with --expose-gc. */
import { createMemoryBroker } from "../src/index.ts";

const CHANNELS = 100_000;
const retention = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };
const data = new TextEncoder().encode('{"lat":40.7128,"lng":-74.006,"eta":"3 m"}');

function used(): number {
	globalThis.gc?.();
	const { heapUsed, arrayBuffers } = process.memoryUsage();
	return heapUsed + arrayBuffers;
}

const broker = createMemoryBroker();
const before = used();
const startMs = performance.now();
for (let channel = 0; channel < CHANNELS; channel++) {
	await broker.publish(`order_${channel}`, { data: new Uint8Array(data), encoding: "json" }, { retention });
}
const tookMs = performance.now() - startMs;
const { channels, logBytes } = broker.stats();
const bytes = (used() - before) / channels;
console.log(
	`${channels} channels, ${data.byteLength} bytes each: ${bytes.toFixed(0)} bytes of heap a channel ` +
		`(charged ${(logBytes / channels).toFixed(0)}), ${((tookMs * 1_000) / channels).toFixed(2)} µs a publish`,
);
await broker.close();
