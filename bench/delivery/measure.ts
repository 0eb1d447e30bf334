/** One measurement: a fresh server, a fresh load process, each on its core; both end with it. */
import { join } from "node:path";
import { LOAD_CORE, Measured, SERVER_CORE } from "../process.ts";
import type { FanoutFigures, LatencyFigures, Task } from "./task.ts";

export type Server = "tidewire" | "ws";
/** In this order in every round; ratios are to `ws`. */
export const SERVERS: readonly Server[] = ["tidewire", "ws"];

type WithoutTarget<T> = T extends unknown ? Omit<T, "port" | "pid"> : never;

function program(name: string): readonly string[] {
	return [process.execPath, "--conditions=tidewire-source", join(import.meta.dirname, `servers/${name}.ts`)];
}

export function measure(
	server: Server,
	task: WithoutTarget<Extract<Task, { kind: "latency" }>>,
): Promise<LatencyFigures>;
export function measure(server: Server, task: WithoutTarget<Extract<Task, { kind: "fanout" }>>): Promise<FanoutFigures>;
export async function measure(server: Server, task: WithoutTarget<Task>): Promise<LatencyFigures | FanoutFigures> {
	const measured = new Measured(SERVER_CORE, program(server));
	try {
		const port = Number((await measured.line()).split(" ")[1]);
		const whole: Task = { ...task, port, pid: measured.pid };
		const load = new Measured(LOAD_CORE, [...program("load"), JSON.stringify(whole)]);
		try {
			return JSON.parse(await load.line()) as LatencyFigures | FanoutFigures;
		} finally {
			load.kill();
		}
	} finally {
		measured.kill();
	}
}
