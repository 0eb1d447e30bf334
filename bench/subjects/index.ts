/** Every subject, in the order of the report. */
import type { Subject } from "../subject.ts";
import { channels16 } from "./channels16.ts";
import { compression } from "./compression.ts";
import { crowd } from "./crowd.ts";
import { fanout } from "./fanout.ts";
import { heartbeat } from "./heartbeat.ts";
import { latency } from "./latency.ts";
import { manyChannels } from "./many-channels.ts";
import { memory } from "./memory.ts";
import { recovery } from "./recovery.ts";
import { scale } from "./scale.ts";
import { stalled } from "./stalled.ts";

export const SUBJECTS: readonly Subject[] = [
	fanout,
	channels16,
	crowd,
	latency,
	compression,
	memory,
	manyChannels,
	scale,
	stalled,
	recovery,
	heartbeat,
];
