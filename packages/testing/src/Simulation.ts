/**
 * Many stories of one small world, each from a seed of its own; and of one that ends badly, the smallest that still does.
 *
 * What is played runs in a `World`, whose time, network and misfortunes it decides about. So thousands of stories are told in
 * seconds, and one that has failed is told again from its seed.
 */
import * as Chances from "./Simulation/Chances.ts"
import * as World from "./Simulation/World.ts"

/** Plays a story to its end, and answers what is wrong then. */
export type Play = (world: World.World) => ReadonlyArray<string>

export interface Options extends World.Options {
  /** Of the first story; the others have the numbers behind it. */
  readonly seed: number
  readonly stories: number
}

/** The smallest story that was found to end badly. */
export interface Failure {
  readonly seed: number
  /** What was special in it. */
  readonly special: number
  readonly wrong: ReadonlyArray<string>
  readonly story: ReadonlyArray<string>
}

export const explore = (options: Options, play: Play): Failure | undefined => {
  for (let seed = options.seed; seed < options.seed + options.stories; seed += 1) {
    const chances = Chances.seeded(seed)
    if (tell(chances, options, play).wrong.length > 0) return smallest(seed, chances.specials, options, play)
  }
  return undefined
}

/** One story, as it is told from its seed. */
export const once = (seed: number, options: Options, play: Play) => tell(Chances.seeded(seed), options, play)

const tell = (chances: Chances.Chances, options: Options, play: Play) => {
  const world = World.make(chances, options)
  return { wrong: play(world), story: world.story }
}

const smallest = (seed: number, specials: ReadonlyArray<Chances.Special>, options: Options, play: Play): Failure => {
  const needed = Chances.shrink(specials, (some) => tell(Chances.repeated(some), options, play).wrong.length > 0)
  return { seed, special: needed.length, ...tell(Chances.repeated(needed), options, play) }
}

/** For whoever has to find out why. */
export const render = ({ seed, story, wrong }: Failure): string =>
  [`The story of seed ${seed} ends badly:`, ...wrong.map((line) => `  ${line}`), "", ...story].join("\n")
