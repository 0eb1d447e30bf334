/** Which channels there are. */
import type { Broker } from "../broker.ts";
import { bytesOf, claim, Listening, publish, read, refused, same } from "./claims.ts";
import type { CaseTable } from "./subject.ts";

const HOUR_MS = 3_600_000;

async function publishEach(broker: Broker, names: readonly string[]): Promise<void> {
	for (const name of names) {
		await publish(broker, name, "1");
	}
}

/** All names, in pages of `limit`. */
async function walk(broker: Broker, prefix: string, limit: number): Promise<string[]> {
	const seen: string[] = [];
	for (;;) {
		const after = seen.at(-1);
		const page = await broker.channels({ prefix, limit, ...(after !== undefined && { after }) });
		claim(page.length <= limit, `a page of ${page.length}, at most ${limit}`);
		claim(!page.some((name) => seen.includes(name)), `a name came twice: ${JSON.stringify(page)}`);
		seen.push(...page);
		if (page.length < limit) {
			return seen;
		}
	}
}

export const channelCases: CaseTable = {
	"a channel that something was published to is listed, at every node": async ({ broker, node }) => {
		const other = await node();
		same(await broker.channels({ limit: 10 }), [], "an empty store");
		await publish(broker, "kept", "1");
		await publish(broker, "not kept", "1", { retention: { messages: 0, bytes: 0, ageMs: 0 } });
		for (const each of [broker, other]) {
			same(await each.channels({ limit: 10 }), ["kept", "not kept"], "channels");
		}
	},
	"a channel that was only subscribed to is listed as long as it is": async ({ broker, node }) => {
		const here = new Listening(broker);
		const there = new Listening(await node());
		await here.broker.subscribe("a");
		await there.broker.subscribe("a");
		await there.broker.subscribe("b");
		same(await here.broker.channels({ limit: 10 }), ["a", "b"], "here");
		same(await there.broker.channels({ limit: 10 }), ["a", "b"], "there");
		there.broker.unsubscribe("b");
		same(await there.broker.channels({ limit: 10 }), ["a"], "at the node that unsubscribed");
		there.broker.unsubscribe("a");
		same(await there.broker.channels({ limit: 10 }), ["a"], "another node is subscribed");
	},
	"a node that has closed is not subscribed any more": async ({ broker, node }) => {
		const there = new Listening(await node());
		await there.broker.subscribe("subscribed");
		await publish(there.broker, "published", "1");
		await there.broker.close();
		same(await broker.channels({ limit: 10 }), ["published"], "channels");
	},
	"a channel that is both published and subscribed to is listed once": async ({ broker, node }) => {
		for (const each of [new Listening(broker), new Listening(await node())]) {
			await each.broker.subscribe("a");
			await publish(each.broker, "a", "1");
		}
		same(await broker.channels({ limit: 10 }), ["a"], "channels");
	},
	"a channel that was only asked about is not listed": async ({ broker }) => {
		await read(broker, "a");
		await broker.snapshot("b");
		broker.unsubscribe("c");
		same(await broker.channels({ limit: 10 }), [], "channels");
	},
	"channels come in ascending order": async ({ broker }) => {
		const names = ["b", "a", "ab", "B", "a:1", "a.b", "a-b", "1", "10", "9", "é", "e", "z", "Ω", "~", "a b"];
		await publishEach(broker, names);
		// None of these has a character beyond U+D7FF, so all orders of the seam agree.
		same(await broker.channels({ limit: 100 }), [...names].sort(), "channels");
	},
	"a prefix means nothing but itself": async ({ broker }) => {
		const names = [
			"a%b",
			"a_b",
			"axb",
			"A%b",
			"a*c",
			"a?c",
			"a[b]",
			"ab",
			"a",
			"ä",
			"a\u0308",
			"__proto__",
			"{x}",
			"\\a",
		];
		await publishEach(broker, names);
		for (const prefix of ["", "a", "A", "a%", "a_", "a*", "a?", "a[", "ä", "a\u0308", "__", "{", "\\", "a%b", "a%bc"]) {
			const expected = names.filter((name) => name.startsWith(prefix)).sort();
			same(await broker.channels({ prefix, limit: 100 }), expected, `channels with "${prefix}"`);
		}
	},
	"a list goes on after a name, which need not be there": async ({ broker }) => {
		await publishEach(broker, ["a", "p:1", "p:2", "p:3", "q"]);
		const prefix = "p:";
		same(await broker.channels({ after: "p:1", limit: 10 }), ["p:2", "p:3", "q"], "without a prefix");
		same(await broker.channels({ prefix, after: "p:1", limit: 10 }), ["p:2", "p:3"], "with a prefix");
		same(await broker.channels({ prefix, after: "p:15", limit: 10 }), ["p:2", "p:3"], "after a name not there");
		same(
			await broker.channels({ prefix, after: "a", limit: 10 }),
			["p:1", "p:2", "p:3"],
			"after one before the prefix",
		);
		same(await broker.channels({ prefix, after: "p:3", limit: 10 }), [], "after the last");
		same(await broker.channels({ prefix, after: "q", limit: 10 }), [], "after all with the prefix");
	},
	"a page is full unless it is the last, and pages have all names once": async ({ broker }) => {
		const names = Array.from({ length: 25 }, (_, index) => `p:${index}`);
		await publishEach(broker, ["o", ...names, "q"]);
		same(await broker.channels({ prefix: "p:", limit: 0 }), [], "limit 0");
		for (const limit of [1, 4, 5, 25, 26]) {
			same(await walk(broker, "p:", limit), [...names].sort(), `pages of ${limit}`);
		}
	},
	"pages have names of every kind once": async ({ broker }) => {
		const names = ["\u{1f697}", "\u{1f697}\u{1f697}", "\uff5e", "\ue000", "\ufffd", "a", "\ud7ff", "__proto__"];
		await publishEach(broker, names);
		same((await walk(broker, "", 1)).sort(), [...names].sort(), "pages of one");
		same(await broker.channels({ prefix: "\u{1f697}", limit: 10 }), ["\u{1f697}", "\u{1f697}\u{1f697}"], "prefix");
	},
	"a channel is listed as long as its epoch": async ({ broker, advance }) => {
		const { epoch } = await publish(broker, "a", "1", { snapshot: bytesOf("one") });
		for (let day = 0; day < 4; day++) {
			await advance!(24 * HOUR_MS);
			const names = await broker.channels({ limit: 10 });
			same(names, (await read(broker, "a")).epoch === epoch ? ["a"] : [], `channels after ${day + 1} days`);
		}
	},
	"a lost log is listed where somebody is subscribed, and again when something is published": async ({
		broker,
		lose,
	}) => {
		const here = new Listening(broker);
		await broker.subscribe("subscribed");
		await publishEach(broker, ["quiet", "subscribed"]);
		await lose!("subscribed");
		await lose!("quiet");
		await here.reset("subscribed");
		same(await broker.channels({ limit: 10 }), ["subscribed"], "channels");
		await publish(broker, "quiet", "2");
		same(await broker.channels({ limit: 10 }), ["quiet", "subscribed"], "channels after a publish");
	},
	"after a restart the channels are listed whose epochs are still alive": async ({ broker, node, reopen }) => {
		const here = new Listening(await node());
		await here.broker.subscribe("subscribed");
		const { epoch } = await publish(broker, "published", "1");
		const again = await reopen!();
		const names = await again.channels({ limit: 10 });
		same(names, (await read(again, "published")).epoch === epoch ? ["published"] : [], "channels");
	},
	"a list that makes no sense is invalid": async ({ broker }) => {
		await refused("invalid", () => broker.channels({ limit: -1 }));
		await refused("invalid", () => broker.channels({ limit: Number.NaN }));
		await refused("invalid", () => broker.channels({ limit: 1, prefix: 1 as unknown as string }));
		await refused("invalid", () => broker.channels({ limit: 1, after: "a".repeat(100_000) }));
	},
};
