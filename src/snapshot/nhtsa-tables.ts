/**
 * Tables of NHTSA's database that the embedded copy lacks or has in an older form, and ids that the decoder needs. As
 * of August and September 2026.
 */

/** Variables, by their id in the table Element. */
export const ELEMENT = {
  bodyClass: 5,
  displacementCc: 11,
  displacementCi: 12,
  displacementL: 13,
  engineModel: 18,
  engineKw: 21,
  fuelTypePrimary: 24,
  gvwr: 25,
  make: 26,
  manufacturer: 27,
  model: 28,
  modelYear: 29,
  vehicleType: 39,
  engineHp: 71,
  engineHpTo: 125,
} as const;

/** Variables taken from the WMI or the year, never from patterns. */
export const ELEMENTS_NOT_FROM_PATTERNS: ReadonlySet<number> = new Set([
  ELEMENT.make,
  ELEMENT.manufacturer,
  ELEMENT.modelYear,
  ELEMENT.vehicleType,
]);

/** Notes and other free texts, of which all values are kept. Any other variable has one value. */
export const ELEMENTS_WITH_MANY_VALUES: ReadonlySet<number> = new Set([114, 121, 129, 150, 154, 155, 169, 186]);

/** Variables that a vehicle specification may state although they are already known: the notes and the battery. */
export const ELEMENTS_ALSO_FROM_SPECS: ReadonlySet<number> = new Set([1, ...ELEMENTS_WITH_MANY_VALUES]);

/** Vehicle types, by their id in the table VehicleType. */
export const VEHICLE_TYPE = {
  motorcycle: 1,
  passengerCar: 2,
  truck: 3,
  trailer: 6,
  mpv: 7,
  lowSpeedVehicle: 9,
  incompleteVehicle: 10,
} as const;

/** Body classes that affect the verdict, by their id in the table BodyStyle. */
export const BODY_CLASSES = {
  /** A glider kit is not a motor vehicle. */
  glider: new Set(["64"]),
  /** Made for use off the road; its number is not a VIN. */
  offRoad: new Set(["69", "84", "86", "88", "97", "105", "113", "124", "126", "127"]),
  /** Sold to be completed by others, so the finished vehicle may differ from its VIN. */
  incomplete: new Set([
    "62",
    "63",
    "64",
    "65",
    "67",
    "70",
    "71",
    "72",
    "74",
    "75",
    "76",
    "77",
    "78",
    "107",
    "112",
    "116",
  ]),
} as const;

/** vPIC's value for a variable that does not apply to this kind of vehicle. */
export const NOT_APPLICABLE = "Not Applicable";

/** A value that NHTSA assumes for a whole vehicle type. */
export interface Default {
  readonly elementId: number;
  readonly attributeId: string;
  /** Set if it is not the name of `attributeId` in the look-up table. */
  readonly value?: string;
}

/** Class 1A: 3,000 lb or less. */
const LIGHTEST_GVWR = "10";

/**
 * NHTSA's default values for a vehicle type (its table DefaultValue). Defaults of "Not Applicable" are left out, except
 * those whose weight counts when two passes are compared.
 */
export const DEFAULTS: Readonly<Record<number, readonly Default[]>> = {
  [VEHICLE_TYPE.motorcycle]: [{ elementId: ELEMENT.gvwr, attributeId: LIGHTEST_GVWR }],
  [VEHICLE_TYPE.trailer]: [{ elementId: ELEMENT.fuelTypePrimary, attributeId: "0", value: NOT_APPLICABLE }],
  [VEHICLE_TYPE.lowSpeedVehicle]: [{ elementId: ELEMENT.gvwr, attributeId: LIGHTEST_GVWR }],
};

