#!/usr/bin/env node
/**
 * The `tidewire` command. Published, it starts the compiled command line; in a checkout it starts the sources, so that
 * `npx tidewire` works after `npm ci` with no build. It must parse and link on any Node that knows modules, or the message
 * about a too old one would never be read: so no top-level await here, and nothing is imported before the check.
 */
const REQUIRED = [22, 18];

function isNewEnough() {
	const [major, minor] = process.versions.node.split(".").map(Number);
	return major > REQUIRED[0] || (major === REQUIRED[0] && minor >= REQUIRED[1]);
}

async function main() {
	if (!isNewEnough()) {
		console.error(`tidewire needs Node ${REQUIRED.join(".")} or newer; this is Node ${process.versions.node}.`);
		process.exitCode = 1;
		return;
	}
	await preferSources();
	const { run } = await import("@tidewire/cli");
	process.exitCode = await run(process.argv.slice(2));
}

/** Node strips no types below `node_modules`, so an installed copy's sources are there to be read, not to be run. */
async function preferSources() {
	const { existsSync } = await import("node:fs");
	const { registerHooks } = await import("node:module");
	const sources = new URL("../src/index.ts", import.meta.url);
	if (import.meta.url.includes("/node_modules/") || !existsSync(sources)) {
		return;
	}
	registerHooks({
		resolve: (specifier, context, nextResolve) =>
			nextResolve(specifier, { ...context, conditions: ["tidewire-source", ...context.conditions] }),
	});
}

main().catch((error) => {
	console.error(error);
	process.exitCode = 1;
});
