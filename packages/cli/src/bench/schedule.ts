/**
 * When each publish is due, and in which channel: fixed before the run begins, so that no answer of the server's, nor
 * its absence, moves a later one (no coordinated omission). Pure.
 */

export interface Schedule {
	/** How many publishes become due before this time. */
	readonly total: number;
	/** Microseconds after the start; never less than that of the publish before. */
	dueMicros(index: number): number;
	channel(index: number): number;
	/** Which of the payloads. */
	payload(index: number): number;
}

/** Each of the channels gets `rate` messages a second, the channels one after another at even distances. */
export function steadySchedule(channels: number, rate: number, seconds: number): Schedule {
	const stepMicros = 1e6 / (rate * channels);
	return {
		total: Math.ceil(seconds * rate) * channels,
		dueMicros: (index) => index * stepMicros,
		channel: (index) => index % channels,
		payload: (index) => index,
	};
}

/** What one line of a recording says. */
export interface RecordedMessage {
	/** Seconds. */
	readonly at: number;
	readonly channel: number;
}

/** A recording at `speed` times its own pace, from the beginning again where it ends before the time is over. */
export function recordedSchedule(messages: readonly RecordedMessage[], speed: number, seconds: number): Schedule {
	const first = messages[0]?.at ?? 0;
	// Recorders do not always write in the order of their clock.
	const offsets = Float64Array.from(messages, ({ at }) => Math.max(0, (at - first) * 1e6)).sort();
	const pauseMicros = messages.length > 1 ? offsets.at(-1)! / (messages.length - 1) : 1e6;
	const lapMicros = (offsets.at(-1) ?? 0) + pauseMicros;
	const dueMicros = (index: number): number =>
		(Math.floor(index / messages.length) * lapMicros + offsets[index % messages.length]!) / speed;
	let total = Math.floor((seconds * 1e6 * speed) / lapMicros) * messages.length;
	while (dueMicros(total) < seconds * 1e6) {
		total++;
	}
	return {
		total,
		dueMicros,
		channel: (index) => messages[index % messages.length]!.channel,
		payload: (index) => index % messages.length,
	};
}
