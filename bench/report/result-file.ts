/**
 * The result files as they lie in a folder, checked field by field: a figure that is missing must not become an empty
 * picture. What is beside them and of another shape is named here.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Absent, Goal, Result, Row, Series } from "../result.ts";
import { ReportError } from "./report-error.ts";

/** The WebSocket engine's own measurements, which `websocket/README.md` tells of. */
const OTHER_SHAPE = new Set(["websocket.json"]);

/** The subjects of the bench from the most asked to the least; others come behind them. */
const ORDER = "fanout channels16 crowd latency compression memory many-channels scale stalled heartbeat".split(" ");

function inOrder(a: string, b: string): number {
	const rank = (name: string): number => {
		const known = ORDER.indexOf(name.replace(".json", ""));
		return known < 0 ? ORDER.length : known;
	};
	return rank(a) - rank(b) || a.localeCompare(b);
}

/** All results of a folder, in the order of the report. Throws `ReportError`. */
export function readResults(folder: string): readonly Result[] {
	let names: readonly string[];
	try {
		names = readdirSync(folder).filter((name) => name.endsWith(".json") && !OTHER_SHAPE.has(name));
	} catch (cause) {
		throw new ReportError("no_results", `there is no folder ${folder}: npm run bench makes one`, { cause });
	}
	if (names.length === 0) {
		throw new ReportError("no_results", `${folder} holds no result: npm run bench makes some`);
	}
	return names.toSorted(inOrder).map((name) => {
		const file = join(folder, name);
		try {
			return parseResult(file, readFileSync(file, "utf8"));
		} catch (cause) {
			throw cause instanceof ReportError
				? cause
				: new ReportError("unreadable", `${file} cannot be read: ${String(cause)}`, { cause });
		}
	});
}

/** Throws `ReportError` naming the file and the field. */
export function parseResult(file: string, text: string): Result {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (cause) {
		throw new ReportError("malformed", `${file} is no JSON`, { cause });
	}
	const result = new Fields(file, "", value);
	const disturbed = result.optional("disturbed", (at) => at.text());
	const series = result.optional("series", (at) => at.list(readSeries));
	return {
		subject: result.at("subject").text(),
		date: result.at("date").text(),
		machine: result.at("machine").record((at) => at.scalar()),
		method: result.at("method").text(),
		options: result.at("options").record((at) => at.scalar()),
		goals: result.at("goals").list(readGoal),
		rows: result.at("rows").list(readRow),
		absent: result.at("absent").list(readAbsent),
		...(series === undefined ? {} : { series }),
		...(disturbed === undefined ? {} : { disturbed }),
	};
}

function readGoal(goal: Fields): Goal {
	const met = goal.at("met").value;
	if (met !== null && typeof met !== "boolean") {
		throw goal.at("met").wrong("true, false or null");
	}
	const unit = goal.optional("unit", (at) => at.text());
	const least = goal.optional("least", (at) => at.number());
	const most = goal.optional("most", (at) => at.number());
	const atLeast = goal.optional("atLeast", (at) => at.value);
	return {
		name: goal.at("name").text(),
		limit: goal.at("limit").number(),
		figure: goal.at("figure").numberOrNull(),
		met,
		...(atLeast === true ? { atLeast } : {}),
		...(unit === undefined ? {} : { unit }),
		...(least === undefined ? {} : { least }),
		...(most === undefined ? {} : { most }),
	};
}

function readRow(row: Fields): Row {
	return {
		...row.record((at) => at.cell()),
		system: row.at("system").text(),
		case: row.at("case").text(),
	};
}

function readSeries(series: Fields): Series {
	const x = series.at("x").list((at) => at.number());
	const y = series.at("y").list((at) => at.number());
	if (x.length !== y.length) {
		throw series.at("y").wrong(`as many numbers as x, which has ${x.length}`);
	}
	const xUnit = series.optional("xUnit", (at) => at.text());
	const graph = series.optional("graph", (at) => at.text());
	return {
		name: series.at("name").text(),
		unit: series.at("unit").text(),
		x,
		y,
		...(xUnit === undefined ? {} : { xUnit }),
		...(graph === undefined ? {} : { graph }),
	};
}

function readAbsent(absent: Fields): Absent {
	return { system: absent.at("system").text(), reason: absent.at("reason").text() };
}

/** A value and where it stands. */
class Fields {
	readonly #file: string;
	readonly #path: string;
	readonly value: unknown;

	constructor(file: string, path: string, value: unknown) {
		this.#file = file;
		this.#path = path;
		this.value = value;
	}

	at(name: string): Fields {
		const { value } = this;
		if (typeof value !== "object" || value === null || Array.isArray(value)) {
			throw this.wrong("an object");
		}
		const path = this.#path === "" ? name : `${this.#path}.${name}`;
		return new Fields(this.#file, path, Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined);
	}

	optional<T>(name: string, read: (at: Fields) => T): T | undefined {
		const field = this.at(name);
		return field.value === undefined ? undefined : read(field);
	}

	text(): string {
		return typeof this.value === "string" ? this.value : this.#refuse("a text");
	}

	number(): number {
		return typeof this.value === "number" ? this.value : this.#refuse("a number");
	}

	numberOrNull(): number | null {
		return this.value === null ? null : this.number();
	}

	scalar(): string | number | boolean {
		const { value } = this;
		const fits = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
		return fits ? value : this.#refuse("a text, a number or a boolean");
	}

	cell(): string | number | null {
		const { value } = this;
		return value === null || typeof value === "string" || typeof value === "number"
			? value
			: this.#refuse("a text, a number or null");
	}

	list<T>(read: (at: Fields) => T): readonly T[] {
		const { value } = this;
		return Array.isArray(value)
			? value.map((item: unknown, index) => read(new Fields(this.#file, `${this.#path}[${index}]`, item)))
			: this.#refuse("a list");
	}

	record<T>(read: (at: Fields) => T): Readonly<Record<string, T>> {
		const { value } = this;
		return typeof value === "object" && value !== null && !Array.isArray(value)
			? Object.fromEntries(Object.keys(value).map((name) => [name, read(this.at(name))]))
			: this.#refuse("an object");
	}

	wrong(rule: string): ReportError {
		const what = this.value === undefined ? "is missing" : `is ${JSON.stringify(this.value).slice(0, 60)}`;
		return new ReportError("malformed", `${this.#file}: ${this.#path || "the file"} ${what}, it must be ${rule}`);
	}

	#refuse(rule: string): never {
		throw this.wrong(rule);
	}
}
