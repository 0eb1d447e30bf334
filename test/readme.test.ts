/** The README's code compiles as it stands, and stops compiling where it says that it would. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

/** What the README's code takes from the application that it is part of. */
const APPLICATION = `
import type { RequestListener } from "node:http";
export declare const app: RequestListener;
export declare function verify(token: string | undefined): { readonly id: string; readonly orders: readonly string[] } | null;
export declare const radio: { send(user: string | undefined, message: string): Promise<void> };
export declare function fetchToken(): Promise<string>;
export declare const map: { move(lat: number, lng: number): void };
`;

let folder: string;
let files: ReadonlyMap<string, string>;

beforeAll(async () => {
	// Below the root, so that packages are found.
	folder = await mkdtemp(join(root, "test", ".readme-"));
	const readme = await readFile(join(root, "README.md"), "utf8");
	files = new Map([...readme.matchAll(/^```ts (\S+)\n(.*?)^```$/gms)].map(([, name, code]) => [name!, code!]));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** What the compiler says of the README's files, with one of them changed. */
async function compile(changes: Readonly<Record<string, (code: string) => string>> = {}): Promise<string> {
	const written = new Map([["application.ts", APPLICATION], ...files]);
	for (const [name, change] of Object.entries(changes)) {
		const code = written.get(name) ?? "";
		expect(change(code)).not.toBe(code);
		written.set(name, change(code));
	}
	await Promise.all([...written].map(([name, code]) => writeFile(join(folder, name), code)));
	const config = { extends: join(root, "tsconfig.test.json"), include: ["*.ts"], compilerOptions: { noEmit: true } };
	await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
	return new Promise((resolve) => {
		const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
		execFile(process.execPath, [tsc, "-p", folder], (_error, stdout) => resolve(stdout));
	});
}

describe("the README's code", () => {
	it("is a contract, a server and a page", () => {
		expect([...files.keys()]).toEqual(["delivery.ts", "server.ts", "page.ts"]);
	});

	it("compiles", async () => {
		expect(await compile()).toBe("");
	});

	it.each([
		["a wrong field", "server.ts", "lat: 40.7128", "latitude: 40.7128"],
		["an unknown action", "page.ts", '"contact_driver"', '"call_driver"'],
		["a channel that matches no pattern", "page.ts", "order_123", "orders_123"],
	])("does not compile with %s", async (_what, file, from, to) => {
		expect(await compile({ [file]: (code) => code.replace(from, to) })).toContain(`${file}(`);
	});
});
