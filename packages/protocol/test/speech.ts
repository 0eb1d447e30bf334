/** The vocabulary of these tests: bytes, what a codec laid out as one payload, and what a refusal looks like. */
import { expect } from "vitest";
import type { ErrorCode, Outbound } from "../src/index.ts";
import { ProtocolError } from "../src/index.ts";

export function bytesOf(text: string): Uint8Array {
	return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
	return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

export function payloadOf(outbound: Outbound): Uint8Array {
	return new Uint8Array([...bytesOf(outbound.head), ...outbound.data, ...bytesOf(outbound.tail)]);
}

/** Runs what must be refused with a `ProtocolError`, and returns that. */
function refusalOf(run: () => unknown): ProtocolError {
	try {
		run();
	} catch (error) {
		expect(error).toBeInstanceOf(ProtocolError);
		return error as ProtocolError;
	}
	throw new Error("it was accepted");
}

export function expectRefused(run: () => unknown, code: ErrorCode, text?: RegExp | string, id?: string | number): void {
	const refusal = refusalOf(run);
	expect(refusal).toMatchObject({ code, id });
	if (text !== undefined) {
		expect(refusal.message).toMatch(text);
	}
}

/** Whatever happens, nothing but a `ProtocolError` comes out. */
export function expectOnlyProtocolErrors(run: () => unknown): void {
	try {
		run();
	} catch (error) {
		expect(error).toBeInstanceOf(ProtocolError);
	}
}
