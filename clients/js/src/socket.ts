import { Attempts, type Backoff } from './backoff.js'
import { type Deferred, Emitter, deferred } from './emitter.js'
import { SubSocketError, refusal } from './errors.js'
import type { Ack, ClientFrame, ErrorFrame, Message, Ready, ServerFrame, Subscribed } from './frames.js'
import { Inbox } from './inbox.js'
import { Link } from './link.js'
import { Publishes } from './publishes.js'
import { Topics, bytes, isText } from './topics.js'
import type { Events, Options, Position, PublishOptions, State, SubscribeOptions, Token, WebSocketClass } from './types.js'

/** How long an ack may wait for more messages to acknowledge with it. Times are in milliseconds. */
const ACK_DELAY = 200
/** The pause before a topic is asked for again that could not be subscribed for the moment. */
const TOPIC_RETRY = 1_000
/** The pause before a token function that failed is asked again. */
const TOKEN_RETRY = 10_000
/** The longest timer there is. */
const MAX_TIMER = 2 ** 31 - 1

type Timer = 'connect' | 'topics' | 'acks' | 'token'

const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')

/**
 * A socket to the gateway. It connects by itself, and after a cut comes back, goes on from its own
 * position in each topic and sends publishes without an ack again under their own id: the program sees
 * each message once and in order, or is told that some are lost (`subscribed` with `recovered: false`).
 *
 * `T` is the type of the messages' `data`.
 */
export class SubSocket<T = unknown> implements AsyncIterable<Message<T>> {
  /** Resolves when the gateway is ready for the first time; rejects when the socket ends before that. */
  readonly ready: Promise<Ready>
  #url: string
  #token: Token
  #backoff: Backoff | undefined
  #WebSocket: WebSocketClass
  #state: State = 'connecting'
  #link: Link | undefined
  #timers: { [name in Timer]?: ReturnType<typeof setTimeout> } = {}
  #readySince = 0
  #attempts = new Attempts()
  /** The token that this connection was opened with, and what it came from. */
  #current = ''
  #asked: Token
  #session: string | undefined
  #resuming = false
  #topics: Topics
  #publishes = new Publishes()
  #events = new Emitter<Events<T>>()
  #inbox: Inbox<T>
  #ready: Deferred<Ready> = deferred(true)
  #ended: Deferred<void> = deferred()
  /** The last refusal of this connection that was not about a topic or a publish. */
  #refusal: SubSocketError | undefined

  /** A URL that names its topic, such as `wss://gateway.example/ws/sub/prices`. In a page `/ws/sub/prices` will do. */
  static byUrl<T = unknown>(url: string, token: Token, options?: Options): SubSocket<T> {
    return new SubSocket<T>(url, token, [], options)
  }

  /** A URL such as `wss://gateway.example/ws`, and the topics to subscribe. In a page `/ws` will do. */
  static byTopics<T = unknown>(url: string, token: Token, topics: Iterable<string>, options?: Options): SubSocket<T> {
    return new SubSocket<T>(url, token, topics, options)
  }

