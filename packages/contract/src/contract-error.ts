/**
 * What is wrong with a contract, or with names and parameters used under it. Always the caller's own mistake, so it is
 * thrown; nothing here ever comes from a peer.
 */

export type ContractErrorCode =
	/** A channel pattern that cannot be read, or that could be read in two ways. */
	| "bad_pattern"
	/** A channel or action name that the protocol keeps for itself. */
	| "reserved_name"
	/** Two channel patterns that one name could match. */
	| "overlapping_patterns"
	/** A limit, a policy, a duration or a schema that is not one. */
	| "bad_option"
	/** Parameters that do not make a name of the pattern. */
	| "bad_parameter";

export class ContractError extends Error {
	readonly code: ContractErrorCode;

	constructor(code: ContractErrorCode, message: string) {
		super(message);
		this.name = "ContractError";
		this.code = code;
	}
}
