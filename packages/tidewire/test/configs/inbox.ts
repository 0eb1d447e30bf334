import { defineConfig } from "tidewire";

/** Whoever shows a token is the user of that name, and may write to their own inbox. */
export default defineConfig({
	authenticate: ({ token }) => (token === undefined ? null : { id: token }),
	may: { publish: { "@user": true } },
});
