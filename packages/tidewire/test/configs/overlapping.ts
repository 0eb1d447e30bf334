import { channel, contract, defineConfig } from "tidewire";

export default defineConfig({ contract: contract({ channels: { "a_{x}": channel(), "{y}_b": channel() } }) });
