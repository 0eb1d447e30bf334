/**
 * A run's presence channel: a few clients beside the publishers and subscribers that enter it and watch each other. Where
 * the server knows no presence, or does not allow it there, all of them go, and the run goes on without.
 */
import type { Recorder } from "../record/event.ts";
import { Attendee, type AttendeeOptions } from "./attendee.ts";

export interface AttendanceOptions {
	readonly channel: string;
	/** For how long the server keeps a member whose connection is lost, and how late all may know of a change. */
	readonly graceMs: number;
	readonly lateMs: number;
	readonly now: () => number;
	readonly record: Recorder;
	/** Presence is not driven any more, and why. */
	readonly off: (words: string) => void;
}

const POLL_MS = 20;

export class Attendance {
	readonly #options: AttendanceOptions;
	#attendees: readonly Attendee[];

	constructor(
		options: AttendanceOptions,
		names: readonly string[],
		about: Pick<AttendeeOptions, "dial" | "random" | "whims">,
	) {
		this.#options = options;
		const { channel, now, record } = options;
		const off = (code: string, words: string): void => this.#end(code, words);
		this.#attendees = names.map((name) => new Attendee({ ...about, name, channel, now, record, off }));
	}

	/** None where it is off. */
	get attendees(): readonly Attendee[] {
		return this.#attendees;
	}

	/** The faults are over: everybody is to be in, and all are to know it, as soon as what is gone may be forgotten. */
	async settle(): Promise<void> {
		for (const attendee of this.#attendees) {
			attendee.quiet();
		}
		const { graceMs, lateMs } = this.#options;
		const until = performance.now() + graceMs + 2 * lateMs;
		await this.#until(until, ({ ready }) => ready);
		for (const attendee of this.#attendees) {
			attendee.ask();
		}
		await this.#until(until, (attendee) => attendee.ready && this.#knowsAll(attendee));
	}

	stop(): void {
		for (const attendee of this.#attendees) {
			attendee.stop();
		}
	}

	#knowsAll({ members }: Attendee): boolean {
		return members?.size === this.#attendees.length && this.#attendees.every(({ session }) => members.has(session));
	}

	async #until(deadlineMs: number, met: (attendee: Attendee) => boolean): Promise<void> {
		while (!this.#attendees.every(met) && performance.now() < deadlineMs) {
			await new Promise((resolve) => setTimeout(resolve, POLL_MS));
		}
	}

	#end(code: string, words: string): void {
		const { channel, now, record, off } = this.#options;
		const gone = this.#attendees;
		this.#attendees = [];
		for (const attendee of gone) {
			record({ t: now(), event: "not-entered", client: attendee.name, channel, code });
			attendee.stop();
		}
		if (gone.length > 0) {
			off(`presence is not driven: the server refuses it on ${channel}: ${words} (${code})`);
		}
	}
}
