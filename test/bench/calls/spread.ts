/** How Lookups are spread over the vehicles of a cache: each equally often, or a few far more often than the others. */
export type Spread = "even" | "zipfian";

/** The default of YCSB, a common benchmark of databases. Of 10,000,000 vehicles, 4,300 get half of the Lookups. */
const EXPONENT = 0.99;
/** Puts the frequent vehicles into different pages. It has no factor in common with a power of ten. */
const SCATTER = 61_803_399;

/** A random vehicle's number, from 0. */
export function randomVehicle(vehicles: number, spread: Spread): number {
  if (spread === "even") {
    return Math.floor(Math.random() * vehicles);
  }
  // The inverse of the distribution function of a power law.
  const power = 1 - EXPONENT;
  const rank = Math.floor((1 + Math.random() * ((vehicles + 1) ** power - 1)) ** (1 / power)) - 1;
  return (Math.min(rank, vehicles - 1) * SCATTER) % vehicles;
}
