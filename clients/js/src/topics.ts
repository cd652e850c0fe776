// The topics that the program wants, and the frames that bring a connection up to them. Pure.
import { SubSocketError } from './errors.js'
import type { ClientAck, ClientFrame, ErrorFrame, Resume, Setup, Subscribe, Unsubscribe } from './frames.js'
import { Topic } from './topic.js'
import type { Qos } from './types.js'

/** A longer frame might be more than the gateway takes in: 64 KiB unless it is set otherwise. */
const MAX_FRAME = 48 << 10

export const bytes = (text: string): number => new TextEncoder().encode(text).length

/** Whether a frame can carry it: JSON here writes lone surrogates, which the gateway does not read. */
export const isText = (value: unknown): boolean => typeof value === 'string' && !/\p{Surrogate}/u.test(value)

const fits = (frame: ClientFrame): boolean => bytes(JSON.stringify(frame)) <= MAX_FRAME

export class Topics {
  #known = new Map<string, Topic>()
  #qos: Qos | undefined
  /** Whether some may be paused. */
  #paused = false

  constructor(names: Iterable<string>, qos: Qos | undefined) {
    this.#qos = qos
    for (const name of names) {
      if (!isText(name)) throw new SubSocketError('BAD_REQUEST', 'a topic must be well-formed text', { topic: name })
      this.get(name)
    }
  }

  get(name: string): Topic {
    let topic = this.find(name)
    if (!topic) this.#known.set(name, (topic = new Topic(name, this.#qos)))
    return topic
  }

  find(name: string): Topic | undefined {
    return this.#known.get(name)
  }

  forget(name: string): void {
    this.#known.delete(name)
  }

  /** The first frame that goes on with a session, if it is not too large. */
  resume(token: string, sessionId: string): Resume | undefined {
    // `resume` says nothing of qos: a topic that is to have another one is asked for once it is ready.
    const known = this.#all('off').filter((topic) => topic.position && topic.told === topic.qos)
    const asked = known.map((topic) => topic.ask())
    const resume: Resume = {
      type: 'resume',
      token,
      sessionId,
      lastSeqPerTopic: Object.fromEntries(asked.map(({ topic, lastSeq }) => [topic, lastSeq!])),
      epochs: Object.fromEntries(asked.flatMap(({ topic, epoch }) => (epoch === undefined ? [] : [[topic, epoch]]))),
    }
    if (fits(resume)) return resume
    this.unask()
    return undefined
  }

  /** The first frame of a new session, with the topics that have no position yet. */
  setup(token: string): Setup {
    this.unask()
    const fresh = this.#all('off').filter((topic) => !topic.position && topic.qos === this.#qos)
    const setup: Setup = { type: 'setup', token, topics: fresh.map((topic) => topic.ask().topic), qos: this.#qos }
    if (fits(setup)) return setup
    this.unask() // each is asked for on its own
    return { ...setup, topics: undefined }
  }

  /** What is left to say once a connection is ready: what its session or its URL may have against our will, then what it lacks. */
  complete(): ClientFrame[] {
    this.unask()
    return [...[...this.#all('left'), ...this.#all('paused')].map((topic) => this.leave(topic)), ...this.ask()]
  }

  /** The questions for every topic that this connection does not have yet, from its own position. */
  ask(): Subscribe[] {
    return this.#all('off').map((topic) => topic.ask())
  }

  leave(topic: Topic): Unsubscribe {
    topic.pending++
    return { type: 'unsubscribe', topic: topic.name }
  }

  /** A loop lags: its topic stops until it caught up. */
  pause(topic: Topic): Unsubscribe {
    topic.phase = 'paused'
    this.#paused = true
    return this.leave(topic)
  }

  /** The loops caught up; whether topics are to be asked for. */
  unpause(): boolean {
    if (!this.#paused) return false
    this.#paused = false
    for (const topic of this.#all('paused')) topic.phase = 'off'
    return true
  }

  /** A topic was refused: for good, or `'later'`, or that was not the answer that counts. */
  refused(topic: Topic, { code, retryable }: ErrorFrame): boolean | 'later' {
    const asked = topic.phase === 'asked'
    const settled = topic.settled()
    if (!asked) return code === 'ACL_DENIED' || topic.phase === 'left'
    if (!settled || !retryable) return settled
    topic.phase = 'off'
    return 'later'
  }

  /** Acks for what was taken, each once. */
  acks(): ClientAck[] {
    return this.#all('live').flatMap((topic) => {
      const seqNo = topic.due()
      return seqNo ? [{ type: 'ack', topic: topic.name, seqNo }] : []
    })
  }

  /** No question of this connection will be answered any more. */
  unask(): void {
    for (const topic of this.#known.values()) topic.unask()
  }

  /** The connection is gone. */
  cut(): void {
    for (const topic of this.#known.values()) topic.cut()
  }

  /** The socket is gone. */
  end(error: Error): void {
    for (const topic of this.#known.values()) topic.answer.reject(error)
  }

  #all(phase: Topic['phase']): Topic[] {
    return [...this.#known.values()].filter((topic) => topic.phase === phase)
  }
}
