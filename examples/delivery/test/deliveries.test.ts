/** What the drivers of the two orders report over time. */
import { describe, expect, it } from "vitest";
import { delivery as contract, Position } from "../contract.ts";
import { type Delivery, deliveries, etaText, positionAt } from "../deliveries.ts";

const PACE = { speed: 1, restMs: 8000 };
const order123 = deliveries.get("123") as Delivery;
const order456 = deliveries.get("456") as Delivery;

describe("the delivery of order 123", () => {
	it("takes as long as the recorded drive, which is announced as 3 minutes", () => {
		expect(positionAt(order123, 0, PACE)).toMatchObject({ eta: "3 minutes", etaSeconds: 175, travelled: 0, trip: 1 });
	});

	it("goes twice as fast at twice the pace, and says so", () => {
		const position = positionAt(order123, 10_000, { ...PACE, speed: 2 });
		expect(position.etaSeconds).toBe(78);
		expect(position.speed).toBeCloseTo(2 * positionAt(order123, 20_000, PACE).speed, 0);
	});

	it("comes nearer all the time", () => {
		const remaining = Array.from({ length: 175 }, (_, second) => positionAt(order123, second * 1000, PACE).remaining);
		expect(remaining).toEqual(remaining.toSorted((a, b) => b - a));
	});

	it("stands at the door for a while, and then begins afresh", () => {
		expect(positionAt(order123, 176_000, PACE)).toMatchObject({
			eta: "arrived",
			etaSeconds: 0,
			remaining: 0,
			speed: 0,
			trip: 1,
		});
		expect(positionAt(order123, 183_100, PACE)).toMatchObject({ eta: "3 minutes", trip: 2 });
	});
});

describe("two orders at once", () => {
	it("are never at the same place", () => {
		for (let second = 0; second < 600; second++) {
			const [a, b] = [positionAt(order123, second * 1000, PACE), positionAt(order456, second * 1000, PACE)];
			expect([a.lat, a.lng]).not.toEqual([b.lat, b.lng]);
		}
	});
});

describe("what is published", () => {
	it("fits the contract at every moment", () => {
		for (const delivery of deliveries.values()) {
			for (let second = 0; second < 400; second++) {
				Position.parse({ ...positionAt(delivery, second * 1000, PACE), sentAt: 0 });
			}
		}
	});

	it("conflates for slow customers, and never for the driver", () => {
		expect(contract.channels["order_{orderId}"]).toMatchObject({
			slow: "conflate",
			history: { messages: 500, ageMs: 3_600_000 },
		});
		expect(contract.channels["driver_{orderId}"].slow).toBe("catch-up");
	});
});

describe("an arrival in words", () => {
	it.each([
		[180, "3 minutes"],
		[91, "2 minutes"],
		[60, "1 minute"],
		[31, "1 minute"],
		[29, "a moment"],
		[0, "arrived"],
	])("in %i seconds is %j", (seconds, words) => {
		expect(etaText(seconds)).toBe(words);
	});
});
