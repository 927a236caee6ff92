/** What a variable of vPIC is called, and where it belongs. */
export interface Variable {
  readonly words: string;
  /** The unit of its values, if they have one. */
  readonly unit: string;
}

/** A group of the record. */
export interface Group {
  readonly title: string;
  readonly entries: readonly Entry[];
}

/** One value of the record. */
export interface Entry {
  /** The variable's name in vPIC's flat answers. */
  readonly name: string;
  readonly words: string;
  readonly value: string;
}

/** vPIC's groups in vPIC's order. Each line has a variable's name, its words, and the unit in brackets. */
const TABLE: Readonly<Record<string, string>> = {
  General: `
    Manufacturer: Manufacturer
    VehicleType: Vehicle type
    Series: Series
    Series2: Second series
    Trim: Trim
    Trim2: Second trim
    VehicleDescriptor: Vehicle descriptor
    PlantCompanyName: Plant
    PlantCity: Plant city
    PlantState: Plant state
    PlantCountry: Plant country
    DestinationMarket: Destination market
    BasePrice: Base price [US dollars]
    NonLandUse: Use off land
    CashForClunkers: Cash for Clunkers
    Note: Note`,
  Body: `
    Doors: Doors
    Windows: Windows
    BodyCabType: Cab type
    BedType: Bed type
    BedLengthIN: Bed length [inches]
    WheelBaseType: Wheelbase type
    WheelBaseShort: Wheelbase, shortest [inches]
    WheelBaseLong: Wheelbase, longest [inches]
    TrackWidth: Track width [inches]
    GVWR: Gross vehicle weight rating
    GVWR_to: Gross vehicle weight rating, to
    GCWR: Gross combination weight rating
    GCWR_to: Gross combination weight rating, to
    CurbWeightLB: Curb weight [pounds]
    Wheels: Wheels
    WheelSizeFront: Wheel size, front [inches]
    WheelSizeRear: Wheel size, rear [inches]
    SteeringLocation: Steering wheel
    EntertainmentSystem: Entertainment system
    Seats: Seats
    SeatRows: Rows of seats`,
  "Bus, trailer, motorcycle": `
    BusType: Bus type
    BusLength: Bus length [feet]
    BusFloorConfigType: Bus floor
    OtherBusInfo: More on the bus
    TrailerType: Trailer type
    TrailerBodyType: Trailer body
    TrailerLength: Trailer length [feet]
    OtherTrailerInfo: More on the trailer
    CustomMotorcycleType: Custom motorcycle type
    MotorcycleSuspensionType: Motorcycle suspension
    MotorcycleChassisType: Motorcycle chassis
    OtherMotorcycleInfo: More on the motorcycle`,
  Engine: `
    EngineManufacturer: Engine manufacturer
    EngineModel: Engine model
    EngineCylinders: Cylinders
    EngineConfiguration: Cylinder arrangement
    DisplacementL: Displacement [liters]
    DisplacementCC: Displacement [cc]
    DisplacementCI: Displacement [cubic inches]
    EngineHP: Power [horsepower]
    EngineHP_to: Power, to [horsepower]
    EngineKW: Power [kW]
    EngineCycles: Strokes
    FuelTypePrimary: Fuel
    FuelTypeSecondary: Second fuel
    FuelInjectionType: Fuel injection
    ValveTrainDesign: Valve train
    Turbo: Turbocharger
    CoolingType: Cooling
    TopSpeedMPH: Top speed [mph]
    OtherEngineInfo: More on the engine`,
  "Electric drive": `
    ElectrificationLevel: Electrification
    EVDriveUnit: Electric drive unit
    BatteryType: Battery type
    BatteryInfo: More on the battery
    BatteryKWh: Battery energy [kWh]
    BatteryKWh_to: Battery energy, to [kWh]
    BatteryV: Battery voltage [V]
    BatteryV_to: Battery voltage, to [V]
    BatteryA: Battery current [A]
    BatteryA_to: Battery current, to [A]
    BatteryPacks: Battery packs per vehicle
    BatteryModules: Battery modules per pack
    BatteryCells: Battery cells per module
    ChargerLevel: Charger level
    ChargerPowerKW: Charger power [kW]`,
  "Transmission and brakes": `
    DriveType: Drive type
    Axles: Axles
    AxleConfiguration: Axle configuration
    TransmissionStyle: Transmission
    TransmissionSpeeds: Transmission speeds
    BrakeSystemType: Brake system
    BrakeSystemDesc: More on the brakes
    ABS: Anti-lock brakes (ABS)
    TractionControl: Traction control
    ESC: Electronic stability control (ESC)`,
  "Protection in a crash": `
    SeatBeltsAll: Seat belts
    Pretensioner: Belt pretensioner
    AirBagLocFront: Front airbags
    AirBagLocKnee: Knee airbags
    AirBagLocSide: Side airbags
    AirBagLocCurtain: Curtain airbags
    AirBagLocSeatCushion: Seat cushion airbags
    OtherRestraintSystemInfo: More on restraints
    EDR: Event data recorder
    CAN_AACN: Automatic crash notification`,
  "Driver assistance": `
    SAEAutomationLevel: SAE automation level
    SAEAutomationLevel_to: SAE automation level, to
    AdaptiveCruiseControl: Adaptive cruise control
    CIB: Crash imminent braking
    DynamicBrakeSupport: Dynamic brake support
    ForwardCollisionWarning: Forward collision warning
    PedestrianAutomaticEmergencyBraking: Pedestrian emergency braking
    RearAutomaticEmergencyBraking: Rear emergency braking
    BlindSpotMon: Blind spot warning
    BlindSpotIntervention: Blind spot intervention
    LaneDepartureWarning: Lane departure warning
    LaneKeepSystem: Lane keeping assistance
    LaneCenteringAssistance: Lane centering assistance
    RearCrossTrafficAlert: Rear cross traffic alert
    RearVisibilitySystem: Backup camera
    ParkAssist: Parking assist
    DriverAssist: More on driver assistance
    ActiveSafetySysNote: Note on active safety
    AutomaticPedestrianAlertingSound: Pedestrian alerting sound
    AutoReverseSystem: Window auto-reverse
    KeylessIgnition: Keyless ignition
    TPMS: Tire pressure monitoring`,
  Lights: `
    DaytimeRunningLight: Daytime running light
    LowerBeamHeadlampLightSource: Headlamp light source
    SemiautomaticHeadlampBeamSwitching: Automatic beam switching
    AdaptiveDrivingBeam: Adaptive driving beam
    AdaptiveHeadlights: Adaptive headlights`,
};

