// Publishes that wait for their acks, in the order in which they went out. Pure.
import { type Deferred, deferred } from './emitter.js'
import { SubSocketError } from './errors.js'
import type { Ack } from './frames.js'

/** How many may wait. */
const MAX_WAITING = 1024
/** Their length; a single larger one is taken all the same. */
const MAX_BYTES = 4 << 20
/** What the refusal of a publish that was sent again does not say. */
const EARLIER = ' (an earlier copy may have been accepted; the same messageId has no second effect)'

export class Publishes {
  #waiting: (Deferred<Ack> & { id: string; text: string; sent: boolean; again: boolean })[] = []
  #bytes = 0

  /** Remembers a publish until its answer comes; `sent` when it goes out at once. */
  add(id: string, text: string, sent: boolean): Promise<Ack> {
    const length = this.#waiting.length
    if (length >= MAX_WAITING || (length && this.#bytes + text.length > MAX_BYTES)) {
      const why = 'too many publishes wait for their acks'
      throw new SubSocketError('FULL', why, { messageId: id, retryable: true })
    }
    const publish = { ...deferred<Ack>(), id, text, sent, again: false }
    this.#waiting.push(publish)
    this.#bytes += text.length
    return publish.promise
  }

  /** The answer came; of two with one id to the older. False when nobody waits for it. */
  settle(id: string, answer: Ack | Error): boolean {
    // Answers come in order, so this looks at the first entry only, as a rule.
    const index = this.#waiting.findIndex((publish) => publish.id === id)
    const [publish] = index < 0 ? [] : this.#waiting.splice(index, 1)
    if (!publish) return false
    this.#bytes -= publish.text.length
    if (publish.again && answer instanceof Error) answer.message += EARLIER
    if (answer instanceof Error) publish.reject(answer)
    else publish.resolve(answer)
    return true
  }

  /** The frames of all, to send them, some of them again. */
  texts(): string[] {
    return this.#waiting.map((publish) => {
      publish.again = publish.sent
      publish.sent = true
      return publish.text
    })
  }

  /** Gives up on all: each may or may not have been accepted. */
  fail(why: string): void {
    for (const { id } of [...this.#waiting]) {
      this.settle(id, new SubSocketError('CLOSED', why, { messageId: id, retryable: true }))
    }
  }
}
