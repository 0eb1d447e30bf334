/** What a target throws: a promise of the engine that an input has broken. */
export class Finding extends Error {}

export function promise(kept: boolean, what: string): asserts kept {
	if (!kept) {
		throw new Finding(what);
	}
}
