/**
 * Invariant I7 under random joins, cuts, resumes, deaths of nodes, slow watchers, lost messages and outages of the broker: for
 * every watcher the joins and leaves of a member alternate, and some time after the last trouble, who is there is who has
 * a live connection, on every node and for every watcher.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeConnection, type FakeNode, GRACE_MS, type Said, World } from "./fakes.ts";

const SESSIONS = ["ann", "bob", "cat", "dan"];
const CHANNEL = "chat:lobby";

type Step =
	| { readonly do: "connect"; readonly session: number; readonly node: number; readonly replaceFirst: boolean }
	| { readonly do: "cut" | "close" | "unsubscribe" | "update"; readonly session: number }
	| { readonly do: "watch" | "kill" | "stop" | "start" | "deaf" | "outage"; readonly node: number }
	| { readonly do: "block"; readonly watcher: number }
	| { readonly do: "pass"; readonly ms: number };

const index = fc.nat({ max: 3 });
const STEP: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constant("connect" as const),
			session: index,
			node: index,
			replaceFirst: fc.boolean(),
		}),
	},
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constantFrom("cut", "close", "unsubscribe", "update" as const),
			session: index,
		}) as fc.Arbitrary<Step>,
	},
	{
		weight: 4,
		arbitrary: fc.record({
			do: fc.constantFrom("watch", "watch", "kill", "stop", "start", "deaf", "outage" as const),
			node: index,
		}) as fc.Arbitrary<Step>,
	},
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("block" as const), watcher: index }) },
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constant("pass" as const),
			ms: fc.constantFrom(0, 1, 40, 300, 2_000, 9_000, 20_000),
		}),
	},
);

interface Held {
	readonly connection: FakeConnection;
	readonly node: FakeNode;
	member: boolean;
}

class Watching {
	readonly connection: FakeConnection;
	readonly node: FakeNode;
	/** What it knows, from its list and what it was told since. */
	readonly present: Set<string>;

	constructor(connection: FakeConnection, node: FakeNode, present: readonly string[]) {
		this.connection = connection;
		this.node = node;
		this.present = new Set(present);
	}

	read(): void {
		for (const said of this.connection.told()) {
			this.#hear(said);
		}
	}

	#hear({ event, member }: Said): void {
		const { id } = member as { readonly id: string };
		if (event === "update") {
			expect(this.present.has(id), `update of ${id}, who is not there`).toBe(true);
			return;
		}
		expect(this.present.has(id), `${String(event)} of ${id}`).toBe(event === "leave");
		if (event === "join") {
			this.present.add(id);
		} else {
			this.present.delete(id);
		}
	}
}

async function play(steps: readonly Step[]): Promise<void> {
	const world = new World();
	const nodes = [world.node(), world.node()];
	const held = new Map<string, Held>();
	const watchings: Watching[] = [];
	const watch = async (node: FakeNode): Promise<void> => {
		const connection = new FakeConnection(`watcher${watchings.length}`);
		await node.join(connection, { enter: false });
		await node.presence.list(
			{ name: CHANNEL, wireName: CHANNEL, maxMembers: 10 },
			{},
			({ members }) => {
				// The list says it anew.
				connection.told();
				watchings.push(
					new Watching(
						connection,
						node,
						members.map(({ id }) => id),
					),
				);
			},
			connection,
		);
	};
	/** The node is gone, and with it its connections. */
	const lose = (node: FakeNode): void => {
		for (const [session, { node: on }] of held) {
			if (on === node) {
				held.delete(session);
			}
		}
	};
	const end = (session: string, why: "normal" | "replaced" | undefined): void => {
		const one = held.get(session);
		held.delete(session);
		if (one !== undefined) {
			one.connection.closed = true;
			one.node.presence.ended(one.connection, why);
		}
	};
	await watch(nodes[0]!);
	for (const step of steps) {
		const living = nodes.filter(({ dead }) => !dead);
		const node = "node" in step ? living[step.node % living.length] : undefined;
		const session = "session" in step ? SESSIONS[step.session]! : "";
		switch (step.do) {
			case "connect": {
				if (node === undefined || node.cut) {
					break;
				}
				const older = held.get(session);
				if (step.replaceFirst) {
					end(session, "replaced");
				}
				const connection = new FakeConnection(session);
				await node.join(connection, { watch: false });
				held.set(session, { connection, node, member: true });
				if (!step.replaceFirst && older !== undefined) {
					older.connection.closed = true;
					older.node.presence.ended(older.connection, undefined);
				}
				break;
			}
			case "cut":
				end(session, undefined);
				break;
			case "close":
				end(session, "normal");
				break;
			case "unsubscribe": {
				const one = held.get(session);
				if (one !== undefined) {
					one.node.presence.leave(one.connection, CHANNEL);
					one.member = false;
				}
				break;
			}
			case "update": {
				const one = held.get(session);
				one?.node.presence.update(one.connection, CHANNEL, `${world.nowMs}`);
				break;
			}
			case "watch":
				if (node !== undefined && !node.cut && watchings.length < 6) {
					await watch(node);
				}
				break;
			case "kill":
				node?.kill();
				lose(node!);
				break;
			case "stop":
				if (node !== undefined) {
					for (const [name, { node: on, connection }] of held) {
						if (on === node) {
							held.delete(name);
							connection.closed = true;
							node.presence.ended(connection, "restart");
						}
					}
					await node.presence.stop();
					node.kill();
				}
				break;
			case "start":
				break;
			case "deaf":
				node!.deaf = !node!.deaf;
				break;
			case "outage":
				node!.cut = !node!.cut;
				break;
			case "block": {
				const one = watchings[step.watcher % watchings.length]!;
				if (!one.node.dead) {
					one.connection.blocked = !one.connection.blocked;
					if (!one.connection.blocked) {
						one.node.presence.unblocked(one.connection);
					}
				}
				break;
			}
			case "pass":
				await world.pass(step.ms);
				break;
			default:
				step satisfies never;
		}
		if (step.do === "start" || nodes.every(({ dead }) => dead)) {
			nodes.push(world.node());
		}
		for (const watching of watchings) {
			watching.read();
		}
	}
	const living = nodes.filter(({ dead }) => !dead);
	for (const node of living) {
		node.deaf = false;
		node.cut = false;
	}
	await world.pass(60_000 + 2 * GRACE_MS + 6_000);
	for (const { node, connection } of watchings) {
		if (connection.blocked && !node.dead) {
			connection.blocked = false;
			node.presence.unblocked(connection);
		}
	}
	const expected = [...held].flatMap(([session, { member }]) => (member ? [session] : [])).sort();
	for (const node of living) {
		expect(await node.members(), "on a node").toEqual(expected);
	}
	for (const watching of watchings) {
		watching.read();
		if (!watching.node.dead) {
			expect([...watching.present].sort(), "for a watcher").toEqual(expected);
		}
	}
	expect(await world.node().members(), "on a new node").toEqual(expected);
}

describe("I7", () => {
	it("joins and leaves alternate, and after the grace presence is who has a live connection", async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(STEP, { minLength: 5, maxLength: 40 }), (steps) => play(steps)),
			{ numRuns: 300 },
		);
	}, 60_000);
});
