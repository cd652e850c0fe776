// Messages between the socket and the loops that read them, bounded.
import type { Message } from './frames.js'

/** Bytes that may wait for one loop; a single larger message is taken all the same. */
const MAX_BYTES = 4 << 20

/** A message that came, and what its ack needs. */
export interface Entry<T> {
  message: Message<T>
  /** Length of its frame. */
  size: number
  /** The subscription that brought it, and the numbering that its seqNo belongs to. */
  generation: number
  epoch: string | undefined
}

class Reader<T> {
  readonly entries: { entry: Entry<T>; readers: { left: number } }[] = []
  bytes = 0
  wake = () => {}
}

export class Inbox<T> {
  /** Keeps what comes while there is no loop and no listener. */
  #early: Reader<T> | undefined = new Reader()
  #readers = new Set<Reader<T>>([this.#early!])
  #ended = false
  #error: Error | undefined
  #limit: number
  #taken: (entry: Entry<T>) => void
  #drained: () => void
  #heard: () => boolean

  /** `taken`: every loop has taken the message. `drained`: there is room again. `heard`: whether there is a listener. */
  constructor(limit: number, taken: (entry: Entry<T>) => void, drained: () => void, heard: () => boolean) {
    this.#limit = limit
    this.#taken = taken
    this.#drained = drained
    this.#heard = heard
  }

  /** The oldest message of a topic that a loop has not taken. */
  oldest(topic: string): Entry<T> | undefined {
    // Every loop waits for the last so many of what came: the longest of these has the others in it.
    const [slowest] = [...this.#readers].sort((one, other) => other.entries.length - one.entries.length)
    return slowest?.entries.find(({ entry }) => entry.message.topic === topic)?.entry
  }

  /** Whether every loop has room for a message of this size. */
  fits(size: number): boolean {
    return [...this.#readers].every(
      ({ entries, bytes }) => !entries.length || (entries.length < this.#limit && bytes + size <= MAX_BYTES),
    )
  }

  /** Takes a message for every loop; whether listeners are to get it now. */
  put(entry: Entry<T>): boolean {
    const readers = { left: this.#readers.size }
    if (!readers.left) this.#taken(entry)
    for (const reader of this.#readers) {
      reader.entries.push({ entry, readers })
      reader.bytes += entry.size
      reader.wake()
    }
    return !this.#early
  }

  /** A listener wants the messages: those that came before it too, if it is the first to ask. */
  listen(deliver: (message: Message<T>) => void): void {
    const early = this.#early
    if (!early) return
    queueMicrotask(() => {
      if (this.#early !== early) return // a loop was faster
      this.#early = undefined
      this.#readers.delete(early)
      for (let entry; (entry = this.#shift(early)); ) deliver(entry.message)
    })
  }

  /** Nothing comes any more; loops end after what they have, with this error if there is one. */
  end(error?: Error): void {
    this.#ended = true
    this.#error = error
    for (const reader of this.#readers) reader.wake()
  }

  async *read(): AsyncGenerator<Message<T>, void, undefined> {
    const reader = this.#early ?? new Reader<T>()
    this.#early = undefined
    this.#readers.add(reader)
    try {
      for (;;) {
        const entry = this.#shift(reader)
        if (entry) yield entry.message
        else if (!this.#ended) await new Promise<void>((wake) => (reader.wake = wake))
        else if (this.#error) throw this.#error
        else return
      }
    } finally {
      this.#readers.delete(reader)
      if (!this.#readers.size && !this.#heard()) this.#readers.add((this.#early = reader)) // for the next loop
      else while (this.#shift(reader)); // the others have them too
    }
  }

  #shift(reader: Reader<T>): Entry<T> | undefined {
    const next = reader.entries.shift()
    if (!next) return undefined
    reader.bytes -= next.entry.size
    if (!--next.readers.left) this.#taken(next.entry)
    const half = ({ entries, bytes }: Reader<T>) => entries.length <= this.#limit / 2 && bytes <= MAX_BYTES / 2
    if ([...this.#readers].every(half)) this.#drained()
    return next.entry
  }
}
