import { contract } from "tidewire";

// Without defineConfig, whose types would not have it.
export default { contrac: contract({}) };
