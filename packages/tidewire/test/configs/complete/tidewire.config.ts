import { channel, contract, defineConfig } from "tidewire";

export default defineConfig({
	contract: contract({ channels: { "order_{orderId}": channel(), "secret_{name}": channel() } }),
	authenticate: ({ token }) => (token === "anns" ? { id: "ann" } : null),
	may: {
		subscribe: { "order_{orderId}": ({ user, params }) => user?.id === "ann" && params.orderId === "123" },
		publish: { "order_{orderId}": ({ user }) => user !== null },
	},
});
