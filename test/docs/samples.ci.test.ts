import { describeSamples } from "./describe-samples.ts";

describeSamples(["npm", "npx", "printf", "export", "curl"]);
