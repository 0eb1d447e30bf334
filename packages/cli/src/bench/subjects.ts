/** What can be measured: each subject's defaults, its method in words, and its plans. */
import { CliError } from "../error.ts";
import { measureConnections } from "./connections.ts";
import { measureDeliveries } from "./delivered.ts";
import { channelsOfStreams } from "./payload.ts";
import type { Measurement } from "./result.ts";
import { recordedSchedule, steadySchedule } from "./schedule.ts";
import type { Settings, Subject } from "./settings.ts";

/** Undefined where it was stopped before anything was measured. */
export function measure(subject: Subject, settings: Settings): Promise<Measurement | undefined> {
	switch (subject) {
		case "latency":
			return measureLatency(settings);
		case "fanout":
			return measureFanout(settings);
		case "recorded":
			return measureRecorded(settings);
		case "connections":
			return measureConnections(settings);
	}
}

const CONTINUITY = "Each subscriber must get each offset once and in order.";
const OPEN_LOOP =
	"Each message is due at a time fixed before, whatever became of those before it; latency counts from then until a " +
	`subscriber has read it. Percentiles are over all deliveries. ${CONTINUITY}`;

function measureLatency(settings: Settings): Promise<Measurement | undefined> {
	const { clients = 100, channels = 1, rate = 100, seconds, warmUp, payloadName } = settings;
	const schedule = steadySchedule(channels, rate, warmUp + seconds);
	return measureDeliveries(
		settings,
		{
			subject: "latency",
			method: `Each channel gets ${rate} messages a second. ${OPEN_LOOP}`,
			options: {
				clients,
				channels,
				rate,
				payload: payloadName,
				seconds,
				warmUp,
				workers: settings.workers,
				stalled: settings.stalled,
			},
		},
		[
			{
				name: `${rate} messages/s in ${channels === 1 ? "1 channel" : `each of ${channels} channels`}`,
				clients,
				channels,
				every: false,
				pace: { kind: "schedule", schedule },
			},
		],
	);
}

function measureFanout(settings: Settings): Promise<Measurement | undefined> {
	const { clients = 1_000, channels = 1, burst, seconds, warmUp, payloadName } = settings;
	const bursts = burst === undefined ? [1, 20] : [burst];
	return measureDeliveries(
		settings,
		{
			subject: "fanout",
			method:
				"A burst is published in one write; the next follows when every subscriber has all of it. CPU is the server's, " +
				`per delivery. Latency counts from that write. ${CONTINUITY}`,
			options: {
				clients,
				channels,
				bursts: bursts.join(),
				payload: payloadName,
				seconds,
				warmUp,
				workers: settings.workers,
			},
		},
		bursts.map((messages) => ({
			name: messages === 1 ? "1 message at a time" : `${messages} messages at a time`,
			clients,
			channels,
			every: false,
			pace: { kind: "rounds", messages },
		})),
	);
}

async function measureRecorded(settings: Settings): Promise<Measurement | undefined> {
	const { clients = 100, channels = 16, speed = 1, seconds, warmUp, payloads, payloadName } = settings;
	const numbers = channelsOfStreams(payloads, channels);
	const messages = payloads.map(({ at }, index) => ({ at, channel: numbers[index]! }));
	if (!messages.every((message): message is { at: number; channel: number } => message.at !== undefined)) {
		throw new CliError(
			"usage",
			'the subject "recorded" needs --payload with a recording: {"at": seconds, "stream": "…", "data": …} a line',
		);
	}
	const schedule = recordedSchedule(messages, speed, warmUp + seconds);
	return measureDeliveries(
		settings,
		{
			subject: "recorded",
			method:
				`A recording's streams, dealt out to ${channels} channels, at ${speed} times its own pace, from the beginning ` +
				`again where it ends; each client subscribes to all channels. ${OPEN_LOOP}`,
			options: {
				clients,
				channels,
				speed,
				payload: payloadName,
				seconds,
				warmUp,
				workers: settings.workers,
				stalled: settings.stalled,
			},
		},
		[
			{
				name: `${channels} channels, pace × ${speed}`,
				clients,
				channels,
				every: true,
				pace: { kind: "schedule", schedule },
			},
		],
	);
}
