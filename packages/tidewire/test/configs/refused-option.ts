import { defineConfig } from "tidewire";

export default defineConfig({ heartbeat: { intervalMs: -1 } });