/** Names that NHTSA has changed since the embedded copy was made, by look-up table: the old and the current name. */
export const RENAMED_LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  BodyStyle: {
    "Crossover Utility Vehicle (CUV)": "Crossover Utility Vehicle [CUV]",
    "Low Speed Vehicle (LSV) / Neighborhood Electric Vehicle (NEV)":
      "Low Speed Vehicle [LSV]/Neighborhood Electric Vehicle [NEV]",
    "Motorcycle - Dual Sport / Adventure / Supermoto / On/Off-road":
      "Motorcycle - Dual-Sport/Adventure/Supermoto/On-Off Road",
    "Motorcycle - Small / Minibike": "Motorcycle - Small/Minibike",
    "Motorcycle - Touring / Sport Touring": "Motorcycle - Touring/Sport Touring",
    "Off-road Vehicle - All Terrain Vehicle (ATV) (Motorcycle-style)":
      "Off-Road Vehicle - All-Terrain Vehicle [ATV] (Motorcycle-Style)",
    "Off-road Vehicle - Construction Equipment": "Off-Road Vehicle - Construction Equipment",
    "Off-road Vehicle - Dirt Bike / Off-Road": "Off-Road Vehicle - Dirt Bike/Off-Road",
    "Off-road Vehicle - Enduro (Off-road long distance racing)":
      "Off-Road Vehicle - Enduro (Off-road long distance racing)",
    "Off-road Vehicle - Farm Equipment": "Off-Road Vehicle - Farm Equipment",
    "Off-road Vehicle - Go Kart": "Off-Road Vehicle - Go-Kart",
    "Off-road Vehicle - Golf Cart": "Off-Road Vehicle - Golf Cart",
    "Off-road Vehicle - Motocross (Off-road short distance, closed track racing)":
      "Off-Road Vehicle - Motocross (Off-road short distance, closed track racing)",
    "Off-road Vehicle - Multipurpose Off-Highway Utility Vehicle [MOHUV] or Recreational Off-Highway Vehicle [ROV]":
      "Off-Road Vehicle - Multipurpose Off-Highway Utility Vehicle [MOHUV] or Recreational Off-Highway Vehicle [ROV]",
    "Off-road Vehicle - Snowmobile": "Off-Road Vehicle - Snowmobile",
    "Sport Utility Truck (SUT)": "Sport Utility Truck [SUT]",
    "Sport Utility Vehicle (SUV)/Multi-Purpose Vehicle (MPV)": "Sport Utility Vehicle [SUV]/Multipurpose Vehicle [MPV]",
    "Step Van / Walk-in Van": "Step Van/Walk-in Van",
    "Streetcar / Trolley": "Streetcar/Trolley",
  },
  EngineConfiguration: {
    "Horizontally opposed (boxer)": "Horizontally Opposed (boxer)",
  },
  VehicleType: {
    "Off Road Vehicle": "Off-Road Vehicle",
  },
};

/** Descriptors for which NHTSA sets the model year (its table VinDescriptor), by year. */
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

/** The model year that NHTSA sets for a descriptor. It overrides all rules. */
export const YEAR_OF_DESCRIPTOR: ReadonlyMap<string, number> = new Map(
  Object.entries(DESCRIPTORS_OF_YEAR).flatMap(([year, descriptors]) =>
    descriptors.map((descriptor) => [descriptor, Number(year)] as const),
  ),
);

/** Vehicles built with a wrong check digit: every VIN with this prefix and a serial number in this range. */
interface Batch {
  readonly beginning: RegExp;
  readonly firstSerial: number;
  readonly lastSerial: number;
}

/**
 * The batches that NHTSA exempts from the check digit. Its table VinException lists their VINs one by one. The other
 * VINs of a batch were not sold in the U.S., or their check digit happens to be right.
 */
