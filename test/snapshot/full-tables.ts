import type { DumpTables } from "./sql-dump-file.ts";

/** A few rows of NHTSA's monthly file, few enough to decode VINs by hand. The labels and rules are NHTSA's own. */

const IDS_AND_NAMES = ["id", "name"];
const LONG_AGO = "2015-04-14 13:31:17.8";
const LATER = "2020-02-03 10:00:00";
const LATEST = "2021-05-06 07:08:09.5";
const PUBLIC_SINCE = "2015-01-01 00:00:00";

/** Schemas, by their id in the table VinSchema. */
const CARS = 100;
const UNCHECKED_CARS = 101;
const NEWER_CARS = 102;
const TRACTORS = 200;
const TRACTOR_PLANTS = 210;
const TRAILERS = 300;
const OLD_CARS = 400;
const ODDITIES = 500;
const ODD_KEYS = 600;

export const FULL_TABLES: DumpTables = {
  airbaglocfront: { columns: IDS_AND_NAMES, rows: [[1, "Driver Seat Only"]] },
  autobrake: { columns: IDS_AND_NAMES, rows: [[1, "Standard"]] },
  bodystyle: {
    columns: IDS_AND_NAMES,
    rows: [
      [13, "Sedan/Saloon"],
      [61, "Trailer"],
      [62, "Incomplete - Cutaway"],
      [64, "Incomplete - Glider"],
      [66, "Truck-Tractor"],
      [69, "Off-Road Vehicle - All-Terrain Vehicle [ATV] (Motorcycle-Style)"],
    ],
  },
  conversion: {
    columns: ["id", "fromelementid", "toelementid", "formula"],
    rows: [
      [1, 11, 12, "#x# / 16.387064 "],
      [2, 12, 11, "#x# * 16.387064 "],
      [3, 11, 13, "#x# / 1000."],
      [4, 13, 11, "#x# * 1000"],
      [5, 12, 13, "#x# * 0.016387064 "],
      [7, 13, 12, "#x# / 0.016387064 "],
    ],
  },
  defaultvalue: {
    columns: ["id", "elementid", "vehicletypeid", "defaultvalue"],
    rows: [
      [1, 116, 2, "0"],
      [2, 25, 1, "10"],
      [3, 24, 6, "0"],
      [4, 33, 6, "0"],
      [5, 15, 6, null],
      [6, 96, 6, "0"],
    ],
  },
  element: {
    columns: ["id", "name", "code", "lookuptable", "isprivate", "decode", "weight"],
    rows: [
      [1, "Other Battery Info", "BatteryInfo", null, false, "Pattern", null],
      [5, "Body Class", "BodyClass", "BodyStyle", false, "Pattern", 99],
      [9, "Engine Number of Cylinders", "EngineCylinders", null, false, "Pattern", 88],
      [11, "Displacement (CC)", "DisplacementCC", null, false, "Pattern", 98],
      [12, "Displacement (CI)", "DisplacementCI", null, false, "Pattern", null],
      [13, "Displacement (L)", "DisplacementL", null, false, "Pattern", null],
      [15, "Drive Type", "DriveType", "DriveType", false, "Pattern", null],
      [16, "Driver Assist", "DriverAssist", "DriverAssist", false, null, null],
      [18, "Engine Model", "EngineModel", null, false, "Pattern", 55],
      [24, "Fuel Type - Primary", "FuelTypePrimary", "FuelType", false, "Pattern", 91],
      [25, "Gross Vehicle Weight Rating From", "GVWR", "GrossVehicleWeightRating", false, "Pattern", 70],
      [26, "Make", "Make", "Make", false, "WMI, Pattern", 99],
      [27, "Manufacturer Name", "Manufacturer", "Manufacturer", false, "WMI", null],
      [28, "Model", "Model", "Model", false, "Pattern", 99],
      [29, "Model Year", "ModelYear", null, false, "WMI, Input", 99],
      [31, "Plant City", "PlantCity", null, false, "Pattern", 98],
      [33, "Number of Seats", "Seats", null, false, "Pattern", null],
      [34, "Series", "Series", null, false, "Pattern", 61],
      [39, "Vehicle Type", "VehicleType", "VehicleType", false, "WMI", 99],
      [65, "Front Air Bag Locations", "AirBagLocFront", "AirBagLocFront", false, "Pattern", 64],
      [71, "Engine Brake (hp) From", "EngineHP", null, false, "Pattern", null],
      [87, "Crash Imminent Braking (CIB)", "CIB", "AutoBrake", false, "Pattern", null],
      [96, "NCSA Body Type", "NCSABodyType", "vNCSABodyType", true, "Pattern", null],
      [114, "Note", "Note", null, null, "Pattern", null],
      [116, "Trailer Type Connection", "TrailerType", "TrailerType", false, "Pattern", null],
    ],
  },
  drivetype: { columns: IDS_AND_NAMES, rows: [[4, "RWD/Rear-Wheel Drive"]] },
  enginemodel: { columns: IDS_AND_NAMES, rows: [[7, "Alpha V8"]] },
  enginemodelpattern: {
    columns: ["id", "enginemodelid", "elementid", "attributeid", "createdon", "updatedon"],
    rows: [
      [1, 7, 9, "8", LONG_AGO, null],
      [2, 7, 71, "300", LONG_AGO, null],
      // The truck's own pattern wins, because its year has the higher priority.
      [3, 7, 24, "4", LATEST, null],
    ],
  },
  errorcode: {
    columns: ["id", "name", "additionalerrortext", "weight"],
    rows: [
      [0, "0 - VIN decoded clean. Check Digit (9th position) is correct", null, 0],
      [1, "1 - Check Digit (9th position) does not calculate properly", null, -5],
      [2, "2 - VIN corrected, error in one position ", null, -100],
      [3, "3 - VIN corrected, error in one position (assuming Check Digit is correct)", null, -100],
      [4, "4 - VIN corrected, error in one position only", "In the Possible values section, A.", -200],
      [5, "5 - VIN has errors in few positions", "The error positions are indicated by !.", -300],
      [6, "6 - Incomplete VIN", null, -10],
      [7, "7 - Manufacturer is not registered with NHTSA", null, -10000],
      [8, "8 - No detailed data available currently", null, -1000],
      [9, "9 - Glider Warning", null, 0],
      [10, "10 - Off-Road Vehicle Warning. ", null, 0],
      [11, "11 - Incorrect Model Year", null, -20],
      [12, "12 - Model Year Warning", null, -20],
      [14, "14 - Unable to provide information for some of the characters in the VIN", null, -30],
      [400, "400 - Invalid Characters Present", null, -40],
    ],
  },
  fueltype: {
    columns: IDS_AND_NAMES,
    rows: [
      [1, "Diesel"],
      [4, "Gasoline"],
    ],
  },
  grossvehicleweightrating: {
    columns: IDS_AND_NAMES,
    rows: [[10, "Class 1A: 3,000 lb or less (1,360 kg or less)"]],
  },
  make: {
    columns: IDS_AND_NAMES,
    rows: [
      [10, "Alpha"],
      [11, "Alpha Trucks"],
    ],
  },
  make_model: {
    columns: ["id", "makeid", "modelid"],
    rows: [
      [1, 10, 1000],
      [2, 11, 1001],
    ],
  },
  manufacturer: { columns: IDS_AND_NAMES, rows: [[900, "Alpha Motors"]] },
  model: {
    columns: IDS_AND_NAMES,
    rows: [
      [1000, "Aster"],
      [1001, "Titan"],
    ],
  },
  pattern: {
    columns: ["id", "vinschemaid", "keys", "elementid", "attributeid", "createdon", "updatedon"],
    rows: [
      [1, CARS, "A", 28, "1000", LONG_AGO, null],
      [2, CARS, "*[B-D]", 5, "13", LONG_AGO, null],
      [3, CARS, "**C", 9, "4", LONG_AGO, null],
      [4, CARS, "***[4DE_]", 13, "2.5", LONG_AGO, null],
      [5, CARS, "****E", 24, "4", LONG_AGO, null],
      [6, CARS, "*****|*P", 31, "GARY", LONG_AGO, null],
      // Of these, NHTSA keeps both notes, the newest number of seats, and the first series by its keys.
      [7, CARS, "A", 114, "First\tnote", LONG_AGO, null],
      [8, CARS, "AB", 114, "Second note", LONG_AGO, null],
      [9, CARS, "AB", 33, "4", LONG_AGO, LATER],
      [10, CARS, "A", 33, "5", LONG_AGO, LATEST],
      [11, CARS, "[A-C]*C", 34, "Not the first", LATER, null],
      [12, CARS, "**C", 34, "First", LATER, null],
      // A private variable is not decoded, but its keys count as valid characters.
      [13, CARS, "**K", 96, "1", LONG_AGO, null],
      [14, CARS, "A", 27, "900", LONG_AGO, null],
      // A schema that has not been checked is not decoded, but its keys count as well.
      [20, UNCHECKED_CARS, "**CE", 5, "62", LATEST, null],
      [21, UNCHECKED_CARS, "****F", 24, "1", LATEST, null],
      [22, UNCHECKED_CARS, "***#", 71, "0", LATEST, null],
      [30, NEWER_CARS, "*B", 5, "64", LONG_AGO, null],
      [40, TRACTORS, "T", 28, "1001", LONG_AGO, null],
      [41, TRACTORS, "*V", 18, " alpha v8 ", LONG_AGO, null],
      [42, TRACTOR_PLANTS, "*****|*D", 31, "DENTON", LONG_AGO, null],
      [43, TRACTORS, "**D", 24, "1", LONG_AGO, null],
      [44, TRACTORS, "***#", 33, "0", LONG_AGO, null],
      [45, TRACTORS, "****[1-3]", 5, "66", LONG_AGO, null],
      [60, TRAILERS, "T", 5, "61", LONG_AGO, null],
      [61, TRAILERS, "*****|*1", 31, "RENO", LONG_AGO, null],
      // These positions are not compared: 12 to 14 identify the manufacturer.
      [62, TRAILERS, "*****|**9", 96, "1", LONG_AGO, null],
      [70, OLD_CARS, "A", 28, "1000", LONG_AGO, null],
      [80, ODDITIES, "G", 5, "64", LONG_AGO, null],
      [81, ODDITIES, "R", 5, "69", LONG_AGO, null],
      [82, ODDITIES, "C", 5, "62", LONG_AGO, null],
      [83, ODDITIES, "N", 5, "999", LONG_AGO, null],
      [91, ODD_KEYS, "*****|*[1-A-JT]", 31, "LIGONIER", LONG_AGO, null],
      [92, ODD_KEYS, "*****|***7", 96, "1", LONG_AGO, null],
      [90, ODD_KEYS, "L__9", 33, "7", LONG_AGO, null],
    ],
  },
  trailertype: { columns: IDS_AND_NAMES, rows: [] },
  vehiclespecpattern: {
    columns: ["id", "vspecschemapatternid", "iskey", "elementid", "attributeid", "createdon", "updatedon"],
    rows: [
      [1, 1, true, 34, "FIRST", LONG_AGO, null],
      [2, 1, true, 5, "13", LONG_AGO, null],
      [3, 1, false, 15, "4", LONG_AGO, null],
      [4, 1, false, 9, "6", LONG_AGO, null],
      [5, 1, false, 114, "Specified note", LONG_AGO, null],
      [6, 1, false, 65, "1", LONG_AGO, null],
      // A second pattern of the schema, whose keys are not all the car's.
      [7, 2, true, 34, "First", LONG_AGO, null],
      [8, 2, true, 9, "6", LONG_AGO, null],
      [9, 2, false, 65, "999", LATEST, null],
      // A third pattern, whose value is newer.
      [10, 3, true, 11, "2500.0", LONG_AGO, null],
      [11, 3, false, 87, "1", LONG_AGO, LATEST],
      [12, 1, false, 87, "0", LONG_AGO, LATER],
      // Patterns of schemas for another year, type, model and make, and of one that is not checked yet.
      ...[4, 5, 6, 7, 8].flatMap((pattern) => [
        [pattern * 10, pattern, true, 5, "13", LONG_AGO, null],
        [pattern * 10 + 1, pattern, false, 71, `${pattern}`, LONG_AGO, null],
      ]),
      // Patterns without a key, with a key stated twice, and with a private key.
      [90, 9, false, 71, "9", LONG_AGO, null],
      [91, 10, true, 5, "13", LONG_AGO, null],
      [92, 10, true, 34, "First", LONG_AGO, null],
      [96, 10, true, 34, "first", LONG_AGO, null],
      [93, 10, false, 71, "10", LONG_AGO, null],
      [94, 11, true, 96, "1", LONG_AGO, null],
      [95, 11, false, 71, "11", LONG_AGO, null],
    ],
  },
  vehiclespecschema: {
    columns: ["id", "makeid", "createdon", "vehicletypeid", "tobeqced"],
    rows: [
      [1, 10, LONG_AGO, 2, null],
      [2, 10, LONG_AGO, 2, false],
      [3, 10, LONG_AGO, 7, null],
      [4, 10, LONG_AGO, 2, null],
      [5, 11, LONG_AGO, 2, null],
      [6, 10, LONG_AGO, 2, true],
    ],
  },
  vehiclespecschema_model: {
    columns: ["id", "vehiclespecschemaid", "modelid"],
    rows: [
      [1, 1, 1000],
      [2, 2, 1000],
      [3, 3, 1000],
      [4, 4, 1001],
      [5, 5, 1000],
      [6, 6, 1000],
    ],
  },
  vehiclespecschema_year: {
    columns: ["id", "vehiclespecschemaid", "year"],
    rows: [
      [1, 1, 2014],
      [2, 1, 2015],
      [3, 2, 2013],
    ],
  },
  vehicletype: {
    columns: IDS_AND_NAMES,
    rows: [
      [1, "Motorcycle"],
      [2, "Passenger Car"],
      [3, "Truck"],
      [6, "Trailer"],
      [7, "Multipurpose Passenger Vehicle (MPV)"],
      [10, "Incomplete Vehicle"],
    ],
  },
  vindescriptor: {
    columns: ["id", "descriptor", "modelyear"],
    rows: [
      [1, "1BBTVD51*FD", 2014],
      [2, "1BBTVD53*FD", 2040],
    ],
  },
  vinexception: {
    columns: ["id", "vin", "checkdigit"],
    rows: [
      [1, "1AAABCDEBEP000001", true],
      [2, "1AAABCDE0EP000002", false],
    ],
  },
  vinschema: {
    columns: ["id", "name", "tobeqced"],
    rows: [
      [CARS, "Cars", null],
      [UNCHECKED_CARS, "Cars to be checked", true],
      [NEWER_CARS, "Newer cars", false],
      [TRACTORS, "Tractors", false],
      [TRACTOR_PLANTS, "Plants of tractors", false],
      [TRAILERS, "Trailers", false],
      [OLD_CARS, "Old cars", false],
      [ODDITIES, "Oddities", false],
      [ODD_KEYS, "Odd keys", false],
    ],
  },
  vspecschemapattern: {
    columns: ["id", "schemaid"],
    rows: [
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 2],
      [5, 3],
      [6, 4],
      [7, 5],
      [8, 6],
      [9, 1],
      [10, 1],
      [11, 1],
    ],
  },
  wmi: {
    columns: ["id", "wmi", "manufacturerid", "vehicletypeid", "publicavailabilitydate", "trucktypeid"],
    rows: [
      [1, "1AA", 900, 2, PUBLIC_SINCE, null],
      [2, "1BB", 900, 3, PUBLIC_SINCE, 2],
      [3, "1CC", 900, 6, PUBLIC_SINCE, null],
      [4, "1DD", 900, 2, "2027-06-01 00:00:00", null],
      [5, "1E9123", 900, 6, PUBLIC_SINCE, null],
      [6, "1FF", 900, 1, PUBLIC_SINCE, null],
      [7, "1GG", 900, 7, PUBLIC_SINCE, null],
      [8, "1HH", 900, 10, PUBLIC_SINCE, null],
      [9, "1JJ", 900, 3, PUBLIC_SINCE, 1],
      [11, "1LL", 900, 7, PUBLIC_SINCE, null],
      [10, "1KK", 900, 2, null, null],
    ],
  },
  // Outdated: no pattern allows this. The snapshot does not read the table.
  wmiyearvalidchars: { columns: ["id", "wmi", "year", "position", "char"], rows: [[1, "1AA", 2014, 5, "X"]] },
  wmi_make: {
    columns: ["wmiid", "makeid"],
    rows: [
      [1, 10],
      [2, 10],
      [2, 11],
      [3, 10],
      [5, 11],
      [6, 10],
      [7, 10],
      [8, 10],
      [9, 10],
    ],
  },
  wmi_vinschema: {
    columns: ["id", "wmiid", "vinschemaid", "yearfrom", "yearto"],
    rows: [
      [1, 1, CARS, 2010, 2019],
      [2, 1, UNCHECKED_CARS, 2010, 2019],
      [3, 1, NEWER_CARS, 2018, 2019],
      [4, 2, TRACTORS, 1980, null],
      [9, 2, TRACTOR_PLANTS, 2010, null],
      [5, 5, TRAILERS, 2000, null],
      [6, 9, OLD_CARS, 1985, 1989],
      [10, 11, ODD_KEYS, 2010, null],
      [7, 7, ODDITIES, 2010, null],
      [8, 8, TRACTORS, 2010, null],
    ],
  },
};
