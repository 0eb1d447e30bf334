/** The code in README and docs compiles as it stands, and stops compiling where the README says that it would. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
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

/** The code of a page, by file name: blocks that begin with ```ts name.ts */
async function codeOf(page: string): Promise<ReadonlyMap<string, string>> {
	const text = await readFile(join(root, page), "utf8");
	return new Map([...text.matchAll(/^```ts (\S+)\n(.*?)^```$/gms)].map(([, name, code]) => [name!, code!]));
}

beforeAll(async () => {
	// Below the root, so that packages are found.
	folder = await mkdtemp(join(root, "test", ".readme-"));
	files = await codeOf("README.md");
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** What the compiler says of a page's files, with one of them changed. */
async function compile(
	from: ReadonlyMap<string, string>,
	changes: Readonly<Record<string, (code: string) => string>> = {},
): Promise<string> {
	await rm(folder, { recursive: true });
	await mkdir(folder);
	const written = new Map([["application.ts", APPLICATION], ...from]);
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
		expect([...files.keys()]).toEqual(["delivery.ts", "server.ts", "page.ts", "more.ts"]);
	});

	it("compiles", async () => {
		expect(await compile(files)).toBe("");
	});

	it.each([
		["a wrong field", "server.ts", "lat: 40.7128", "latitude: 40.7128"],
		["an unknown action", "page.ts", '"contact_driver"', '"call_driver"'],
		["a channel that matches no pattern", "page.ts", "order_123", "orders_123"],
	])("does not compile with %s", async (_what, file, before, after) => {
		expect(await compile(files, { [file]: (code) => code.replace(before, after) })).toContain(`${file}(`);
	});
});

describe("the code of docs/websocket.md", () => {
	it("compiles", async () => {
		const page = await codeOf("docs/websocket.md");
		expect([...page.keys()]).toEqual(["echo.ts", "client.ts", "streams.ts", "core.ts"]);
		expect(await compile(page)).toBe("");
	});
});

describe("the code of docs/inbox.md", () => {
	it("compiles", async () => {
		const page = await codeOf("docs/inbox.md");
		expect([...page.keys()]).toEqual(["server.ts", "sdk.ts", "page.ts"]);
		expect(await compile(page)).toBe("");
	});
});

describe("the code of docs/channels.md", () => {
	it("compiles", async () => {
		const page = await codeOf("docs/channels.md");
		expect([...page.keys()]).toEqual(["contract.ts", "state.ts", "page.ts", "camera.ts", "addressing.ts", "report.ts"]);
		expect(await compile(page)).toBe("");
	});

	it("does not compile with JSON in a channel of bytes", async () => {
		const page = await codeOf("docs/channels.md");
		const wrong = (code: string): string => code.replace("new Uint8Array([0xff, 0xd8])", '"/9g="');
		expect(await compile(page, { "camera.ts": wrong })).toContain("camera.ts(");
	});
});
