/**
 * Whatever happens to a client: cuts, answers lost, refusals, sessions gone, time passing; with an outbox also reloads of
 * its page in the middle of anything. Each message is performed at most once, in its channel's order, and its fate told.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { TidewireError } from "../src/index.ts";
import type { KeptMessage } from "../src/outbox/index.ts";
import { FakePages, type Page } from "./fake-pages.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeWorld } from "./fake-world.ts";

type Deed =
	| { readonly do: "publish"; readonly channel: string; readonly count: number }
	| { readonly do: "cut" | "unplug" | "plug" | "loseReplies" | "answer" | "forgetSessions" | "reload" | "replace" }
	| { readonly do: "refuse"; readonly count: number }
	| { readonly do: "wait"; readonly ms: number }
	/** The next deed comes in the middle of what this page is at. */
	| { readonly do: "hurry"; readonly turns: number };

const named = (...names: readonly string[]): fc.Arbitrary<unknown> => fc.record({ do: fc.constantFrom(...names) });
const deed = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constant("publish"),
			channel: fc.constantFrom("a", "b"),
			count: fc.integer({ min: 1, max: 4 }),
		}),
	},
	{ weight: 5, arbitrary: named("cut", "unplug", "plug", "loseReplies", "answer") },
	{ weight: 5, arbitrary: named("forgetSessions", "reload", "reload", "replace") },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("refuse"), count: fc.integer({ min: 1, max: 3 }) }) },
	{
		weight: 4,
		arbitrary: fc.record({
			do: fc.constant("wait"),
			ms: fc.constantFrom(10, 1_000, 6_000, 40_000, 280_000, 320_000),
		}),
	},
	{ weight: 5, arbitrary: fc.record({ do: fc.constant("hurry"), turns: fc.integer({ min: 0, max: 25 }) }) },
) as fc.Arbitrary<Deed>;

class Story {
	readonly world = new FakeWorld();
	readonly server = new FakeServer(this.world);
	readonly pages = new FakePages(this.world);
	/** What was said of each message, in order. */
	readonly told = new Map<string, string[]>();
	/** Messages whose pages died before they were kept: nothing is promised of them. */
	readonly unkept = new Set<string>();
	readonly #plugged = this.world.onSocket;
	#page: Page;
	#count = 0;

	readonly #keeps: boolean;

	constructor(keeps: boolean) {
		this.#keeps = keeps;
		this.pages.writeTurns = 8;
		this.#page = this.#open();
	}

	async play(deeds: readonly Deed[]): Promise<void> {
		let hurry: number | undefined;
		for (const each of deeds) {
			this.#perform(each);
			if (each.do === "wait") {
				await this.world.advance(each.ms);
			}
			for (let turn = 0; turn < (hurry ?? 60); turn += 1) {
				await Promise.resolve();
			}
			hurry = each.do === "hurry" ? each.turns : undefined;
		}
		this.#perform({ do: "answer" });
		this.#perform({ do: "plug" });
		this.server.refusing = 0;
		await this.world.advance(700_000);
	}

	#open(): Page {
		const onOutcome = (message: KeptMessage, outcome: object): void => {
			this.#tell(String(message.data), outcome instanceof TidewireError ? outcome.code : "done");
		};
		return this.pages.open({ onOutcome }, { maxRequests: 200, ...(this.#keeps ? {} : { outbox: undefined }) });
	}

	#tell(text: string, outcome: string): void {
		this.told.set(text, [...(this.told.get(text) ?? []), outcome]);
	}

	#perform(each: Deed): void {
		const { world, server } = this;
		switch (each.do) {
			case "publish":
				for (let index = 0; index < each.count; index += 1) {
					this.#publish(each.channel);
				}
				break;
			case "cut":
				world.sockets.at(-1)?.end(1006);
				break;
			case "replace":
				world.sockets.at(-1)?.end(4004);
				break;
			case "unplug":
				world.onSocket = (socket) => socket.end(1006);
				world.sockets.at(-1)?.end(1006);
				break;
			case "plug":
				world.onSocket = this.#plugged;
				break;
			case "loseReplies":
				server.losesReplies = true;
				break;
			case "answer":
				server.losesReplies = false;
				break;
			case "forgetSessions":
				server.sessions.clear();
				break;
			case "refuse":
				server.refusing = each.count;
				break;
			case "reload":
				if (this.#keeps) {
					this.#reload();
				}
				break;
			case "wait":
			case "hurry":
				break;
			default:
				each satisfies never;
		}
	}

	#publish(channel: string): void {
		this.#count += 1;
		const text = `${channel}${this.#count}`;
		const page = this.#page;
		this.told.set(text, []);
		page.tw
			.channel(channel)
			.publish(text)
			.then(
				() => page.alive && this.#tell(text, "done"),
				({ code }) => page.alive && this.#tell(text, code),
			);
	}

	#reload(): void {
		this.pages.kill(this.#page);
		const kept = JSON.stringify([...this.pages.records.values()]);
		const performed = JSON.stringify(this.server.carriedOut);
		for (const [text, outcomes] of this.told) {
			if (outcomes.length === 0 && !kept.includes(`\\"${text}\\"`) && !performed.includes(`"${text}"`)) {
				this.unkept.add(text);
			}
		}
		this.#page = this.#open();
	}
}

/** Each once, and as they were published in their channel. */
function expectOrder(performed: readonly string[]): void {
	expect(performed).toEqual([...new Set(performed)]);
	for (const channel of ["a", "b"]) {
		const numbers = performed.filter((text) => text.startsWith(channel)).map((text) => Number(text.slice(1)));
		expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
	}
}

function check({ server, told, unkept }: Story): void {
	const performed = server.carriedOut.map(({ data }) => String(data));
	expectOrder(performed);
	for (const [text, outcomes] of told) {
		if (unkept.has(text)) {
			expect(performed).not.toContain(text);
		} else {
			// Erased and told just when its page died: nobody was left to be told.
			const isDone = performed.includes(text);
			expect(outcomes.length > 0 || isDone, `${text} is told of: ${outcomes}`).toBe(true);
			for (const outcome of outcomes) {
				expect(["done", "unknown_outcome"]).toContain(outcome);
			}
			if (outcomes.at(-1) === "done") {
				expect(isDone, `${text} was done`).toBe(true);
			}
			if (!isDone) {
				expect(outcomes).toContain("unknown_outcome");
			}
		}
	}
}

it("does each kept message at most once, in order, and tells what became of it, whatever happens", async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(deed, { minLength: 5, maxLength: 60, size: "max" }), async (deeds) => {
			const story = new Story(true);
			await story.play(deeds);
			check(story);
		}),
		{ numRuns: Number(process.env.TIDEWIRE_RUNS ?? 150) },
	);
}, 60_000);

it("does each publish of a client without an outbox at most once, in order, and settles each once", async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(deed, { minLength: 5, maxLength: 60, size: "max" }), async (deeds) => {
			const story = new Story(false);
			await story.play(deeds);
			const { server, told } = story;
			const performed = server.carriedOut.map(({ data }) => String(data));
			expectOrder(performed);
			for (const [text, outcomes] of told) {
				expect(outcomes).toHaveLength(1);
				expect(["done", "unknown_outcome", "timeout", "rate_limited"]).toContain(outcomes[0]);
				if (outcomes[0] === "done") {
					expect(performed).toContain(text);
				} else if (outcomes[0] !== "unknown_outcome") {
					expect(performed).not.toContain(text);
				}
			}
		}),
		{ numRuns: Number(process.env.TIDEWIRE_RUNS ?? 150) },
	);
}, 60_000);
