/** Two servers, one after the other, on one SQLite file: the second knows what the first has promised. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSqliteBroker } from "@tidewire/broker-sqlite";
import { createServer } from "@tidewire/server";
import { expect, it } from "vitest";
import { afterwards, OPEN, type Running, run } from "../../packages/server/test/client.ts";
import { comesBack, greeted } from "../../packages/server/test/session/greeted.ts";

it("a restarted server knows the session, its publishes and its calls", async () => {
	const folder = mkdtempSync(join(tmpdir(), "tidewire-session-"));
	afterwards(() => rmSync(folder, { recursive: true, force: true }));
	let orders = 0;
	const start = (): Promise<Running> =>
		run(
			createServer(undefined, {
				...OPEN,
				authenticate: ({ token }) => ({ id: token ?? "nobody" }),
				actions: { order: () => ({ number: ++orders }) },
				broker: createSqliteBroker({ path: join(folder, "channels.db") }),
			}),
		);
	const before = await start();
	const ann = await greeted(before);
	const { position } = await ann.client.ask({ id: 1, action: "publish", channel: "a", data: 1 });
	const reply = await ann.client.ask({ id: 2, action: "order" });
	const quiet = await greeted(before);
	await before.server.close();
	const after = await start();
	const back = await comesBack(after, ann.token);
	expect(back.reply).toMatchObject({ session: ann.session, resumed: true });
	expect(await back.client.ask({ id: 1, action: "publish", channel: "a", data: 1 })).toMatchObject({ position });
	expect(await back.client.ask({ id: 2, action: "order" })).toEqual(reply);
	const late = { id: 3, action: "publish", channel: "a", data: 2, after: 1 };
	expect((await back.client.ask(late)).position).toMatch(/:2$/);
	expect(orders).toBe(1);
	// Nothing was counted in this one, and its token is good all the same.
	expect((await comesBack(after, quiet.token)).reply).toMatchObject({ session: quiet.session, resumed: true });
});
