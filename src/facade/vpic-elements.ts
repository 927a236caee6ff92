/** A variable in vPIC's long answers. */
interface VpicElement {
  /** The name of the variable in flat answers. */
  readonly flatName: string;
  readonly id: number;
  readonly name: string;
}

/** The variables of vPIC's long answers, from NHTSA's table of elements: flat name, id, name. */
export const VPIC_ELEMENTS: readonly VpicElement[] = `
SuggestedVIN 142 Suggested VIN
ErrorCode 143 Error Code
PossibleValues 144 Possible Values
AdditionalErrorText 156 Additional Error Text
ErrorText 191 Error Text
VehicleDescriptor 196 Vehicle Descriptor
DestinationMarket 10 Destination Market
Make 26 Make
Manufacturer 27 Manufacturer Name
Model 28 Model
ModelYear 29 Model Year
PlantCity 31 Plant City
Series 34 Series
Trim 38 Trim
VehicleType 39 Vehicle Type
PlantCountry 75 Plant Country
PlantCompanyName 76 Plant Company Name
PlantState 77 Plant State
Trim2 109 Trim2
Series2 110 Series2
Note 114 Note
BasePrice 136 Base Price ($)
CashForClunkers 158 Cash For Clunkers
NonLandUse 195 Non-Land Use
BodyClass 5 Body Class
Doors 14 Doors
Windows 40 Windows
WheelBaseType 60 Wheel Base Type
TrackWidth 159 Track Width (inches)
GVWR 25 Gross Vehicle Weight Rating From
BedLengthIN 49 Bed Length (inches)
CurbWeightLB 54 Curb Weight (pounds)
WheelBaseShort 111 Wheel Base (inches) From
WheelBaseLong 112 Wheel Base (inches) To
GCWR 184 Gross Combination Weight Rating From
GCWR_to 185 Gross Combination Weight Rating To
GVWR_to 190 Gross Vehicle Weight Rating To
BedType 3 Bed Type
BodyCabType 4 Cab Type
TrailerType 116 Trailer Type Connection
TrailerBodyType 117 Trailer Body Type
TrailerLength 118 Trailer Length (feet)
OtherTrailerInfo 155 Other Trailer Info
BusLength 147 Bus Length (feet)
BusFloorConfigType 148 Bus Floor Configuration Type
BusType 149 Bus Type
OtherBusInfo 150 Other Bus Info
CustomMotorcycleType 151 Custom Motorcycle Type
MotorcycleSuspensionType 152 Motorcycle Suspension Type
MotorcycleChassisType 153 Motorcycle Chassis Type
OtherMotorcycleInfo 154 Other Motorcycle Info
Wheels 115 Number of Wheels
WheelSizeFront 119 Wheel Size Front (inches)
WheelSizeRear 120 Wheel Size Rear (inches)
EntertainmentSystem 23 Entertainment System
SteeringLocation 36 Steering Location
Seats 33 Number of Seats
SeatRows 61 Number of Seat Rows
TransmissionStyle 37 Transmission Style
TransmissionSpeeds 63 Transmission Speeds
DriveType 15 Drive Type
Axles 41 Axles
AxleConfiguration 145 Axle Configuration
BrakeSystemType 42 Brake System Type
BrakeSystemDesc 52 Brake System Description
BatteryInfo 1 Other Battery Info
BatteryType 2 Battery Type
BatteryCells 48 Number of Battery Cells per Module
BatteryA 57 Battery Current (Amps) From
BatteryV 58 Battery Voltage (Volts) From
BatteryKWh 59 Battery Energy (kWh) From
EVDriveUnit 72 EV Drive Unit
BatteryA_to 132 Battery Current (Amps) To
BatteryV_to 133 Battery Voltage (Volts) To
BatteryKWh_to 134 Battery Energy (kWh) To
BatteryModules 137 Number of Battery Modules per Pack
BatteryPacks 138 Number of Battery Packs per Vehicle
ChargerLevel 127 Charger Level
ChargerPowerKW 128 Charger Power (kW)
EngineCylinders 9 Engine Number of Cylinders
DisplacementCC 11 Displacement (CC)
DisplacementCI 12 Displacement (CI)
DisplacementL 13 Displacement (L)
EngineCycles 17 Engine Stroke Cycles
EngineModel 18 Engine Model
EngineKW 21 Engine Power (kW)
FuelTypePrimary 24 Fuel Type - Primary
ValveTrainDesign 62 Valve Train Design
EngineConfiguration 64 Engine Configuration
FuelTypeSecondary 66 Fuel Type - Secondary
FuelInjectionType 67 Fuel Delivery / Fuel Injection Type
EngineHP 71 Engine Brake (hp) From
CoolingType 122 Cooling Type
EngineHP_to 125 Engine Brake (hp) To
ElectrificationLevel 126 Electrification Level
OtherEngineInfo 129 Other Engine Info
Turbo 135 Turbo
TopSpeedMPH 139 Top Speed (MPH)
EngineManufacturer 146 Engine Manufacturer
Pretensioner 78 Pretensioner
SeatBeltsAll 79 Seat Belt Type
OtherRestraintSystemInfo 121 Other Restraint System Info
AirBagLocCurtain 55 Curtain Air Bag Locations
AirBagLocSeatCushion 56 Seat Cushion Air Bag Locations
AirBagLocFront 65 Front Air Bag Locations
AirBagLocKnee 69 Knee Air Bag Locations
AirBagLocSide 107 Side Air Bag Locations
DriverAssist 16 Driver Assist
AdaptiveHeadlights 82 Adaptive Headlights
ABS 86 Anti-lock Braking System (ABS)
ESC 99 Electronic Stability Control (ESC)
TractionControl 100 Traction Control
TPMS 168 Tire Pressure Monitoring System (TPMS) Type
ActiveSafetySysNote 169 Active Safety System Note
AutoReverseSystem 172 Auto-Reverse System for Windows and Sunroofs
AutomaticPedestrianAlertingSound 173 Automatic Pedestrian Alerting Sound (for Hybrid and EV only)
EDR 175 Event Data Recorder (EDR)
KeylessIgnition 176 Keyless Ignition
SAEAutomationLevel 181 SAE Automation Level From
SAEAutomationLevel_to 182 SAE Automation Level To
AdaptiveCruiseControl 81 Adaptive Cruise Control (ACC)
CIB 87 Crash Imminent Braking (CIB)
ForwardCollisionWarning 101 Forward Collision Warning (FCW)
DynamicBrakeSupport 170 Dynamic Brake Support (DBS)
PedestrianAutomaticEmergencyBraking 171 Pedestrian Automatic Emergency Braking (PAEB)
BlindSpotMon 88 Blind Spot Warning (BSW)
LaneDepartureWarning 102 Lane Departure Warning (LDW)
LaneKeepSystem 103 Lane Keeping Assistance (LKA)
BlindSpotIntervention 193 Blind Spot Intervention (BSI)
LaneCenteringAssistance 194 Lane Centering Assistance
RearVisibilitySystem 104 Backup Camera
ParkAssist 105 Parking Assist
RearCrossTrafficAlert 183 Rear Cross Traffic Alert
RearAutomaticEmergencyBraking 192 Rear Automatic Emergency Braking
CAN_AACN 174 Automatic Crash Notification (ACN) / Advanced Automatic Crash Notification (AACN)
DaytimeRunningLight 177 Daytime Running Light (DRL)
LowerBeamHeadlampLightSource 178 Headlamp Light Source
SemiautomaticHeadlampBeamSwitching 179 Semiautomatic Headlamp Beam Switching
AdaptiveDrivingBeam 180 Adaptive Driving Beam (ADB)
NCSABodyType 96 NCSA Body Type
NCSAMake 97 NCSA Make
NCSAModel 98 NCSA Model
NCSANote 186 NCSA Note
NCSAMappingException 187 NCSA Mapping Exception
NCSAMapExcApprovedOn 188 NCSA Mapping Exception Approved On
NCSAMapExcApprovedBy 189 NCSA Mapping Exception Approved By
`
  .trim()
  .split("\n")
  .map((line) => {
    const [flatName = "", id = "", ...words] = line.split(" ");
    return { flatName, id: Number(id), name: words.join(" ") };
  });
