/**
 * The list of channels that have a log or subscribers, in the order of their names' bytes: those of the file and
 * those of memory.
 */
import type { ChannelsOptions } from "@tidewire/broker";
import { BYTES, type Database, type Query } from "./database.ts";
import { HEAD_LIFE_MS } from "./log.ts";
import type { Logs } from "./logs.ts";
import { endOfPrefix, toName, toNameBytes } from "./name-bytes.ts";

/** After all names: no name has this byte. */
const LAST = Uint8Array.of(0xff);

export class Channels {
	readonly #logs: Logs;
	/** From a name on, and after a name: one condition each, since SQLite starts at the first that it is given. */
	readonly #from: Query<{ readonly name: Uint8Array }>;
	readonly #after: Query<{ readonly name: Uint8Array }>;

	constructor(database: Database, logs: Logs) {
		this.#logs = logs;
		// A log whose row has ended may have subscribers: those come from memory.
		const list = (begins: string): Query<{ readonly name: Uint8Array }> =>
			database.query(
				`SELECT name FROM log WHERE ${begins} AND name < ? AND touchedMs + ageMs + ${HEAD_LIFE_MS} > ?
				ORDER BY name LIMIT ?`,
			);
		this.#from = list(`name >= ${BYTES}`);
		this.#after = list("name > ?");
	}

	list({ prefix = "", after = "", limit }: ChannelsOptions, nowMs: number): readonly string[] {
		const first = toNameBytes(prefix);
		const most = Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER);
		const end = endOfPrefix(first) ?? LAST;
		const rows =
			after !== "" && after >= prefix
				? this.#after.all(toNameBytes(after), end, nowMs, most)
				: this.#from.all(first, end, nowMs, most);
		const names = new Set(rows.map((row) => toName(row.name)));
		for (const channel of this.#logs.subscribed()) {
			if (channel.startsWith(prefix) && channel > after) {
				names.add(channel);
			}
		}
		return [...names].sort(byUnits).slice(0, most);
	}
}

function byUnits(left: string, right: string): number {
	return left < right ? -1 : Number(left > right);
}
