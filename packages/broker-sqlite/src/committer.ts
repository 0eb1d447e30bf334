/**
 * Group commit: what was asked for in one turn of the event loop goes into one transaction, and nobody hears of it
 * before it is kept: first the nodes are told, then the callers. With `synchronous: "full"` there is a wait for
 * the disk between the commit and the telling; what comes meanwhile makes the next transaction, and reads wait
 * (`settled`), so that nothing is seen that could still be lost.
 *
 * One transaction is bounded in time and number; what is over waits for the next turn.
 */
import { BrokerError } from "@tidewire/broker";
import type { Database } from "./database.ts";
import { isDamage, toBrokerError } from "./error.ts";
import type { Wal } from "./wal.ts";

export interface CommitterOptions {
	readonly path: string;
	readonly database: Database;
	readonly wal: Wal;
	readonly waitsForDisk: boolean;
	readonly commitDelayMs: number;
	/** What may wait to be committed, in bytes of what callers handed in. */
	readonly maxWaitingBytes: number;
	/** Runs in a transaction of its own before each batch: makes room where that is needed. */
	readonly prepare: () => void;
	/** Runs at the end of each transaction: writes what the jobs left to be written once. */
	readonly finish: () => void;
	/** Runs when the transaction is kept, before callers hear of it; or when it failed. */
	readonly settle: (kept: boolean) => void;
}

interface Job {
	/** A `BrokerError` that it throws concerns its caller alone, so it must come before anything is written. */
	readonly work: () => unknown;
	readonly bytes: number;
	readonly resolve: (result: unknown) => void;
	readonly reject: (error: BrokerError) => void;
}

interface Answer {
	readonly job: Job;
	readonly result?: unknown;
	readonly refusal?: BrokerError;
}

const MOST_JOBS = 1_000;
/** What a job takes beside what it carries: closures, a promise, a place in the queue. */
const JOB_COST = 500;
/**
 * How long one transaction takes more in; writing it takes about as long again. What the clients of the server
 * need must come through between two.
 */
const MOST_MS = 3;

export class Committer {
	readonly #options: CommitterOptions;
	#queue: Job[] = [];
	#waitingBytes = 0;
	#isScheduled = false;
	/** A transaction waits for the disk, or a checkpoint is under way: nothing may be committed. */
	#isHeld = false;
	/** Resolves when that is over. */
	#window: Promise<void> | undefined;
	#endWindow: (() => void) | undefined;
	#idle: (() => void)[] = [];
	#failure: BrokerError | undefined;
	commits = 0;

	constructor(options: CommitterOptions) {
		this.#options = options;
	}

	/** Whether what the file holds and what was promised still agree. */
	get isTrusted(): boolean {
		return this.#failure === undefined;
	}

	/**
	 * Does `work`, which carries `carried` bytes, in the next transaction; resolves with its result when that is
	 * kept.
	 */
	commit<Result>(work: () => Result, carried = 0): Promise<Result> {
		return new Promise<Result>((resolve, reject) => {
			const bytes = carried + JOB_COST;
			if (this.#failure !== undefined) {
				reject(this.#failure);
				return;
			}
			if (this.#queue.length > 0 && this.#waitingBytes + bytes > this.#options.maxWaitingBytes) {
				reject(new BrokerError("unavailable", `${this.#options.path}: the disk is behind, and too much waits for it`));
				return;
			}
			this.#waitingBytes += bytes;
			this.#queue.push({ work, bytes, resolve: (result) => resolve(result as Result), reject });
			this.#schedule();
		});
	}

	/** Runs `look` when nothing that could still be lost is in sight: mostly at once. */
	async settled<Result>(look: () => Result): Promise<Result> {
		while (this.#window !== undefined) {
			await this.#window;
		}
		if (this.#failure !== undefined) {
			throw this.#failure;
		}
		try {
			return look();
		} catch (error) {
			throw this.#judge(error);
		}
	}

	/** Resolves when nothing waits and nothing is under way. */
	idle(): Promise<void> {
		return new Promise((resolve) => {
			this.#idle.push(resolve);
			this.#endIdle();
		});
	}

	#schedule(): void {
		if (this.#isScheduled || this.#isHeld || this.#queue.length === 0) {
			return;
		}
		this.#isScheduled = true;
		const run = (): void => {
			this.#isScheduled = false;
			this.#run();
		};
		if (this.#options.commitDelayMs > 0 && this.#queue.length < MOST_JOBS) {
			setTimeout(run, this.#options.commitDelayMs);
		} else {
			setImmediate(run);
		}
	}

	#run(): void {
		const { database, prepare, finish, waitsForDisk, wal } = this.#options;
		const taken: Job[] = [];
		const before = database.written;
		let answers: readonly Answer[];
		try {
			prepare();
			answers = database.transact(() => {
				const done = this.#perform(taken);
				finish();
				return done;
			});
		} catch (error) {
			this.#options.settle(false);
			const reason = this.#judge(error);
			// Whoever was not tried yet would fail the same way now; a retry comes to a file that may have room again.
			for (const job of taken.length > 0 ? taken : this.#take(Infinity)) {
				job.reject(reason);
			}
			this.#goOn();
			return;
		}
		this.commits++;
		if (!waitsForDisk || database.written === before) {
			this.#settle(answers);
			return;
		}
		this.#hold();
		wal.settle((error) => {
			this.#release();
			if (error === null) {
				this.#settle(answers);
			} else {
				this.#distrust(error, answers);
			}
		});
	}