/** For vPIC's own use and NHTSA's statistics of crashes. Folded away. */
const INTERNAL = /^(?:MakeID|ModelID|ManufacturerId|NCSA\w*)$/;
const OTHER = "Other";
/** Said of everything that a vehicle is not, such as BusType of a car. */
const NOT_APPLICABLE = "Not Applicable";
const LINE = /^ *(\w+): ([^[\n]*?)(?: \[([^\]\n]+)\])?$/gm;

const GROUP_OF = new Map<string, string>();
const VARIABLES = new Map<string, Variable>();
for (const [group, lines] of Object.entries(TABLE)) {
  for (const [, name = "", words = "", unit = ""] of lines.matchAll(LINE)) {
    GROUP_OF.set(name, group);
    VARIABLES.set(name, { words, unit });
  }
}
const ORDER = new Map([...VARIABLES.keys()].map((name, index) => [name, index]));

/** The words for a variable. For one that vPIC has added since, they are made from its name. */
export function variableOf(name: string): Variable {
  return VARIABLES.get(name) ?? { words: splitName(name), unit: "" };
}

/**
 * Groups a record as vPIC does, leaving out what does not apply to the vehicle.
 *
 * @returns the groups with at least one value; and the ids for vPIC's own use.
 */
export function groupRecord(attributes: Readonly<Record<string, string>>): {
  readonly groups: readonly Group[];
  readonly internal: readonly Entry[];
} {
  const names = Object.keys(attributes).toSorted(byOrder);
  const entries = names.flatMap((name) => {
    const value = attributes[name] ?? "";
    const { words, unit } = variableOf(name);
    return value === NOT_APPLICABLE ? [] : [{ name, words, value: unit === "" ? value : withUnit(value, unit) }];
  });
  const isInternal = ({ name }: Entry): boolean => INTERNAL.test(name);
  const shown = entries.filter((entry) => !isInternal(entry));
  const groups = [...Object.keys(TABLE), OTHER].map((title) => ({
    title,
    entries: joinAlike(shown.filter(({ name }) => (GROUP_OF.get(name) ?? OTHER) === title)),
  }));
  return { groups: groups.filter(({ entries }) => entries.length > 0), internal: entries.filter(isInternal) };
}

/** vPIC converts units without rounding: 213.58310433156 cubic inches are of no use to anybody. */
function withUnit(value: string, unit: string): string {
  const number = Number(value);
  const rounded = Number.isFinite(number) ? number.toLocaleString("en-US", { maximumFractionDigits: 1 }) : value;
  return `${rounded}\u00a0${unit}`;
}

/** Makes one entry of the same thing in several units. */
function joinAlike(entries: readonly Entry[]): Entry[] {
  return [...Map.groupBy(entries, ({ words }) => words).values()].map((alike) => ({
    name: alike.map(({ name }) => name).join(", "),
    words: alike[0]?.words ?? "",
    value: alike.map(({ value }) => value).join(" · "),
  }));
}

/** Keeps the entries with every word of a filter in their name, words or value. Groups without any are left out. */
export function filterGroups(groups: readonly Group[], filter: string): readonly Group[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (title: string, entry: Entry): boolean => {
    const text = `${title} ${entry.name} ${entry.words} ${entry.value}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return groups
    .map(({ title, entries }) => ({ title, entries: entries.filter((entry) => matches(title, entry)) }))
    .filter(({ entries }) => entries.length > 0);
}

function byOrder(one: string, other: string): number {
  const difference = (ORDER.get(one) ?? Infinity) - (ORDER.get(other) ?? Infinity);
  return Number.isNaN(difference) || difference === 0 ? (one < other ? -1 : 1) : difference;
}

/** "EngineBlockHeater" as "Engine block heater". */
function splitName(name: string): string {
  const words = name.replaceAll("_", " ").replaceAll(/(?<=[a-z\d])(?=[A-Z])/g, " ");
  return words.charAt(0) + words.slice(1).replaceAll(/\b[A-Z](?=[a-z])/g, (letter) => letter.toLowerCase());
}
