/** What is looked at once a second while a measurement runs, for the graphs: deliveries, and the server's memory. */
import type { Series } from "./result.ts";
import { type ServerProcess, tcpBufferBytes } from "./server-process.ts";

const EVERY_MS = 1_000;

export class Samples {
	readonly #server: ServerProcess | undefined;
	readonly #deliveries: () => number;
	readonly #onSample: (second: number, deliveriesPerSecond: number) => void;
	readonly #beganMs = performance.now();
	readonly #x: number[] = [];
	readonly #rate: number[] = [];
	readonly #residentMb: number[] = [];
	readonly #tcpMb: number[] = [];
	readonly #timer: NodeJS.Timeout;
	#before: { readonly ms: number; readonly deliveries: number };

	constructor(
		server: ServerProcess | undefined,
		deliveries: () => number,
		onSample: (second: number, deliveriesPerSecond: number) => void,
	) {
		this.#server = server;
		this.#deliveries = deliveries;
		this.#onSample = onSample;
		this.#before = { ms: this.#beganMs, deliveries: deliveries() };
		this.#timer = setInterval(() => this.#take(), EVERY_MS);
	}

	#take(): void {
		const ms = performance.now();
		const deliveries = this.#deliveries();
		const rate = ((deliveries - this.#before.deliveries) / (ms - this.#before.ms)) * 1_000;
		this.#before = { ms, deliveries };
		const second = (ms - this.#beganMs) / 1_000;
		this.#x.push(Number(second.toFixed(2)));
		this.#rate.push(Math.round(rate));
		const resident = this.#server?.residentBytes();
		if (resident !== undefined) {
			this.#residentMb.push(megabytes(resident));
			this.#tcpMb.push(megabytes(tcpBufferBytes()));
		}
		this.#onSample(second, rate);
	}

	/** Ends it. `name`: the case's. */
	end(name: string): readonly Series[] {
		clearInterval(this.#timer);
		const of = (what: string, unit: string, y: readonly number[], graph: string): Series[] =>
			y.length === 0 ? [] : [{ name: `${name}: ${what}`, unit, x: this.#x, y, graph }];
		return [
			...of("deliveries", "1/s", this.#rate, "deliveries"),
			...of("resident memory", "MB", this.#residentMb, "memory"),
			...of("TCP buffers of the machine", "MB", this.#tcpMb, "memory"),
		];
	}
}

function megabytes(bytes: number): number {
	return Number((bytes / 1e6).toFixed(2));
}
