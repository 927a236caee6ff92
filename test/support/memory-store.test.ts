import { MemoryDatabase, MemoryStore } from "./memory-store.ts";
import { describeVehicleStore } from "./vehicle-store-contract.ts";

describeVehicleStore("the tests' own store", async () => {
  const database = new MemoryDatabase();
  return {
    open: async () => new MemoryStore(database),
    setTime: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
});
