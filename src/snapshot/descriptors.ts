/** Vehicles whose year NHTSA sets by their descriptor (its table VinDescriptor, September 2026), by model year. */
const DESCRIPTORS_OF_YEAR: Readonly<Record<number, readonly string[]>> = {
  2009: ["KNDJH741*85", "KNDJH742*85", "KNDJJ741*85"],
  2012: ["KMHGC4DH*BU"],
  2019: ["W1W8EC6Y*KT", "W1W8ED3Y*KP", "W1W8ED3Y*KT", "W1W8ED6Y*KT"],
  2020: [
    "W1W8EB3Y*LP",
    "W1W8EB3Y*LT",
    "W1W8EB6Y*LP",
    "W1W8EB6Y*LT",
    "W1W8EC3Y*LP",
    "W1W8EC3Y*LT",
    "W1W8EC6Y*LP",
    "W1W8EC6Y*LT",
    "W1W8ED3Y*LP",
    "W1W8ED3Y*LT",
    "W1W8ED6Y*LP",
    "W1W8ED6Y*LT",
    "W1W9EB3Y*LT",
    "W1W9ED3Y*LT",
    "YV4A221K*L1",
    "YV4A221L*L1",
    "YV4BR00K*L1",
    "YV4BR00L*L1",
  ],
  2021: [
    "W1W8DB3Y*MT",
    "W1W8DD3Y*MT",
    "W1W8EB6Y*MT",
    "W1W8EC3Y*MP",
    "W1W8EC6Y*MT",
    "W1W8ED3Y*MP",
    "W1W8ED3Y*MT",
    "W1W8ED6Y*MT",
    "W1W9ED3Y*MT",
    "YV4A221K*M1",
    "YV4A221L*M1",
    "YV4BR00K*M1",
    "YV4BR00L*M1",
  ],
  2022: [
    "W1W8EB3Y*NT",
    "W1W8EB6Y*NT",
    "W1W8EC6Y*NP",
    "W1W8EC6Y*NT",
    "W1W8ED3Y*NT",
    "W1W8ED6Y*NT",
    "W1W9ED3Y*NT",
    "YV4A221K*N1",
    "YV4A221L*N1",
    "YV4BR00K*N1",
    "YV4BR00L*N1",
    "YV4BR00Z*N1",
    "YV4H600L*N1",
    "YV4H600Z*N1",
  ],
  2023: [
    "1P9CMG4A*PE843",
    "W1W8NC3Y*PT",
    "W1W8NC6Y*PT",
    "W1W8ND3Y*PT",
    "W1W8ND6Y*PT",
    "YV40621A*P1",
    "YV40621N*P1",
    "YV4H600A*P1",
    "YV4H600N*P1",
  ],
  2024: ["1XKYDL9X*RR", "3BPPHL7X*RF", "W1W8NB6Y*RT", "W1W8NC3Y*RT", "W1W8NC6Y*RT", "W1W8ND6Y*RT"],
  2026: ["W1W8NC6Y*TT"],
};

const YEAR_OF_DESCRIPTOR: ReadonlyMap<string, number> = new Map(
  Object.entries(DESCRIPTORS_OF_YEAR).flatMap(([year, descriptors]) =>
    descriptors.map((descriptor) => [descriptor, Number(year)] as const),
  ),
);

/** The year that NHTSA has set for vehicles of this descriptor, before all rules; undefined for nearly all. */
export function yearOfDescriptor(descriptor: string): number | undefined {
  return YEAR_OF_DESCRIPTOR.get(descriptor);
}