export const EXCEPTED_BATCHES: readonly Batch[] = [
  { beginning: /^ZACCJ[AB][A-D][HT]0FPB/, firstSerial: 52_184, lastSerial: 76_827 },
  { beginning: /^ZFBCF[XY][A-E][TW]0GP/, firstSerial: 317_640, lastSerial: 338_889 },
  { beginning: /^1C9F[AB][0-9]{3}.R1257/, firstSerial: 0, lastSerial: 494 },
  { beginning: /^KMTGE4S1PRU/, firstSerial: 8142, lastSerial: 8188 },
  { beginning: /^KMTG[AB]4S[CD]DRU/, firstSerial: 227_654, lastSerial: 228_061 },
  { beginning: /^ZN0A4ACD.MV/, firstSerial: 401_011, lastSerial: 401_070 },
  { beginning: /^7XFTC(?:161|201).S1/, firstSerial: 2152, lastSerial: 2381 },
  { beginning: /^PFDKB4AE.SF/, firstSerial: 117, lastSerial: 139 },
  { beginning: /^1P9PB443.SL881/, firstSerial: 35, lastSerial: 37 },
];

/** Single VINs that NHTSA exempts from the check digit. */
export const EXCEPTED_VINS: ReadonlySet<string> = new Set([
  "1C9FA3822R1257949",
  "1K9SM5329KK007337",
  "1L9L6CV21PL593738",
  "1T9S262B43N013045",
  "4S9BDETA2LB559700",
  "VKD2C700SPP002555",
  "VKD2C700VPP002561",
  "VKD2C700VRP001817",
]);

/** NHTSA's error codes. Only complete data can establish 2 to 5; 6 is for shorter VINs, which are not decoded. */
export type ErrorCode = 0 | 1 | 2 | 3 | 4 | 5 | 7 | 8 | 9 | 10 | 11 | 12 | 14 | 400;

/** A row of the table ErrorCode. */
export interface ErrorMeaning {
  /** NHTSA's text, which begins with the code. */
  readonly text: string;
  /** How much the code counts against a pass when two years are tried; never positive. */
  readonly weight: number;
  /** What NHTSA adds to the additional text. */
  readonly additionalText?: string;
}

const CODES_OF_EMBEDDED_DATA: Readonly<Record<Exclude<ErrorCode, 2 | 3 | 4 | 5>, ErrorMeaning>> = {
  0: { text: "0 - VIN decoded clean. Check Digit (9th position) is correct", weight: 0 },
  1: { text: "1 - Check Digit (9th position) does not calculate properly", weight: -5 },
  7: {
    text: "7 - Manufacturer is not registered with NHTSA for sale or importation in the U.S. for use on U.S roads; Please contact the manufacturer directly for more information",
    weight: -10_000,
  },
  8: { text: "8 - No detailed data available currently", weight: -1000 },
  9: {
    text: '9 - Glider Warning - A "Glider" is not a "motor vehicle", as defined in 49 U.S.C. 30102(a)(6), and cannot be assigned a VIN that meets 49 CFR Part 565 requirements',
    weight: 0,
  },
  10: {
    text: "10 - Off-Road Vehicle Warning – This is not a Vehicle Identification Number (VIN) for a motor vehicle. This indicates that the manufacturer did not certify this product as complying with the Federal Motor Vehicle Safety Standards that are applicable to motor vehicles as defined in 49 U.S.C. 30102.",
    weight: 0,
  },
  11: {
    text: "11 - Incorrect Model Year - Position 10 does not match valid model year codes (I, O, Q, U, Z, 0). Decoded data may not be accurate.",
    weight: -20,
  },
  12: {
    text: "12 - Model Year Warning - Model Year entered for decoding with VIN does not match the model year based on the 10th position in VIN.",
    weight: -20,
  },
  14: {
    text: "14 - Unable to provide information for some of the characters in the VIN, based on the manufacturer submission.",
    weight: -30,
  },
  400: { text: "400 - Invalid Characters Present", weight: -40 },
};

/** The codes that the embedded data can establish. */
export const ERROR_CODES: ReadonlyMap<number, ErrorMeaning> = new Map(
  Object.entries(CODES_OF_EMBEDDED_DATA).map(([code, meaning]) => [Number(code), meaning]),
);
