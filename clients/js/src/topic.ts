// What a socket knows of one topic: the own position in it, and what the gateway was asked. Pure.
import { deferred } from './emitter.js'
import { SubSocketError } from './errors.js'
import type { Subscribe, Subscribed } from './frames.js'
import type { Position, Qos } from './types.js'

/** Messages that are acknowledged at once; fewer wait for company. */
const ACK_COUNT = 100
/** The same in bytes: a quarter of what the gateway sends without an ack. */
const ACK_BYTES = 256 << 10

/**
 * `off`: not asked for on this connection. `asked`: the answer is awaited, and nothing that comes
 * before it counts, since the replay brings it. `paused`: a loop lags; asked for again when it caught
 * up. `left`: not wanted any more.
 */
type Phase = 'off' | 'asked' | 'live' | 'paused' | 'left'

export class Topic {
  phase: Phase = 'off'
  position: Position | undefined
  /** What `subscribe` promised. */
  answer = deferred<Subscribed>(true)
  /** Tells messages of different subscriptions apart. */
  generation = 0
  /** Questions without an answer. They are answered in order, so only the last answer counts. */
  pending = 0
  /** The qos that the gateway has it with, as far as it told; before it did, that of the socket. `null`: nobody knows. */
  told: Qos | undefined | null
  #due = { seqNo: 0, count: 0, bytes: 0 }

  constructor(
    readonly name: string,
    public qos: Qos | undefined,
  ) {
    this.told = qos
  }

  /** The question for it, from its own position. */
  ask(): Subscribe {
    this.phase = 'asked'
    this.pending++
    return { type: 'subscribe', topic: this.name, lastSeq: this.position?.seqNo, epoch: this.position?.epoch, qos: this.qos }
  }

  /** It has to be asked for anew: whoever waits for the last answer waits for the next. */
  again(): void {
    const next = deferred<Subscribed>(true)
    this.answer.resolve(next.promise)
    this.answer = next
    this.phase = 'off'
  }

  leave(): void {
    this.phase = 'left'
    this.told = null
    this.position = undefined
    this.answer.reject(new SubSocketError('CLOSED', 'the topic was left', { topic: this.name }))
  }

  /** The connection is gone; the position stays. */
  cut(): void {
    if (this.phase === 'live') this.phase = 'off'
    if (this.pending > 1 || (this.pending && this.told !== this.qos)) this.told = null // which question arrived?
    this.unask()
    this.#begin()
  }

  /** No answer will come any more. */
  unask(): void {
    if (this.phase === 'asked') this.phase = 'off'
    this.pending = 0
  }

  /** An answer came; whether it is the last one outstanding. */
  settled(): boolean {
    if (this.pending) this.pending--
    return !this.pending
  }

  /** `subscribed` came; whether it is news. */
  subscribed(frame: Subscribed): boolean {
    const { phase, position } = this
    if (!this.settled() || phase === 'paused' || phase === 'left') return false
    // The URL, or the session, has it from a place that is not ours. Our own question will count.
    if (phase === 'off' && (position || this.told !== this.qos)) return false
    this.told = this.qos
    const goesOn = phase === 'live' ? frame.recovered !== false && position?.epoch === frame.epoch : frame.recovered
    // Where nothing is replayed it stands at the head, which need not be the number of a message.
    const stays = position && goesOn && frame.replayed !== 0
    this.position = { epoch: frame.epoch, seqNo: stays ? position.seqNo : frame.seqNo }
    this.phase = 'live'
    this.#begin()
    this.answer.resolve(frame)
    return true
  }

  #begin(): void {
    this.generation++
    this.#due = { seqNo: 0, count: 0, bytes: 0 }
  }

  /** The program took a message; whether the ack is due at once. */
  taken(seqNo: number, size: number): boolean {
    const due = this.#due
    due.seqNo = seqNo
    due.bytes += size
    return ++due.count >= ACK_COUNT || due.bytes >= ACK_BYTES
  }

  /** The number to acknowledge, once; 0 for none. */
  due(): number {
    const { seqNo } = this.#due
    this.#due = { seqNo: 0, count: 0, bytes: 0 }
    return seqNo
  }
}
