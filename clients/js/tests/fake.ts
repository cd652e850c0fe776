// A WebSocket that follows a script, and a socket on it whose clock stands still until it is moved.
import type { TestContext } from 'node:test'
import { type Options, SubSocket, type Token } from 'micro-socket-client'

export class Fake {
  onopen: (() => void) | null = null
  onmessage: ((event: { data: string }) => void) | null = null
  onerror: (() => void) | null = null
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null
  /** What the client sent. */
  sent: string[] = []
  closing: unknown[] | undefined

  constructor(readonly url: string) {}

  send(text: string): void {
    this.sent.push(text)
  }

  close(...closing: unknown[]): void {
    this.closing = closing
  }
}

export class Rig {
  fakes: Fake[] = []
  /** What the program saw, one line each. */
  seen: string[] = []
  socket: SubSocket<number>

  constructor(
    readonly t: TestContext,
    topics: string[] = [],
    options: Options = {},
    token: Token = 'me',
  ) {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
    t.mock.method(Math, 'random', () => 0.5)
    const { fakes, seen } = this
    class WebSocket extends Fake {
      constructor(url: string) {
        super(url)
        fakes.push(this)
      }
    }
    this.socket = SubSocket.byTopics('ws://gateway/ws', token, topics, { ...options, WebSocket })
    const on = this.socket.on.bind(this.socket)
    on('open', () => seen.push('open'))
    on('ready', ({ resumed }) => seen.push(resumed ? 'resumed' : 'ready'))
    on('subscribed', ({ topic, seqNo, recovered }) => seen.push(`subscribed ${topic} ${seqNo} ${recovered ?? ''}`.trim()))
    on('unsubscribed', ({ topic }) => seen.push(`unsubscribed ${topic}`))
    on('message', ({ topic, seqNo }) => seen.push(`${topic}#${seqNo}`))
    on('gap', ({ topic, after, before }) => seen.push(`gap ${topic} ${after}..${before}`))
    on('error', ({ code }) => seen.push(`error ${code}`))
    on('close', ({ code, reconnectIn }) => seen.push(`close ${code} ${reconnectIn ?? 'for good'}`))
  }

  get fake(): Fake {
    return this.fakes.at(-1)!
  }

  /** What the program saw since the last time. */
  took(): string[] {
    return this.seen.splice(0)
  }

  /** What the client sent since the last time. */
  sent(): string[] {
    return this.fake.sent.splice(0)
  }

  /** Lets what is under way come to rest. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }

  async open(): Promise<void> {
    this.fake.onopen?.()
    await this.rest()
  }

  receive(frame: object): void {
    this.fake.onmessage?.({ data: JSON.stringify(frame) })
  }

  ready(more: object = {}): void {
    this.receive({ type: 'ready', sessionId: 's', resumed: false, userId: 'me', ...more })
  }

  subscribed(topic: string, seqNo: number, more: object = {}): void {
    this.receive({ type: 'subscribed', topic, seqNo, epoch: 'e1', ...more })
  }

  message(topic: string, seqNo: number, more: object = {}): void {
    this.receive({ type: 'message', topic, seqNo, messageId: `m${seqNo}`, data: seqNo, ...more })
  }

  error(code: string, more: object = {}): void {
    this.receive({ type: 'error', code, message: '', retryable: false, ...more })
  }

  closed(code: number): void {
    this.fake.onclose?.({ code, reason: '', wasClean: true })
  }

  tick(ms: number): void {
    this.t.mock.timers.tick(ms)
  }

  /** Ready, with these topics at seqNo 5 of epoch e1. */
  static async ready(t: TestContext, topics: string[] = [], options: Options = {}): Promise<Rig> {
    const rig = new Rig(t, topics, options)
    await rig.open()
    for (const topic of topics) rig.subscribed(topic, 5)
    rig.ready()
    await rig.rest()
    rig.sent()
    rig.took()
    return rig
  }

  /** Closes with 1012 and opens the next connection. */
  async reopen(): Promise<void> {
    this.closed(1012)
    this.tick(30_000)
    await this.open()
  }

  /** The same, to a gateway that lost the session. */
  async reopenAnew(): Promise<void> {
    await this.reopen()
    this.error('SESSION_EXPIRED')
  }
}