	#perform(taken: Job[]): readonly Answer[] {
		const answers: Answer[] = [];
		const endMs = performance.now() + MOST_MS;
		let count = 0;
		do {
			const job = this.#queue[count++]!;
			taken.push(job);
			try {
				answers.push({ job, result: job.work() });
			} catch (error) {
				if (!(error instanceof BrokerError)) {
					this.#take(count);
					throw error;
				}
				answers.push({ job, refusal: error });
			}
		} while (count < this.#queue.length && count < MOST_JOBS && performance.now() < endMs);
		this.#take(count);
		return answers;
	}

	#take(count: number): readonly Job[] {
		const jobs = this.#queue.splice(0, count);
		for (const { bytes } of jobs) {
			this.#waitingBytes -= bytes;
		}
		return jobs;
	}

	#settle(answers: readonly Answer[]): void {
		this.#options.settle(true);
		for (const { job, result, refusal } of answers) {
			if (refusal === undefined) {
				job.resolve(result);
			} else {
				job.reject(refusal);
			}
		}
		if (this.#options.wal.isLong) {
			this.#checkpoint();
		} else {
			this.#goOn();
		}
	}

	#checkpoint(): void {
		// Reads wait too: one that finds a log at its end writes that down.
		this.#hold();
		this.#options.wal.checkpoint((error) => {
			this.#release();
			if (error !== null) {
				this.#distrust(error, []);
			} else {
				this.#goOn();
			}
		});
	}

	#hold(): void {
		this.#isHeld = true;
		this.#window = new Promise((resolve) => {
			this.#endWindow = resolve;
		});
	}

	#release(): void {
		this.#isHeld = false;
		this.#window = undefined;
		this.#endWindow?.();
		this.#endWindow = undefined;
	}

	/**
	 * After the disk refused once, it may call pages clean that it lost: nothing is promised until the file is
	 * opened anew.
	 */
	#distrust(error: Error, answers: readonly Answer[]): void {
		this.#fail(
			new BrokerError(
				"unavailable",
				`${this.#options.path}: the disk did not keep what was written (${error.message})`,
				{
					cause: error,
				},
			),
		);
		this.#options.settle(false);
		for (const { job } of answers) {
			job.reject(this.#failure!);
		}
	}

	#judge(error: unknown): BrokerError {
		const reason = toBrokerError(this.#options.path, error);
		if (isDamage(error)) {
			this.#fail(reason);
		}
		return reason;
	}

	#fail(reason: BrokerError): void {
		this.#failure ??= reason;
		for (const job of this.#take(Infinity)) {
			job.reject(this.#failure);
		}
		this.#endIdle();
	}

	#goOn(): void {
		this.#schedule();
		this.#endIdle();
	}

	#endIdle(): void {
		if (this.#queue.length === 0 && !this.#isHeld) {
			for (const resolve of this.#idle.splice(0)) {
				resolve();
			}
		}
	}
}
