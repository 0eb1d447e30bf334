/**
 * JSON Merge Patch (RFC 7396): applying one, making one of two, and making one from a value to another. Pure; nothing
 * that is given is changed, and what a patch leaves alone is shared. Only own members exist, so `__proto__` is a name
 * like any other. Recursion goes as deep as the values and patches, whose
 * depth those who call bound.
 *
 * What RFC 7396 cannot say is that a member becomes null, or that an object becomes another one without its members
 * being named. Where it would take that, there is no patch (undefined), and the whole value has to be sent.
 */

/** What has members. */
export interface JsonObject {
	readonly [name: string]: unknown;
}

export function isObject(value: unknown): value is JsonObject {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Sets an own member, whatever its name: assigned, `__proto__` would set the prototype. */
export function setMember(object: Record<string, unknown>, name: string, value: unknown): void {
	if (name === "__proto__") {
		Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
	} else {
		object[name] = value;
	}
}

/** A member's value; undefined where there is none. */
export function memberOf(object: JsonObject, name: string): unknown {
	return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** The value after a patch (RFC 7396 §2). An absent value is undefined. */
export function applyPatch(value: unknown, patch: unknown): unknown {
	if (!isObject(patch)) {
		return patch;
	}
	// A spread defines members, it does not assign them.
	const result: Record<string, unknown> = isObject(value) ? { ...value } : {};
	for (const [name, change] of Object.entries(patch)) {
		if (change === null) {
			delete result[name];
		} else {
			setMember(result, name, applyPatch(memberOf(result, name), change));
		}
	}
	return result;
}

/**
 * The patch that does what the first and then the second do, to any value; undefined where none does. So it is where
 * the first replaces or removes what the second patches within.
 */
export function composePatches(first: unknown, second: unknown): unknown {
	if (!isObject(second)) {
		return second;
	}
	if (!isObject(first)) {
		return undefined;
	}
	const both: Record<string, unknown> = { ...first };
	for (const [name, change] of Object.entries(second)) {
		if (isObject(change) && Object.hasOwn(first, name)) {
			const composed = composePatches(first[name], change);
			if (composed === undefined) {
				return undefined;
			}
			setMember(both, name, composed);
		} else {
			setMember(both, name, change);
		}
	}
	return both;
}

/** The patch that makes one value of another; undefined where none does. */
export function patchBetween(from: unknown, to: unknown): unknown {
	if (!isObject(to)) {
		return to;
	}
	const before = isObject(from) ? from : {};
	const patch: Record<string, unknown> = {};
	for (const name of Object.keys(before)) {
		if (!Object.hasOwn(to, name)) {
			setMember(patch, name, null);
		}
	}
	for (const [name, value] of Object.entries(to)) {
		const old = memberOf(before, name);
		if (old !== undefined && isSame(old, value)) {
			continue;
		}
		const change = value === null ? undefined : patchBetween(old, value);
		if (change === undefined) {
			return undefined;
		}
		setMember(patch, name, change);
	}
	return patch;
}

/** Whether two JSON values are the same, but for the order of members. Shared parts are not looked at. */
function isSame(a: unknown, b: unknown): boolean {
	if (a === b) {
		return true;
	}
	if (Array.isArray(a) || Array.isArray(b)) {
		return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, at) => isSame(item, b[at]));
	}
	if (!isObject(a) || !isObject(b)) {
		return false;
	}
	const names = Object.keys(a);
	return (
		names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name]))
	);
}
