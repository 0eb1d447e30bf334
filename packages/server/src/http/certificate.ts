/**
 * The certificate of a TLS port, as PEM texts: where they come from, and when they change, is the caller's to know.
 */
import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { ServerError } from "../errors.ts";

export interface Certificate {
	/** PEM: the server's own certificate, then those that vouch for it. */
	readonly cert: string | Buffer;
	/** PEM */
	readonly key: string | Buffer;
	/** Of the key, where it is encrypted. */
	readonly passphrase?: string;
}

/** What a certificate says of itself, for the log. */
export interface CertificateFacts {
	/** "DNS:api.example.com, IP Address:127.0.0.1" */
	readonly names: string;
	readonly validTo: string;
	/** SHA-256 */
	readonly fingerprint: string;
	/** Whether it is valid today. */
	readonly current: boolean;
}

/** What TLS is made with. Older versions than 1.2 are broken (RFC 8996). */
export function tlsOptions({ cert, key, passphrase }: Certificate): SecureContextOptions {
	return { cert, key, minVersion: "TLSv1.2", ...(passphrase === undefined ? {} : { passphrase }) };
}

/** Reads a certificate. Throws `ServerError` (`bad_certificate`) where TLS could not be spoken with it. */
export function checkCertificate(certificate: Certificate, nowMs: number): CertificateFacts {
	try {
		createSecureContext(tlsOptions(certificate));
		const { subjectAltName, subject, validTo, validFromDate, validToDate, fingerprint256 } = new X509Certificate(
			certificate.cert,
		);
		return {
			names: subjectAltName ?? subject,
			validTo,
			fingerprint: fingerprint256,
			current: validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime(),
		};
	} catch (cause) {
		const words = cause instanceof Error ? cause.message : String(cause);
		throw new ServerError("bad_certificate", `the certificate and its key cannot be used: ${words}`, { cause });
	}
}
