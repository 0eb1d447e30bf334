/**
 * Who may see which order, as signatures: the key in a tracking link, the cookie that the link leaves behind, the
 * tokens of a page and of the driver. All are HMACs under one secret that `start.ts` draws at each run; none can be
 * turned into another, for the purpose is signed too. A shop would keep the secret and let the keys expire.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** What a signature is good for. */
export type Purpose = "link" | "cookie" | "customer" | "driver";

/** The signature of `subject` for one purpose, 43 characters. */
export function sign(secret: string, purpose: Purpose, subject: string): string {
	return createHmac("sha256", secret).update(`${purpose}:${subject}`).digest("base64url");
}

/** Whether `signature` is that of `subject` for this purpose, in a time that tells nothing about the right one. */
export function verify(secret: string, purpose: Purpose, subject: string, signature: string): boolean {
	const [given, right] = [Buffer.from(signature), Buffer.from(sign(secret, purpose, subject))];
	return given.length === right.length && timingSafeEqual(given, right);
}

/** What the SDK presents: `customer.<orderId>.<signature>` or `driver.<name>.<signature>`. */
export function issueToken(secret: string, role: "customer" | "driver", subject: string): string {
	return `${role}.${subject}.${sign(secret, role, subject)}`;
}

/** Who a token speaks for; undefined where it was not issued under this secret. */
export function readToken(
	secret: string,
	token: string,
): { readonly role: "customer" | "driver"; readonly subject: string } | undefined {
	const [role, subject, signature, ...rest] = token.split(".");
	if (
		(role !== "customer" && role !== "driver") ||
		subject === undefined ||
		signature === undefined ||
		rest.length > 0
	) {
		return undefined;
	}
	return verify(secret, role, subject, signature) ? { role, subject } : undefined;
}

/** The name of the cookie that opens an order. Its value is `sign(secret, "cookie", orderId)`. */
export function cookieName(orderId: string): string {
	return `order_${orderId}`;
}