  private constructor(url: string, token: Token, topics: Iterable<string>, options: Options = {}) {
    const page = (globalThis as { location?: { href: string } }).location
    const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket
    if (!WebSocket) {
      throw new SubSocketError('NO_WEBSOCKET', 'there is no WebSocket here; pass one as an option: { WebSocket } of the package ws')
    }
    this.#url = new URL(url, page?.href).href.replace(/^http/, 'ws')
    this.#token = this.#asked = token
    this.#backoff = options.reconnect === false ? undefined : { first: 100, limit: 30_000, ...options.reconnect }
    this.#WebSocket = WebSocket
    this.#inbox = new Inbox(
      options.bufferSize ?? 1024,
      ({ message, size, generation }) => this.#taken(message, size, generation),
      () => this.#topics.unpause() && this.#ask(),
      () => this.#events.has('message'),
    )
    this.ready = this.#ready.promise
    this.#topics = new Topics(topics, options.qos)
    this.#connect()
  }

  get state(): State {
    return this.#state
  }

  /** Calls the listener for each event of this name; gives the function that removes it. */
  on<K extends keyof Events>(type: K, listener: (event: Events<T>[K]) => void): () => void {
    const remove = this.#events.on(type, listener)
    if (type === 'message') this.#inbox.listen((message) => this.#events.emit('message', message))
    return remove
  }

  /**
   * The messages, until the socket ends; throws when it ends by anything but `close()`. The first loop
   * or listener gets everything from the beginning, and one that follows the last what that one left. A
   * loop that lags pauses its topics, which go on from the history when it caught up.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Message<T>, void, undefined> {
    return this.#inbox.read()
  }

  /**
   * Subscribes a topic, now and after each reconnect. Resolves with the gateway's answer; rejects when
   * it is refused, which the event `error` tells too.
   */
  subscribe(name: string, { lastSeq, epoch, qos }: SubscribeOptions = {}): Promise<Subscribed> {
    // The refusal of what the gateway cannot read would name no topic.
    const readable = [name, epoch ?? ''].every(isText) && Number.isSafeInteger(lastSeq ?? 0) && (lastSeq ?? 0) >= 0 && [0, 1].includes(qos ?? 0)
    if (this.#over() || !readable) {
      const never = deferred<Subscribed>(true)
      const [code, why] = readable ? (['CLOSED', 'the socket is closed'] as const) : (['BAD_REQUEST', 'topic and epoch must be well-formed text, lastSeq a whole number from 0, qos 0 or 1'] as const)
      never.reject(new SubSocketError(code, why, { topic: name }))
      return never.promise
    }
    const topic = this.#topics.get(name)
    const other = qos !== undefined && qos !== topic.qos
    if (other) topic.qos = qos
    if (lastSeq !== undefined) topic.position = { epoch, seqNo: lastSeq }
    if (other || lastSeq !== undefined || topic.phase === 'left') topic.again()
    if (topic.phase === 'off' && this.#state === 'ready') this.#send(topic.ask())
    return topic.answer.promise
  }

  /** Stops receiving a topic: no message of it comes after this, but for those that a loop has not taken yet. */
  unsubscribe(name: string): void {
    const topic = this.#topics.get(name)
    topic.leave()
    if (this.#state === 'ready') this.#send(this.#topics.leave(topic)) // else the gateway is told once it is ready
  }

  /**
   * How far this program is in a topic: `subscribe(topic, { lastSeq: seqNo, epoch })` goes on from there.
   * What a loop has not taken yet comes after it.
   */
  position(topic: string): Position | undefined {
    const position = this.#topics.find(topic)?.position
    const waiting = position && this.#inbox.oldest(topic)
    return waiting ? { epoch: waiting.epoch, seqNo: waiting.message.seqNo - 1 } : position && { ...position }
  }

  /**
   * Publishes to a topic; resolves with the ack once the gateway keeps the message. After a cut the
   * same publish is sent again, which has one effect.
   */
  async publish(topic: string, payload: unknown, options: PublishOptions = {}): Promise<Ack> {
    const { messageId = randomId(), sig } = options
    const bad = (why: string) => new SubSocketError('BAD_REQUEST', why, { messageId })
    // What the gateway cannot read it cannot answer: it does not know which publish that was.
    if (![topic, messageId, sig ?? ''].every(isText)) throw bad('topic, messageId and sig must be well-formed text')
    if (!/^[^\0-\x1f\x7f-\x9f]+$/.test(messageId) || bytes(messageId) > 128) {
      throw bad('messageId must have 1 to 128 bytes and no control characters')
    }
    const data: string | undefined = JSON.stringify(payload ?? null)
    if (data === undefined) throw bad('JSON has no words for this payload')
    if (this.#over()) throw new SubSocketError('CLOSED', 'the socket is closed', { messageId })
    const signed = sig === undefined ? '' : `,"sig":${JSON.stringify(sig)}`
    const text = `${JSON.stringify({ type: 'publish', topic, messageId }).slice(0, -1)},"payload":${data}${signed}}`
    const ready = this.#state === 'ready'
    const answer = this.#publishes.add(messageId, text, ready)
    if (ready) this.#link?.send(text)
    return answer
  }

  /** Replaces the token by one of the same user, or by a function, now and for later reconnects. */
  refresh(token: Token = this.#token): void {
    this.#token = token
    if (this.#state === 'ready') void this.#refresh()
  }

  /** Closes the socket for good; resolves when it is closed. Publishes without an ack reject. */
  close(code = 1000, reason = ''): Promise<void> {
    if (!this.#over()) {
      this.#acknowledge()
      this.#link?.close(code, reason)
      this.#state = 'closing'
      if (!this.#link) this.#closed(code, reason, true)
    }
    return this.#ended.promise
  }

  #over(): boolean {
    return this.#state === 'closing' || this.#state === 'closed'
  }

  #send(frame: ClientFrame): void {
    this.#link?.send(frame)
  }

  #tell(error: SubSocketError): void {
    if (!this.#events.emit('error', error)) console.warn(String(error))
  }

  #later(name: Timer, ms: number, then: () => void): void {
    clearTimeout(this.#timers[name])
    this.#timers[name] = setTimeout(then, Math.min(ms, MAX_TIMER))
  }

  // ---------------------------------------------------------------- from dialing to ready

  #connect(): void {
    this.#state = 'connecting'
    this.#refusal = undefined
    const link: Link = new Link(this.#WebSocket, this.#url, {
      opened: () => void this.#opened(link),
      text: (text) => this.#text(text),
      closed: (code, reason, wasClean) => this.#closed(code, reason, wasClean),
    })
    this.#link = link
  }

  async #opened(link: Link): Promise<void> {
    this.#events.emit('open', undefined)
    this.#asked = this.#token
    const token = await this.#getToken()
    if (link !== this.#link || this.#over()) return
    if (token === undefined) return link.abort('there is no token')
    this.#current = token
    const resume = this.#session === undefined ? undefined : this.#topics.resume(token, this.#session)
    this.#resuming = !!resume
    this.#send(resume ?? this.#topics.setup(token))
  }

  async #getToken(): Promise<string | undefined> {
    try {
      return typeof this.#token === 'string' ? this.#token : await this.#token()
    } catch (error) {
      this.#refusal = new SubSocketError('NO_TOKEN', String(error), { retryable: true, cause: error })
      this.#tell(this.#refusal)
      return undefined
    }
  }

  #onReady(frame: Ready): void {
    this.#session = frame.sessionId
    clearTimeout(this.#timers.token)
    if (frame.expiresIn !== undefined && typeof this.#token === 'function') {
      this.#later('token', Math.max(1_000, frame.expiresIn * 800), () => void this.#refresh())
    }
    if (this.#state === 'connecting') {
      this.#state = 'ready'
      this.#readySince = Date.now()
      this.#resuming = false
      this.#link?.watch()
      if (this.#token !== this.#asked) void this.#refresh() // replaced since
      for (const frame of this.#topics.complete()) this.#send(frame)
      this.#acknowledge()
      for (const text of this.#publishes.texts()) this.#link?.send(text)
    }
    this.#ready.resolve(frame)
    this.#events.emit('ready', frame)
  }

  async #refresh(): Promise<void> {
    const link = this.#link
    if (typeof this.#token === 'function') this.#later('token', TOKEN_RETRY, () => void this.#refresh()) // unless `ready` comes
    const asked = this.#token
    const token = typeof asked === 'string' ? asked : await this.#getToken() // a text goes out at once
    if (link !== this.#link || this.#state !== 'ready' || token === undefined || asked !== this.#token) return
    this.#send({ type: 'refresh', token })
  }

  // ---------------------------------------------------------------- what comes in

  #text(text: string): void {
    let frame: ServerFrame<T>
    try {
      frame = JSON.parse(text)
    } catch {
      return this.#tell(new SubSocketError('BAD_FRAME', `not a frame: ${String(text).slice(0, 99)}`))
    }
    switch (frame?.type) {
      case 'message':
        return this.#message(frame, text.length)
      case 'ack':
        return void this.#publishes.settle(frame.messageId, frame)
      case 'ready':
        return this.#onReady(frame)
      case 'subscribed':
        // Nobody asked: the session is one from before it was left. It is left again with `ready`.
        if (frame.recovered !== undefined && !this.#topics.find(frame.topic)) this.#topics.get(frame.topic).leave()
        if (this.#topics.get(frame.topic).subscribed(frame)) this.#events.emit('subscribed', frame)
        return
      case 'unsubscribed': {
        const topic = this.#topics.find(frame.topic)
        // The answer to ours, or an operator took the topic away.
        if (!topic?.settled() || (topic.phase !== 'left' && topic.phase !== 'live')) return
        this.#topics.forget(frame.topic)
        this.#events.emit('unsubscribed', frame)
        return
      }
      case 'error':
        return this.#refused(frame)
    }
  }

  #message(message: Message<T>, size: number): void {
    const topic = this.#topics.find(message.topic)
    const { topic: name, seqNo, prevSeq = seqNo - 1 } = message
    if (topic?.phase !== 'live' || !topic.position || seqNo <= topic.position.seqNo) return
    if (!this.#inbox.fits(size)) {
      // Not taken, so the position stays: the replay will begin with it.
      return this.#send(this.#topics.pause(topic))
    }
    const after = topic.position.seqNo
    topic.position.seqNo = seqNo
    if (prevSeq > after) this.#events.emit('gap', { topic: name, after, before: seqNo })
    const { generation, position } = topic
    if (this.#inbox.put({ message, size, generation, epoch: position.epoch })) this.#events.emit('message', message)
  }

  #refused(frame: ErrorFrame): void {
    if (this.#resuming && frame.code === 'SESSION_EXPIRED') {
      // The same socket does without the session; `ready` will say that it is a new one.
      this.#resuming = false
      this.#session = undefined
      return this.#send(this.#topics.setup(this.#current))
    }
    const error = refusal(frame)
    if (frame.messageId !== undefined) {
      if (this.#publishes.settle(frame.messageId, error)) return
    } else if (frame.topic === undefined) {
      this.#refusal = error
    } else if (frame.code !== 'BAD_ACK') {
      const topic = this.#topics.find(frame.topic)
      const gone = topic && this.#topics.refused(topic, frame)
      if (gone === 'later') this.#later('topics', TOPIC_RETRY, () => this.#ask())
      else if (gone) {
        topic.answer.reject(error)
        this.#topics.forget(frame.topic)
      }
    }
    this.#tell(error)
    // The gateway waits for another setup, but not long: better to come back later.
    if (this.#refusal === error && frame.retryable && this.#state === 'connecting') {
      this.#link?.abort('the gateway cannot set up a socket now')
    }
  }

  /** Asks for the topics that this connection lacks. */
  #ask(): void {
    if (this.#state === 'ready') for (const question of this.#topics.ask()) this.#send(question)
  }

  #taken({ topic: name, seqNo }: Message<T>, size: number, generation: number): void {
    const topic = this.#topics.find(name)
    if (topic?.qos !== 1 || topic.generation !== generation) return
    if (topic.taken(seqNo, size)) this.#acknowledge()
    else this.#timers.acks ??= setTimeout(() => this.#acknowledge(), ACK_DELAY)
  }

  /** Sends the acks that wait. */
  #acknowledge(): void {
    clearTimeout(this.#timers.acks)
    delete this.#timers.acks
    if (this.#state !== 'ready') return // with `ready`
    for (const ack of this.#topics.acks()) this.#send(ack)
  }

  // ---------------------------------------------------------------- the end, or a pause

  #closed(code: number, reason: string, wasClean: boolean): void {
    const asked = this.#state === 'closing'
    const wasReady = this.#state === 'ready'
    const readyFor = wasReady ? Date.now() - this.#readySince : 0
    this.#link = undefined
    for (const timer of Object.values(this.#timers)) clearTimeout(timer)
    this.#timers = {}
    this.#resuming = false
    this.#topics.cut()
    // `setup` did not arrive in time: without a refusal the next one can, since a token may be slow once.
    const advice = code === 4002 && !this.#refusal ? 1006 : code
    const wait = asked || !this.#backoff ? undefined : this.#attempts.next(this.#backoff, advice, readyFor, Math.random())
    const event = { code, reason, wasClean }
    if (wait !== undefined) {
      this.#state = 'waiting'
      this.#later('connect', wait, () => this.#connect())
      this.#events.emit('close', { ...event, reconnectIn: wait })
      return
    }
    this.#state = 'closed'
    const why = `the socket closed with ${code}${reason && `: ${reason}`}`
    const error = Object.assign((!wasReady && this.#refusal) || new SubSocketError('CLOSED', why), { closeCode: code })
    this.#publishes.fail(why)
    this.#topics.end(error)
    this.#ready.reject(error)
    this.#inbox.end(asked ? undefined : error)
    this.#ended.resolve()
    this.#events.emit('close', event)
  }
}
