import { expect, test } from "vitest";
import { UsageError } from "../../src/cli/command.ts";
import { removeCommand } from "../../src/cli/remove.ts";

const VIN = "1XPWD40X1ED215307";

test.each([
  [[], "expected either VINs or --from FILE"],
  [[VIN, "--from", "vins.csv"], "expected either VINs or --from FILE"],
  [["--from", "-"], "--from: expected a file, not standard input"],
  [[VIN, "--column", "vin"], "--column needs --from"],
  [[VIN, "--token", "secret"], "--token needs --address"],
])("the arguments %j are refused: %s", async (args, fault) => {
  await expect(removeCommand.run(args)).rejects.toThrow(new UsageError(fault));
});
