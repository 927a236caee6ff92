import type { Attributes, Decode } from "../../src/vehicle/vehicle.ts";
import type { Vin } from "../../src/vehicle/vin.ts";
import { decodeOf } from "../support/vehicle-samples.ts";

/** vPIC's answer for a pickup truck: 34 variables, about as long as an average answer. */
export const ATTRIBUTES: Attributes = {
  AirBagLocFront: "1st Row (Driver & Passenger)",
  AirBagLocSide: "1st Row (Driver & Passenger)",
  BodyCabType: "Crew/ Super Crew/ Crew Max",
  BrakeSystemType: "Hydraulic",
  BusFloorConfigType: "Not Applicable",
  BusType: "Not Applicable",
  CustomMotorcycleType: "Not Applicable",
  DisplacementCC: "3500.0",
  DisplacementCI: "213.58310433156",
  DisplacementL: "3.5",
  DriveType: "4WD/4-Wheel Drive/4x4",
  EngineConfiguration: "V-Shaped",
  EngineCylinders: "6",
  EngineHP: "375",
  EngineKW: "279.6375",
  EngineManufacturer: "Ford",
  EngineModel: "GTDI",
  FuelTypePrimary: "Gasoline",
  GVWR: "Class 2E: 6,001 - 7,000 lb (2,722 - 3,175 kg)",
  MakeID: "460",
  Manufacturer: "FORD MOTOR COMPANY, USA",
  ManufacturerId: "976",
  ModelID: "1801",
  MotorcycleChassisType: "Not Applicable",
  MotorcycleSuspensionType: "Not Applicable",
  OtherEngineInfo: "Direct injection, twin turbocharged",
  PlantCity: "DEARBORN",
  PlantCountry: "UNITED STATES (USA)",
  PlantState: "MICHIGAN",
  SeatBeltsAll: "Manual",
  Series: "F-Series",
  TPMS: "Direct",
  TrailerBodyType: "Not Applicable",
  VehicleType: "TRUCK",
};

/** A decode of vPIC with {@link ATTRIBUTES}. */
export function truckOf(vin: Vin, changes: Partial<Decode> = {}): Decode {
  return decodeOf(vin, {
    make: "FORD",
    model: "F-150",
    modelYear: "2021",
    bodyClass: "Pickup",
    attributes: ATTRIBUTES,
    ...changes,
  });
}
