import { defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { conditions: ["tidewire-source"] },
	ssr: { resolve: { conditions: ["tidewire-source"] } },
	test: {
		include: [
			"packages/*/test/**/*.test.ts",
			"examples/*/test/**/*.test.ts",
			"bench/**/*.test.ts",
			"test/**/*.test.ts",
		],
		execArgv: ["--conditions=tidewire-source"],
		testTimeout: 20_000,
	},
});
