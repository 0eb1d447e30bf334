/**
 * Six reports about Socket.IO's connection state recovery, replayed here by clients that speak the protocol by hand,
 * while a publisher goes on: each message comes once, in order, and the session goes on.
 */
import { expect, it } from "vitest";
import { OPEN } from "../../packages/server/test/client.ts";
import { twoNodes } from "../../packages/server/test/cluster.ts";
import { Follower, publishing } from "./follower.ts";

const BOTH = { resumed: true, recovered: true };

function upTo(count: number): number[] {
	return Array.from({ length: count }, (_, index) => index + 1);
}

it("socket.io #5282: a connection that has lasted long, while the channel and others moved on, is recovered", async () => {
	const { nodes } = await twoNodes(OPEN);
	const [first, second] = nodes;
	const follower = new Follower("quiet");
	await follower.connect(first);
	await follower.publish(1, "quiet", "long ago");
	// More than any history holds, elsewhere; and in its own channel, live.
	const busy = publishing(second, "busy");
	for (let message = 0; message < 1_500; message++) {
		await second.server.channel("quiet").publish(message);
	}
	await follower.until(1_501);
	follower.cut();
	await second.server.channel("quiet").publish("missed");
	await follower.connect(first);
	await follower.until(1_502);
	await busy.stop();
	expect(follower.returns).toEqual([BOTH]);
	expect(follower.offsets).toEqual(upTo(1_502));
});

it("socket.io #4880: it works again and again, not only once", async () => {
	const { nodes } = await twoNodes(OPEN);
	const follower = new Follower("a");
	await follower.connect(nodes[0]);
	const { session } = follower;
	const publisher = publishing(nodes[1], "a");
	for (let round = 1; round <= 8; round++) {
		await follower.publish(round, "b", round);
		await follower.until(round * 10);
		follower.cut();
		await follower.connect(nodes[0]);
	}
	const count = await publisher.stop();
	await follower.until(count);
	expect(follower.returns).toEqual(Array.from({ length: 8 }, () => BOTH));
	expect(follower.session).toBe(session);
	expect(follower.offsets).toEqual(upTo(count));
});

it("socket.io #5419: no message comes again after a recovery, nor after the next one", async () => {
	const { nodes } = await twoNodes(OPEN);
	const follower = new Follower("a");
	await follower.connect(nodes[0]);
	for (let round = 1; round <= 5; round++) {
		await nodes[1].server.channel("a").publish(`live ${round}`);
		await follower.until(2 * round - 1);
		follower.cut();
		await nodes[1].server.channel("a").publish(`missed ${round}`);
		await follower.connect(nodes[(round % 2) as 0 | 1]);
		await follower.until(2 * round);
	}
	// A marker: whatever came twice would have come before it.
	expect(await follower.publish(1, "b", "marker")).toMatch(/:1$/);
	expect(follower.offsets).toEqual(upTo(10));
	expect(follower.returns).toEqual(Array.from({ length: 5 }, () => BOTH));
});

it("socket.io #27: a client whose node goes down is recovered at another", async () => {
	const { nodes } = await twoNodes(OPEN);
	const [down, other] = nodes;
	const follower = new Follower("a");
	await follower.connect(down);
	const { session } = follower;
	const publisher = publishing(other, "a");
	const position = await follower.publish(1, "b", "once");
	await follower.until(20);
	await down.server.close();
	await follower.connect(other);
	expect(await follower.publish(1, "b", "once")).toBe(position);
	const count = await publisher.stop();
	await follower.until(count);
	expect(follower.returns).toEqual([BOTH]);
	expect(follower.session).toBe(session);
	expect(follower.offsets).toEqual(upTo(count));
});

it("socket.io #26: who comes back too early, before anybody knows of the cut, is recovered each time", async () => {
	const { nodes } = await twoNodes(OPEN);
	const [first, second] = nodes;
	const publisher = publishing(second, "a");
	for (let round = 0; round < 30; round++) {
		const follower = new Follower("b");
		await follower.connect(first);
		const { session } = follower;
		// Its first id is on its way when the network is gone.
		follower.send(1, "b", round);
		follower.cut();
		await follower.connect(round % 2 === 0 ? first : second);
		expect(follower.returns).toEqual([BOTH]);
		expect(follower.session).toBe(session);
		expect(await follower.publish(1, "b", round)).toMatch(new RegExp(`:${round + 1}$`));
		follower.cut();
	}
	await publisher.stop();
});

it("socket.io #48: it works long after connecting, and long after the cut", async () => {
	const { nodes, pass } = await twoNodes(OPEN);
	const follower = new Follower("a");
	await follower.connect(nodes[0]);
	const position = await follower.publish(1, "b", "once");
	const publisher = publishing(nodes[1], "a");
	await follower.until(10);
	pass(60_000);
	await follower.until(20);
	follower.cut();
	pass(60_000);
	await follower.connect(nodes[1]);
	expect(await follower.publish(1, "b", "once")).toBe(position);
	const count = await publisher.stop();
	await follower.until(count);
	expect(follower.returns).toEqual([BOTH]);
	expect(follower.offsets).toEqual(upTo(count));
});
