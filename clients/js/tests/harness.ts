// The real gateway, a wire that can be cut, and sockets that are closed after their test.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Events, type Message, type Options, SubSocket, type Token } from 'micro-socket-client'
import WebSocket from 'ws'

const BINARY = resolve(process.env.MICRO_SOCKET_BIN ?? '../../target/release/micro-socket')
/** Whatever takes longer is broken, on a busy machine too. */
export const TIMEOUT = { timeout: 60_000 }
export const SECRET = 'a secret of tests, of 32 bytes or more'

/** A port that nobody listens on, below those that the kernel gives away: while a gateway is away, no client's socket gets it by chance. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch {
      continue
    }
    await new Promise((closed) => server.close(closed))
    return port
  }
}

export class Gateway {
  #process: ChildProcess | undefined
  port = 0

  private constructor(
    readonly folder: string,
    readonly flags: string[],
  ) {}

  /** A gateway that is not started yet, but has its port. */
  static async later(t: TestContext, ...flags: string[]): Promise<Gateway> {
    const gateway = new Gateway(mkdtempSync(join(tmpdir(), 'micro-socket-js-')), flags)
    gateway.port = await freePort()
    t.after(async () => {
      await gateway.kill()
      rmSync(gateway.folder, { recursive: true, force: true })
    })
    return gateway
  }

  static async start(t: TestContext, ...flags: string[]): Promise<Gateway> {
    const gateway = await Gateway.later(t, ...flags)
    await gateway.start()
    return gateway
  }

  async start(): Promise<void> {
    const env = { PATH: process.env.PATH, MICRO_SOCKET_JWT_SECRET: this.flags.includes('jwt') ? SECRET : undefined }
    const flags = ['--addr', `127.0.0.1:${this.port}`, ...this.flags]
    const child = spawn(BINARY, flags, { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text))
    child.on('error', (error) => (said += error))
    while (!(await fetch(`${this.http}/readyz`).catch(() => undefined))?.ok) {
      if (child.exitCode !== null || child.pid === undefined) throw new Error(`the gateway did not start: ${said}`)
      await sleep(20)
    }
  }

  /** kill -9 */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }

  get http(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws`
  }

  /** Publishes over HTTP, by a user of its own. */
  async publish(topic: string, payload: unknown, token = 'somebody'): Promise<void> {
    const headers = { Authorization: `Bearer ${token}` }
    const answer = await fetch(`${this.http}/api/publish`, { method: 'POST', headers, body: JSON.stringify({ topic, payload }) })
    if (!answer.ok) throw new Error(await answer.text())
  }

  async stats(): Promise<Record<string, number>> {
    return (await fetch(`${this.http}/stats`)).json() as Promise<Record<string, number>>
  }
}

/** Passes bytes on until it is told to cut. */
export class Wire {
  #server = createServer((client) => this.#accept(client))
  #sockets = new Set<Socket>()
  /** While it is false, nothing comes through. */
  open = true

  private constructor(readonly to: number) {}

  static async to(t: TestContext, gateway: Gateway): Promise<Wire> {
    const wire = new Wire(gateway.port)
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    t.after(() => {
      wire.cut()
      wire.#server.close()
    })
    return wire
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws`
  }

  #accept(client: Socket): void {
    if (!this.open) return void client.destroy()
    const gateway = connect(this.to, '127.0.0.1')
    for (const socket of [client, gateway]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        gateway.destroy()
      })
    }
    client.pipe(gateway).pipe(client)
  }

  /** Ends every connection without a close frame. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** Comes back fast, so that tests do. */
const OPTIONS = { WebSocket, reconnect: { first: 20, limit: 200 } }

export function byTopics<T = unknown>(t: TestContext, url: string, topics: string[], token: Token = 'ann', options: Options = {}): SubSocket<T> {
  const socket = SubSocket.byTopics<T>(url, token, topics, { ...OPTIONS, ...options })
  t.after(() => socket.close())
  return socket
}

export function byUrl<T = unknown>(t: TestContext, url: string, token: Token = 'ann', options: Options = {}): SubSocket<T> {
  const socket = SubSocket.byUrl<T>(url, token, { ...OPTIONS, ...options })
  t.after(() => socket.close())
  return socket
}

/** The next event of a name that fits. */
export function next<T, K extends keyof Events>(
  socket: SubSocket<T>,
  type: K,
  fits: (event: Events<T>[K]) => boolean = () => true,
): Promise<Events<T>[K]> {
  return new Promise((resolve) => {
    const remove = socket.on(type, (event) => {
      if (!fits(event)) return
      remove()
      resolve(event)
    })
  })
}

/** A loop that takes one message at a time. */
export function reader<T>(socket: SubSocket<T>): () => Promise<Message<T>> {
  const loop = socket[Symbol.asyncIterator]()
  return async () => {
    const { value, done } = await loop.next()
    if (done) throw new Error('the socket ended')
    return value
  }
}

/** Waits until something is so. */
export async function until(so: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await so())) await sleep(10)
}

/** A token for `--auth jwt`. */
export function jwt(topics: { read?: string[]; write?: string[] }, seconds = 60, sub = 'ann'): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub, topics, exp: Math.floor(Date.now() / 1000) + seconds, jti: crypto.randomUUID() }
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`
}
