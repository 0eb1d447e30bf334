/** Which action names an application may use. The built-in ones are wire protocol version 1's (PROTOCOL.md). */
import { ContractError } from "./contract-error.ts";

export const BUILT_IN_ACTIONS = [
	"auth",
	"resume",
	"subscribe",
	"unsubscribe",
	"publish",
	"history",
	"presence",
	"received",
	"cancel",
	"ping",
] as const;

export type BuiltInAction = (typeof BUILT_IN_ACTIONS)[number];

/** Throws `ContractError` unless an application may declare an action of this name. */
export function refuseActionName(name: string): void {
	if (name === "") {
		throw new ContractError("reserved_name", "an action's name is empty");
	}
	if (name.startsWith("$")) {
		throw new ContractError("reserved_name", `action "${name}": names that begin with $ are reserved`);
	}
	if ((BUILT_IN_ACTIONS as readonly string[]).includes(name)) {
		throw new ContractError(
			"reserved_name",
			`action "${name}" is built into the protocol (${BUILT_IN_ACTIONS.join(", ")}): choose another name`,
		);
	}
}
