/** How much memory an object holds, in bytes of buffers: every distinct `ArrayBuffer` that can be reached from it. */
export function retainedBytes(root: object, except: readonly object[] = []): number {
	const seen = new Set<object>(except);
	const waiting: object[] = [root];
	let bytes = 0;
	for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
		if (seen.has(next)) {
			continue;
		}
		seen.add(next);
		if (next instanceof ArrayBuffer) {
			bytes += next.byteLength;
		} else if (ArrayBuffer.isView(next)) {
			waiting.push(next.buffer);
		} else {
			const values = next instanceof Map ? next.values() : next instanceof Set ? next : Object.values(next);
			for (const value of values) {
				if (typeof value === "object" && value !== null) {
					waiting.push(value);
				}
			}
		}
	}
	return bytes;
}
