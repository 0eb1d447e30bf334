/**
 * A certificate and its key in two files, as `certbot` and the like renew them: read again when asked to, and when their
 * contents change. Contents are compared, not times or names, since renewals replace files, symbolic links or folders
 * of links. The two are not replaced at the same instant, so a pair that does not fit is looked at once more before
 * anybody is bothered. What cannot be used changes nothing.
 */
import { readFile } from "node:fs/promises";
import { CliError, wordsOf } from "./error.ts";

export interface CertificateTexts {
	readonly cert: string;
	readonly key: string;
}

/** How often the files are looked at. A renewal has weeks to spare. */
const LOOK_EVERY_MS = 10_000;

export interface CertificateUser {
	/** Throws for a pair that cannot be used. */
	use(texts: CertificateTexts): void;
	/** Is told why the certificate stays as it was. */
	complain(words: string): void;
}

export class CertificateFiles {
	readonly #certFile: string;
	readonly #keyFile: string;
	/** The contents in use, or those that have been complained of. */
	#known = "";
	/** Contents that could not be used when they were looked at last. */
	#suspect = "";
	#work: Promise<void> = Promise.resolve();
	#timer: NodeJS.Timeout | undefined;

	constructor(certFile: string, keyFile: string) {
		this.#certFile = certFile;
		this.#keyFile = keyFile;
	}

	/** Throws `CliError` where a file cannot be read. */
	async read(): Promise<CertificateTexts> {
		try {
			const texts = await this.#read();
			this.#known = contentsOf(texts);
			return texts;
		} catch (cause) {
			throw new CliError("failure", `the certificate cannot be read: ${wordsOf(cause)}`, { cause });
		}
	}

	/** Looks at the files from now on. */
	watch(user: CertificateUser): void {
		this.#timer = setInterval(() => void this.look(user, "patient"), LOOK_EVERY_MS).unref();
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	/** `patient`: a first failure may be a renewal half done. `asked`: somebody wants to know now. Never rejects. */
	look(user: CertificateUser, mood: "patient" | "asked"): Promise<void> {
		this.#work = this.#work.then(() => this.#look(user, mood));
		return this.#work;
	}

	async #look(user: CertificateUser, mood: "patient" | "asked"): Promise<void> {
		let contents = "";
		try {
			const texts = await this.#read();
			contents = contentsOf(texts);
			if (contents === this.#known && mood === "patient") {
				return;
			}
			user.use(texts);
			this.#known = contents;
			this.#suspect = "";
		} catch (cause) {
			// A file that is not there has no contents to tell it by; its error's words do.
			const failed = contents === "" ? wordsOf(cause) : contents;
			if (mood === "patient" && (failed === this.#known || failed !== this.#suspect)) {
				this.#suspect = failed;
				return;
			}
			this.#known = failed;
			user.complain(`the certificate stays as it was: ${wordsOf(cause)}`);
		}
	}

	async #read(): Promise<CertificateTexts> {
		const [cert, key] = await Promise.all([readFile(this.#certFile, "utf8"), readFile(this.#keyFile, "utf8")]);
		return { cert, key };
	}
}

function contentsOf({ cert, key }: CertificateTexts): string {
	return `${cert}\0${key}`;
}
