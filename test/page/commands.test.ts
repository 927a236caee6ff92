import { expect, test } from "vitest";
import { commandsFor } from "../../src/page/commands.ts";

const QUERY = { vin: "1XPWD40X1ED215307", modelYear: undefined, needsToken: false };

test("commands ask the page's own port", () => {
  expect(commandsFor({ ...QUERY, modelYear: 2014, origin: "http://127.0.0.1:8080" })).toEqual({
    curl:
      "curl -H 'content-type: application/json' " +
      `-d '{"vin":"1XPWD40X1ED215307","modelYear":2014,"view":"VIEW_FULL"}' ` +
      "http://127.0.0.1:8080/vehicle.v1.VehicleService/Lookup",
    grpcurl:
      `grpcurl -plaintext -d '{"vin":"1XPWD40X1ED215307","modelYear":2014,"view":"VIEW_FULL"}' ` +
      "127.0.0.1:8080 vehicle.v1.VehicleService/Lookup",
    bufCurl:
      "buf curl --protocol grpc --http2-prior-knowledge " +
      `-d '{"vin":"1XPWD40X1ED215307","modelYear":2014,"view":"VIEW_FULL"}' ` +
      "http://127.0.0.1:8080/vehicle.v1.VehicleService/Lookup",
  });
});

test("with TLS, nothing is in clear text, and the port is named", () => {
  const { grpcurl, bufCurl } = commandsFor({ ...QUERY, origin: "https://vehicles.example.com" });

  expect(grpcurl).toMatch(/^grpcurl -d .* vehicles\.example\.com:443 /);
  expect(bufCurl).toMatch(/^buf curl --protocol grpc -d .* https:\/\/vehicles\.example\.com\//);
});

test("a token is read from a variable and never written down", () => {
  const commands = commandsFor({ ...QUERY, needsToken: true, origin: "http://127.0.0.1:8080" });

  expect(Object.values(commands).every((command) => command.includes('-H "authorization: Bearer $TOKEN"'))).toBe(true);
});

test("a VIN cannot run anything in a shell", () => {
  const { curl } = commandsFor({ ...QUERY, vin: "'; rm -rf /; '", origin: "http://127.0.0.1:8080" });

  expect(curl).toContain(String.raw`'{"vin":"'\''; rm -rf /; '\''"`);
});
