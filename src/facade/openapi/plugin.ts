/** A plugin of `buf generate` that writes gen/openapi.json. */
import { createEcmaScriptPlugin, runNodeJs } from "@bufbuild/protoplugin";
import { toDocument } from "./document.ts";

const SERVICE = "vehicle.v1.VehicleService";

runNodeJs(
  createEcmaScriptPlugin({
    name: "openapi",
    version: "v1",
    generateTs(schema) {
      const service = schema.files.flatMap(({ services }) => services).find(({ typeName }) => typeName === SERVICE);
      if (service === undefined) {
        throw new Error(`${SERVICE} is not among the files; the plugin needs strategy: all`);
      }
      schema.generateFile("openapi.json").print(JSON.stringify(toDocument(service), undefined, 2));
    },
  }),
);
