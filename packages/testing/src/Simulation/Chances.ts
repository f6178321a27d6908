/**
 * What is left to chance in a simulated world: drawn from a seed, or repeated as it was.
 *
 * Most of what may happen does not. What does is kept by what it happens to, and not by its place in the story: so any of it
 * can be left out without changing the rest, and what is left in the end is what a failure needs.
 */

export interface Chances {
  /** For what is known by this name: 0, or with this likelihood another one of so many ways. */
  readonly pick: (name: string, ways: number, likelihood: number) => number
  /** What was not 0 until now. */
  readonly specials: ReadonlyArray<Special>
}

export interface Special {
  readonly name: string
  /** The how manieth of this name. */
  readonly nth: number
  readonly way: number
}

export const seeded = (seed: number): Chances => {
  const next = numbersFrom(seed)
  return from((_name, _nth, ways, likelihood) => (next() < likelihood ? 1 + Math.floor(next() * (ways - 1)) : 0))
}

/** The same again, and nothing else. */
export const repeated = (specials: ReadonlyArray<Special>): Chances => {
  const known = new Map(specials.map(({ name, nth, way }) => [`${name} ${nth}`, way]))
  return from((name, nth, ways) => Math.min(known.get(`${name} ${nth}`) ?? 0, ways - 1))
}

const from = (draw: (name: string, nth: number, ways: number, likelihood: number) => number): Chances => {
  const counts = new Map<string, number>()
  const specials: Array<Special> = []
  return {
    specials,
    pick: (name, ways, likelihood) => {
      const nth = (counts.get(name) ?? 0) + 1
      counts.set(name, nth)
      const way = draw(name, nth, ways, likelihood)
      if (way > 0) specials.push({ name, nth, way })
      return way
    }
  }
}

/** Without all that it fails without, too: in halves at first, then one by one. */
export const shrink = (
  specials: ReadonlyArray<Special>,
  fails: (specials: ReadonlyArray<Special>) => boolean
): ReadonlyArray<Special> => {
  let smallest = specials
  for (let size = Math.ceil(specials.length / 2); ; size = Math.ceil(size / 2)) {
    const before = smallest.length
    for (let place = 0; place < smallest.length;) {
      const candidate = [...smallest.slice(0, place), ...smallest.slice(place + size)]
      if (fails(candidate)) smallest = candidate
      else place += size
    }
    if (size <= 1 && smallest.length === before) return smallest
  }
}

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
const numbersFrom = (seed: number) => {
  let state = Math.trunc(seed)
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
