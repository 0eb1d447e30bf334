/** The list of channels that have a log or subscribers, in the order of their names' bytes: those of the file and those of memory. */
import type { ChannelsOptions } from "@tidewire/broker";
import { BYTES, type Database, type Query } from "./database.ts";
import { HEAD_LIFE_MS } from "./log.ts";
import type { Logs } from "./logs.ts";
import { endOfPrefix, toName, toNameBytes } from "./name-bytes.ts";

/** After all names: no name has this byte. */
const LAST = Uint8Array.of(0xff);

export class Channels {
	readonly #logs: Logs;
	readonly #list: Query<{ readonly name: Uint8Array }>;

	constructor(database: Database, logs: Logs) {
		this.#logs = logs;
		// A log whose row has ended may have subscribers: those come from memory.
		this.#list = database.query(
			`SELECT name FROM log WHERE name >= ${BYTES} AND name > ${BYTES} AND name < ? AND touchedMs + ageMs + ${HEAD_LIFE_MS} > ?
			ORDER BY name LIMIT ?`,
		);
	}

	list({ prefix = "", after = "", limit }: ChannelsOptions, nowMs: number): readonly string[] {
		const first = toNameBytes(prefix);
		const most = Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER);
		const rows = this.#list.all(first, toNameBytes(after), endOfPrefix(first) ?? LAST, nowMs, most);
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
