import { describe, expect, it } from "vitest";
import { TidewireError } from "../src/error.ts";
import { createRequests, type RequestKind } from "../src/requests.ts";

const WINDOW_MS = 300_000;

class Run {
	readonly requests = createRequests(3, 100);
	readonly outcomes: string[] = [];

	add(kind: RequestKind = "once", expiresAt = 60_000, payload?: string): number {
		const id = this.requests.nextId();
		this.requests.add({
			id,
			kind,
			expiresAt,
			payload: payload ?? `p${id}`,
			answer: {
				resolve: () => this.outcomes.push(`${id} done`),
				reject: ({ code }) => this.outcomes.push(`${id} ${code}`),
			},
		});
		return id;
	}

	due(now: number): readonly (string | Uint8Array)[] {
		return this.requests.due(now, true).map(({ payload }) => payload);
	}

	connect(now: number, resumed: boolean): readonly (string | Uint8Array)[] {
		this.requests.connected(resumed, { id: "s", resume: "r", windowMs: WINDOW_MS }, now);
		return this.due(now);
	}
}

describe("a request", () => {
	it("waits for a connection, and is sent once there", () => {
		const run = new Run();
		run.add();
		run.add();
		expect(run.connect(0, false)).toEqual(["p1", "p2"]);
		expect(run.due(0)).toEqual([]);
		run.requests.answered(2, { ack: 2 });
		run.requests.answered(1, new TidewireError("forbidden", ""));
		expect(run.outcomes).toEqual(["2 done", "1 forbidden"]);
	});

	it("is sent again under the same id after 5 s without an ack (B4)", () => {
		const run = new Run();
		run.connect(0, false);
		run.add();
		run.due(0);
		expect(run.due(4_999)).toEqual([]);
		expect(run.requests.deadline()).toBe(5_000);
		expect(run.due(5_000)).toEqual(["p1"]);
		expect(run.due(9_999)).toEqual([]);
		expect(run.due(10_000)).toEqual(["p1"]);
	});

	it("is sent again under the same id when its session is resumed", () => {
		const run = new Run();
		run.add();
		run.connect(0, false);
		run.requests.disconnected();
		run.add();
		expect(run.connect(1_000, true)).toEqual(["p1", "p2"]);
	});

	it("has an unknown outcome when its session is gone, and is never sent as if new; what was never sent is sent", () => {
		const run = new Run();
		run.add();
		run.connect(0, false);
		run.requests.disconnected();
		run.add();
		expect(run.connect(1_000, false)).toEqual(["p2"]);
		expect(run.outcomes).toEqual(["1 unknown_outcome"]);
	});

	it("has an unknown outcome when the server's window is over, though the session is resumed", () => {
		const run = new Run();
		run.add("once", Number.POSITIVE_INFINITY);
		run.connect(0, false);
		run.requests.disconnected();
		expect(run.connect(WINDOW_MS, true)).toEqual([]);
		expect(run.outcomes).toEqual(["1 unknown_outcome"]);
	});

	it("is not resent on the same connection when the window is over", () => {
		const run = new Run();
		run.add("once", Number.POSITIVE_INFINITY);
		run.connect(0, false);
		expect(run.requests.due(WINDOW_MS, true)).toEqual([]);
		run.requests.answered(1, { ack: 1 });
		expect(run.outcomes).toEqual(["1 done"]);
	});

	it("that may be repeated is asked again in a new session", () => {
		const run = new Run();
		run.add("again");
		run.connect(0, false);
		run.requests.disconnected();
		expect(run.connect(1_000, false)).toEqual(["p1"]);
	});

	it("for a stream does not outlive its connection, and is not repeated", () => {
		const run = new Run();
		run.add("stream");
		run.connect(0, false);
		expect(run.requests.due(20_000, true)).toEqual([]);
		run.requests.disconnected();
		expect(run.outcomes).toEqual(["1 unknown_outcome"]);
	});

	it("that was never sent times out harmlessly; one that was sent has an unknown outcome", () => {
		const run = new Run();
		run.connect(0, false);
		run.add();
		run.due(0);
		run.add();
		run.requests.due(60_000, true);
		expect(run.outcomes).toEqual(["1 unknown_outcome", "2 timeout"]);
	});

	it("is told of the client's end: refused if it was never sent, of unknown outcome if it was", () => {
		const run = new Run();
		run.add();
		run.connect(0, false);
		run.add();
		run.requests.close(new TidewireError("closed", ""));
		expect(run.outcomes).toEqual(["1 unknown_outcome", "2 closed"]);
	});
});

describe("limits", () => {
	it("refuses one request too many", () => {
		const run = new Run();
		run.add();
		run.add();
		run.add();
		expect(() => run.add()).toThrow(expect.objectContaining({ code: "limit_reached", retryable: true }));
		run.connect(0, false);
		run.requests.answered(2, { ack: 2 });
		expect(run.add()).toBe(5);
	});

	it("refuses what would hold too many bytes", () => {
		const run = new Run();
		run.add("once", 60_000, "x".repeat(99));
		expect(() => run.add()).toThrow(expect.objectContaining({ code: "limit_reached" }));
	});

	it("is not moved by acks of what was never asked, was answered, or was not sent yet (S42)", () => {
		const run = new Run();
		run.add();
		run.requests.answered(1, { ack: 1 });
		run.requests.answered(99, { ack: 99 });
		run.requests.answered("1", { ack: "1" });
		expect(run.outcomes).toEqual([]);
		run.connect(0, false);
		run.requests.answered(1, { ack: 1 });
		run.requests.answered(1, { ack: 1 });
		expect(run.outcomes).toEqual(["1 done"]);
	});
});
