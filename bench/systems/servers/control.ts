/**
 * What every program here does besides serving: it says its port, collects its garbage when it is told to, and publishes
 * from within, in the way that is natural to it, what it is told to.
 */

/** Publishes an object to all who have the channel. */
export type Publish = (channel: string, data: object) => void;

export interface Replay {
	/** What is published in which channel, and when: microseconds since the begin. JSON in a file. */
	readonly file: string;
}

export interface Scatter {
	/** `bench_0` … */
	readonly channels: number;
	readonly messages: number;
	readonly perTurn: number;
	/** A message's length as JSON. */
	readonly bytes: number;
	/** Each channel in turn instead of one at random. */
	readonly inTurn?: boolean;
}

interface Due {
	readonly dueMicros: number;
	readonly channel: string;
	readonly data: object;
}

/** With this a number of microseconds has sixteen digits (`message.ts`). */
const STAMP_BASE = 1_000_000_000_000_000;

/** Settings that the bench gave (`system.ts`), and for some programs more. */
export const settings = JSON.parse(process.argv[2] ?? "{}") as {
	readonly compression?: boolean;
	readonly attached?: boolean;
	readonly peers?: string;
};

export function serve(port: number, publish: Publish, collect: (() => void) | undefined): void {
	let text = "";
	process.stdin.setEncoding("utf8").on("data", (chunk) => {
		text += chunk;
		for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
			const [command = ""] = text.slice(0, end).split(" ", 1);
			const argument = text.slice(command.length + 1, end);
			text = text.slice(end + 1);
			perform(command, argument, publish, collect);
		}
	});
	// The bench is gone, however it went.
	process.stdin.on("end", () => process.exit());
	process.stdout.write(`port ${port}\n`);
}

function perform(command: string, argument: string, publish: Publish, collect: (() => void) | undefined): void {
	if (command === "collect") {
		collect?.();
		collect?.();
		process.stdout.write("collected\n");
	} else if (command === "replay") {
		void replay(JSON.parse(argument) as Replay, publish);
	} else if (command === "scatter") {
		scatter(JSON.parse(argument) as Scatter, publish);
	} else {
		throw new Error(`unknown command ${command}`);
	}
}

function nowMicros(): number {
	return Number(process.hrtime.bigint() / 1_000n);
}

/** Open loop: what is due is published, and carries when it was due. Looks each millisecond. */
async function replay({ file }: Replay, publish: Publish): Promise<void> {
	const { readFileSync } = await import("node:fs");
	const script = JSON.parse(readFileSync(file, "utf8")) as Due[];
	const startMicros = nowMicros();
	let next = 0;
	const timer = setInterval(() => {
		const passed = nowMicros() - startMicros;
		for (let due = script[next]; due !== undefined && due.dueMicros <= passed; due = script[++next]) {
			publish(due.channel, { ...due.data, at: STAMP_BASE + startMicros + due.dueMicros });
		}
		if (next === script.length) {
			clearInterval(timer);
		}
	}, 1);
}

/** So many messages a turn of the event loop, over many channels, at random but the same in each run. */
function scatter({ channels, messages, perTurn, bytes, inTurn = false }: Scatter, publish: Publish): void {
	const data = { pad: "x".repeat(bytes - `{"pad":""}`.length) };
	const names = Array.from({ length: channels }, (_, index) => `bench_${index}`);
	let state = 42;
	let published = 0;
	const turn = (): void => {
		for (let index = 0; index < perTurn && published < messages; index++, published++) {
			state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
			publish(names[inTurn ? published % channels : (state >>> 4) % channels]!, data);
		}
		if (published < messages) {
			setImmediate(turn);
		}
	};
	turn();
}

/** The channels in an upgrade's query. */
export function channelsOf(url: string): readonly string[] {
	return new URLSearchParams(url.slice(url.indexOf("?") + 1)).getAll("channel");
}
