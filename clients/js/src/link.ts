// One WebSocket from dialing to its end, which it tells once, whatever happens.
import type { WebSocketClass, WebSocketLike } from './types.js'

/** How long opening the WebSocket, and then `setup`, may take. Times are in milliseconds. */
const SETUP_TIMEOUT = 10_000
/** How long the close event may stay away after an error. */
const ERROR_TIMEOUT = 100
/** How long the peer may take to answer a close. */
const CLOSE_TIMEOUT = 5_000
/** After this long without a frame a `ping` asks whether the gateway is still there. */
const IDLE = 25_000
/** How long the answer to that may take. */
const PONG_TIMEOUT = 10_000

export interface LinkEvents {
  opened(): void
  text(text: string): void
  closed(code: number, reason: string, wasClean: boolean): void
}

export class Link {
  #socket: WebSocketLike
  #events: LinkEvents
  #timer: ReturnType<typeof setTimeout> | undefined
  #heard = false

  constructor(WebSocket: WebSocketClass, url: string, events: LinkEvents) {
    const socket = new WebSocket(url)
    this.#socket = socket
    this.#events = events
    this.#within(SETUP_TIMEOUT, 'opening the socket took too long')
    socket.onopen = () => {
      this.#within(SETUP_TIMEOUT, 'setup took too long')
      events.opened()
    }
    socket.onmessage = (event) => {
      this.#heard = true
      events.text(event.data)
    }
    // It says nothing; the close event after it says what there is, where there is one.
    socket.onerror = () => this.#within(ERROR_TIMEOUT, 'the connection failed')
    socket.onclose = (event) => this.#end(event.code, event.reason, event.wasClean)
  }

  send(frame: object | string): void {
    this.#socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** Begins the closing handshake. */
  close(code: number, reason: string): void {
    this.#socket.close(code, reason)
    this.#within(CLOSE_TIMEOUT, 'the close was not answered in time')
  }

  /** It is set up: from now on silence is looked into. */
  watch(): void {
    this.#heard = false
    this.#arm(IDLE, () => {
      if (this.#heard) return this.watch()
      this.send({ type: 'ping' })
      this.#arm(PONG_TIMEOUT, () => (this.#heard ? this.watch() : this.abort('the gateway no longer answers')))
    })
  }

  /** Drops the WebSocket at once. */
  abort(reason: string): void {
    const socket = this.#socket
    this.#end(1006, reason, false, () => (socket.terminate ? socket.terminate() : socket.close()))
  }

  #within(ms: number, otherwise: string): void {
    this.#arm(ms, () => this.abort(otherwise))
  }

  #arm(ms: number, then: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(then, ms)
  }

  #end(code: number, reason: string, wasClean: boolean, drop?: () => void): void {
    const socket = this.#socket
    clearTimeout(this.#timer)
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.onerror = () => {} // an error that nobody hears would be thrown
    drop?.()
    this.#events.closed(code, reason, wasClean)
  }
}
