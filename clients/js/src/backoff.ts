// How long to wait before the next attempt. Pure: randomness and time are parameters.

/** A random wait between nothing and a window that doubles with every attempt. In milliseconds. */
export interface Backoff {
  /** The window of the first attempt. Default 100. */
  first: number
  /** The widest window. Default 30000. */
  limit: number
}

/** How long a connection must have been ready to count as a success, in milliseconds. */
export const STABLE = 10_000

/** Connecting again after one of these, or after any 40xx, would end the same way. */
const FINAL = [1000, 1002, 1003, 1007, 1009]

/** Counts the attempts since the last stable connection. */
export class Attempts {
  #count = 0

  /**
   * Milliseconds to the next attempt after a close with this code of a connection that was ready for
   * that long, `undefined` for none. `random` is uniform over 0 to 1.
   */
  next({ first, limit }: Backoff, code: number, readyFor: number, random: number): number | undefined {
    const stable = readyFor >= STABLE
    if (stable) this.#count = 0
    const kind = Math.floor(code / 100)
    if (kind === 40 || FINAL.includes(code)) return undefined
    const window = Math.min(limit, first * 2 ** this.#count++)
    // At once only after a stable connection: a gateway that closes each time must not be hammered.
    return kind === 42 && stable ? 0 : window * random
  }
}
