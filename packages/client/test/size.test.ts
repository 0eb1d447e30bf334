/** K2: the SDK's core, with the wire protocol that it needs, is at most 8 kB gzipped. */
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { expect, it } from "vitest";

const MAX_GZIPPED_BYTES = 8 * 1024;

async function bundled(): Promise<string> {
	const bundle = await rolldown({
		input: fileURLToPath(new URL("../src/index.ts", import.meta.url)),
		platform: "browser",
		resolve: { conditionNames: ["tidewire-source", "import"] },
	});
	const { output } = await bundle.generate({ format: "esm", minify: true, comments: false });
	await bundle.close();
	return output[0].code;
}

it("is at most 8 kB gzipped, in one file without imports (K2)", async () => {
	const code = await bundled();
	const bytes = gzipSync(code, { level: 9 }).length;
	console.log(`@tidewire/client: ${bytes} bytes gzipped, ${code.length} minified, at most ${MAX_GZIPPED_BYTES}`);
	expect(code).not.toMatch(/\bimport\b|\brequire\b|\bprocess\b|node:/);
	expect(bytes).toBeLessThanOrEqual(MAX_GZIPPED_BYTES);
});
