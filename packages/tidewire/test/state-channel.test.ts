/** State channels from end to end: the SDK's value against a server's, on a real connection. */
import { channel, contract, createServer } from "tidewire";
import { connect } from "tidewire/client";
import { type State, state } from "tidewire/client/state";
import { expect, it, onTestFinished } from "vitest";
import { z } from "zod";

const Game = z.object({ score: z.number(), players: z.record(z.string(), z.object({ x: z.number() })).default({}) });
const declared = contract({ channels: { "game:{id}": channel({ state: true, data: Game }) } });

/** The first value that satisfies. */
function until<Data>(of: Pick<State<Data, unknown>, "subscribe">, satisfies: (value: Data) => boolean): Promise<Data> {
	const { promise, resolve } = Promise.withResolvers<Data>();
	const stop = of.subscribe((value) => {
		if (satisfies(value)) {
			resolve(value);
		}
	});
	return promise.finally(stop);
}

it("two clients and the application share one value; what expires goes, what conflicts is told", async () => {
	const everybody = { "game:{id}": true } as const;
	const server = createServer(declared, { may: { subscribe: everybody, publish: everybody } });
	onTestFinished(() => server.close());
	const { url } = await server.listen({ port: 0 });
	const join = () => {
		const client = connect<typeof declared>(`${url}/connect`);
		onTestFinished(() => client.close());
		return state(client.channel("game:1"));
	};
	const first = await server.channel("game:1").publish({ score: 0 });
	const ann = join();
	const bob = join();
	expect(await until(ann, () => true)).toEqual({ score: 0, players: {} });
	await until(bob, () => true);

	await ann.patch({ players: { ann: { x: 1 } } });
	expect(await until(bob, ({ players }) => players.ann !== undefined)).toEqual({
		score: 0,
		players: { ann: { x: 1 } },
	});
	await server.channel("game:1").patch({ score: 5 });
	await until(ann, ({ score }) => score === 5);

	const conflict = await bob.set({ score: 9 }, { if: first }).catch((error: unknown) => error);
	expect(conflict).toMatchObject({ code: "conflict", data: { score: 5, players: { ann: { x: 1 } } } });
	await bob.set({ score: 9 }, { if: (conflict as { position: string }).position });
	expect(await until(ann, ({ score }) => score === 9)).toEqual({ score: 9, players: {} });

	await ann.setKey("players", { zoe: { x: 1 } }, { ttl: 0.05 });
	await until(bob, ({ players }) => players?.zoe !== undefined);
	await until(bob, ({ players }) => players === undefined);
	expect((await server.channel("game:1").value()).position).toBe(bob.position);
});
