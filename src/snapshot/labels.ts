/** Body classes that NHTSA has renamed since the data was published, old name to new. */
const RENAMED_BODY_CLASSES: ReadonlyMap<string, string> = new Map([
  ["Sport Utility Vehicle (SUV)/Multi-Purpose Vehicle (MPV)", "Sport Utility Vehicle [SUV]/Multipurpose Vehicle [MPV]"],
  ["Crossover Utility Vehicle (CUV)", "Crossover Utility Vehicle [CUV]"],
  ["Sport Utility Truck (SUT)", "Sport Utility Truck [SUT]"],
  [
    "Low Speed Vehicle (LSV) / Neighborhood Electric Vehicle (NEV)",
    "Low Speed Vehicle [LSV]/Neighborhood Electric Vehicle [NEV]",
  ],
]);

/** The name that vPIC gives a body class today. */
export function currentBodyClass(name: string): string {
  return RENAMED_BODY_CLASSES.get(name) ?? name;
}
