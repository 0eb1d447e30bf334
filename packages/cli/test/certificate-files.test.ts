import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CertificateFiles, type CertificateTexts } from "../src/certificate-files.ts";
import { CliError } from "../src/error.ts";

let folder = "";
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "tidewire-certificate-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Somebody who takes pairs whose texts end alike: "cert 2" with "key 2". */
function newUser() {
	const used: CertificateTexts[] = [];
	const complaints: string[] = [];
	return {
		used,
		complaints,
		use: (texts: CertificateTexts) => {
			if (texts.cert.at(-1) !== texts.key.at(-1)) {
				throw new Error("they do not fit");
			}
			used.push(texts);
		},
		complain: (words: string) => void complaints.push(words),
	};
}

async function put(name: "cert.pem" | "key.pem", text: string): Promise<void> {
	await writeFile(join(folder, "next"), text);
	await rename(join(folder, "next"), join(folder, name));
}

async function opened(): Promise<CertificateFiles> {
	await put("cert.pem", "cert 1");
	await put("key.pem", "key 1");
	const files = new CertificateFiles(join(folder, "cert.pem"), join(folder, "key.pem"));
	expect(await files.read()).toEqual({ cert: "cert 1", key: "key 1" });
	return files;
}

describe("a certificate in files", () => {
	it("is used again when its contents have changed, and only then", async () => {
		const files = await opened();
		const user = newUser();
		await files.look(user, "patient");
		await put("cert.pem", "cert 1");
		await files.look(user, "patient");
		expect(user.used).toEqual([]);
		await put("cert.pem", "cert 2");
		await put("key.pem", "key 2");
		await files.look(user, "patient");
		await files.look(user, "patient");
		expect(user.used).toEqual([{ cert: "cert 2", key: "key 2" }]);
	});

	it("is waited for where a look falls between the two files' renewals", async () => {
		const files = await opened();
		const user = newUser();
		await put("cert.pem", "cert 2");
		await files.look(user, "patient");
		await put("key.pem", "key 2");
		await files.look(user, "patient");
		expect(user).toMatchObject({ used: [{ cert: "cert 2", key: "key 2" }], complaints: [] });
	});

	it("stays as it was where the new one cannot be used, which is said once", async () => {
		const files = await opened();
		const user = newUser();
		await put("cert.pem", "cert 2");
		for (let look = 0; look < 5; look++) {
			await files.look(user, "patient");
		}
		expect(user).toMatchObject({ used: [], complaints: ["the certificate stays as it was: they do not fit"] });
		await put("key.pem", "key 2");
		await files.look(user, "patient");
		expect(user.used).toEqual([{ cert: "cert 2", key: "key 2" }]);
	});

	it("stays as it was where a file is gone, which is said once", async () => {
		const files = await opened();
		const user = newUser();
		await rm(join(folder, "key.pem"));
		for (let look = 0; look < 5; look++) {
			await files.look(user, "patient");
		}
		expect(user).toMatchObject({ used: [], complaints: [expect.stringMatching(/stays as it was: ENOENT/)] });
	});

	it("is used and complained of at once where somebody asks", async () => {
		const files = await opened();
		const user = newUser();
		await files.look(user, "asked");
		expect(user.used).toEqual([{ cert: "cert 1", key: "key 1" }]);
		await put("cert.pem", "cert 2");
		await Promise.all([files.look(user, "asked"), files.look(user, "asked")]);
		expect(user.complaints).toHaveLength(2);
	});

	it("may be reached by symbolic links that are changed, of files or of folders", async () => {
		for (const [version, live] of Object.entries({ 1: "first", 2: "second" })) {
			await mkdir(join(folder, live));
			await writeFile(join(folder, live, "cert.pem"), `cert ${version}`);
			await writeFile(join(folder, live, "key.pem"), `key ${version}`);
		}
		await symlink("first", join(folder, "live"));
		const files = new CertificateFiles(join(folder, "live/cert.pem"), join(folder, "live/key.pem"));
		await files.read();
		await symlink("second", join(folder, "next"));
		await rename(join(folder, "next"), join(folder, "live"));
		const user = newUser();
		await files.look(user, "patient");
		expect(user.used).toEqual([{ cert: "cert 2", key: "key 2" }]);
	});

	it("must be there at the start", async () => {
		const files = new CertificateFiles(join(folder, "cert.pem"), join(folder, "key.pem"));
		await expect(files.read()).rejects.toThrow(CliError);
		await expect(files.read()).rejects.toThrow(/the certificate cannot be read: ENOENT.*\.pem/);
	});
});
