/**
 * The load processes of one measurement, as the bench sees them: started, told what to do, and known by what each said
 * last. What one of them cannot do fails the whole.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { CliError } from "../error.ts";
import type { News, Opening, OpenOrder, Order, WorkerFigures } from "./load-task.ts";

/** From source in a checkout, compiled where installed; the process resolves packages as this one does. */
const SOURCE = import.meta.url.endsWith(".ts");
const PROGRAM = fileURLToPath(new URL(SOURCE ? "./load-worker.ts" : "./load-worker.js", import.meta.url));

interface Member {
	readonly child: ChildProcess;
	/** Connections that are open and subscribed. */
	opened: number;
	opening: Opening | undefined;
	deliveries: number;
	rounds: number;
	figures: WorkerFigures | undefined;
}

/** How clients are spread over processes; each has its own set of open files. */
export function shareOut(clients: number, workers: number): readonly { first: number; clients: number }[] {
	const used = Math.min(workers, clients);
	return Array.from({ length: used }, (_, index) => {
		const first = Math.floor((index * clients) / used);
		return { first, clients: Math.floor(((index + 1) * clients) / used) - first };
	});
}

export class Crew {
	readonly #members: Member[] = [];
	#failure: CliError | undefined;
	#ending = false;
	#look: () => void = () => {};

	/** Starts as many processes as there are shares. */
	constructor(shares: number) {
		for (let index = 0; index < shares; index++) {
			const child = fork(PROGRAM, [], {
				execArgv: SOURCE ? ["--conditions=tidewire-source", "--disable-warning=ExperimentalWarning"] : [],
				stdio: ["ignore", "ignore", "inherit", "ipc"],
			});
			const member: Member = {
				child,
				opened: 0,
				opening: undefined,
				deliveries: 0,
				rounds: 0,
				figures: undefined,
			};
			this.#members.push(member);
			child.on("message", (news: News) => this.#hear(member, news));
			child.on("error", (cause) => this.#fail(`a load process failed: ${cause.message}`));
			child.on("exit", (code, signal) => this.#fail(`a load process ended (${signal ?? code})`));
		}
	}

	get opened(): number {
		return this.#sum(({ opened }) => opened);
	}

	/** Over all the time, the warm-up too. */
	get deliveries(): number {
		return this.#sum((member) => member.deliveries);
	}

	/** Rounds of a closed loop that every process has whole. */
	get rounds(): number {
		return Math.min(...this.#members.map(({ rounds }) => rounds));
	}

	async open(orders: readonly OpenOrder[], signal: AbortSignal): Promise<readonly Opening[]> {
		for (const [index, order] of orders.entries()) {
			this.#tell(this.#members[index]!, order);
		}
		await this.until(() => this.#members.every(({ opening }) => opening !== undefined), signal);
		return this.#members.flatMap(({ opening }) => opening ?? []);
	}

	/** What was due before this time is warm-up. */
	countFrom(fromMicros: number): void {
		for (const member of this.#members) {
			this.#tell(member, { do: "count", fromMicros });
		}
	}

	async settle(heads: readonly number[], patienceMs: number): Promise<readonly WorkerFigures[]> {
		for (const member of this.#members) {
			this.#tell(member, { do: "settle", heads, patienceMs });
		}
		await this.until(() => this.#members.every(({ figures }) => figures !== undefined));
		return this.#members.flatMap(({ figures }) => figures ?? []);
	}

	/**
	 * Resolves with true when it is so, looked at whenever a process said something; with false when the signal is
	 * aborted first, or nothing that counts has happened for so long. Rejects where a process failed.
	 */
	until(isSo: () => boolean, signal?: AbortSignal, patienceMs = Number.POSITIVE_INFINITY): Promise<boolean> {
		return new Promise((resolve, reject) => {
			let timer: NodeJS.Timeout | undefined;
			let seen = -1;
			const done = (end: () => void): void => {
				clearTimeout(timer);
				signal?.removeEventListener("abort", look);
				this.#look = () => {};
				end();
			};
			const look = (): void => {
				if (this.#failure !== undefined) {
					const failure = this.#failure;
					done(() => reject(failure));
				} else if (isSo()) {
					done(() => resolve(true));
				} else if (signal?.aborted === true) {
					done(() => resolve(false));
				} else if (patienceMs < Number.POSITIVE_INFINITY && this.deliveries !== seen) {
					seen = this.deliveries;
					clearTimeout(timer);
					timer = setTimeout(() => done(() => resolve(false)), patienceMs);
				}
			};
			this.#look = look;
			signal?.addEventListener("abort", look);
			look();
		});
	}

	/** Ends the processes: each ends itself when its channel closes. */
	async end(): Promise<void> {
		this.#ending = true;
		await Promise.all(
			this.#members.map(({ child }) => {
				if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
					return undefined;
				}
				const ended = new Promise((resolve) => child.once("exit", resolve));
				if (child.connected) {
					child.disconnect();
				}
				return ended;
			}),
		);
	}

	#tell({ child }: Member, order: Order): void {
		if (child.connected) {
			child.send(order);
		}
	}

	#hear(member: Member, news: News): void {
		switch (news.say) {
			case "opening":
				member.opened = news.opened;
				break;
			case "opened":
				member.opened = news.opening.opened;
				member.opening = news.opening;
				break;
			case "delivered":
				member.deliveries = news.deliveries;
				break;
			case "round":
				member.rounds = news.rounds;
				break;
			case "settled":
				member.figures = news.figures;
				break;
			case "failed":
				this.#fail(news.message);
				return;
		}
		this.#look();
	}

	#fail(message: string): void {
		if (!this.#ending) {
			this.#failure ??= new CliError("failure", message);
			this.#look();
		}
	}

	#sum(read: (member: Member) => number): number {
		return this.#members.reduce((sum, member) => sum + read(member), 0);
	}
}
