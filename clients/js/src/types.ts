// What a program says to a socket and sees of it, besides the frames themselves.
import type { Backoff } from './backoff.js'
import type { SubSocketError } from './errors.js'
import type { Message, Ready, Subscribed, Unsubscribed } from './frames.js'

/**
 * Who you are: a token, or a function that gets one. The function is asked on every connection once it
 * is open, where it has less than 10 s, and again before a token expires.
 */
export type Token = string | (() => string | Promise<string>)

/** 0: the gateway sends as fast as the socket takes it. 1: it holds back until the program took what came. */
export type Qos = 0 | 1

/** A place in a topic. `epoch` names the numbering that `seqNo` belongs to. */
export interface Position {
  epoch?: string | undefined
  seqNo: number
}

/** `waiting`: for the next attempt to connect. `closed`: for good. */
export type State = 'connecting' | 'ready' | 'waiting' | 'closing' | 'closed'

export interface Options {
  /** Quality of service of topics that say nothing else. Default 0. */
  qos?: Qos
  /** How to come back after a cut; `false` for never. Default 100 ms to 30 s, full jitter. */
  reconnect?: Partial<Backoff> | false
  /** How many messages may wait for a `for await` loop before its topics pause. Default 1024. */
  bufferSize?: number
  /** The WebSocket to use where there is no global one, as in Node before 22: that of the package `ws`. */
  WebSocket?: WebSocketClass
}

export interface SubscribeOptions {
  /** First replay what came after this seqNo; 0 for everything that is kept. */
  lastSeq?: number
  /** The epoch of `lastSeq`, if you know it. */
  epoch?: string
  /** Quality of service of this topic. Default that of the socket. */
  qos?: Qos
}

export interface PublishOptions {
  /** Your own name for the message, 1 to 128 bytes: the same one again has no second effect. Default random. */
  messageId?: string
  /** A signature that travels with the message unchanged. */
  sig?: string
}

/** Messages are missing although the gateway promised them. A fault to report. */
export interface Gap {
  topic: string
  /** The last message before the hole. */
  after: number
  /** The first message after it. */
  before: number
}

/** The WebSocket is gone, or could not be opened (code 1006). */
export interface Close {
  code: number
  reason: string
  wasClean: boolean
  /** Milliseconds until the next attempt; absent when there is none. */
  reconnectIn?: number
}

/** The events of a socket, by name. */
export interface Events<T = unknown> {
  /** The WebSocket is open; nothing is set up yet. */
  open: undefined
  /** Set up, or gone on with (`resumed`). Comes again after each reconnect and refresh. */
  ready: Ready
  /** A topic is subscribed. `recovered: false`: messages up to `seqNo` are lost to this program. */
  subscribed: Subscribed
  unsubscribed: Unsubscribed
  /** A message of a subscribed topic: in order, each once. */
  message: Message<T>
  gap: Gap
  /** Something was refused. Refused publishes reject their own promise instead. */
  error: SubSocketError
  close: Close
}

/** The part of the browsers' WebSocket that is used. */
export interface WebSocketLike {
  onopen: ((event: any) => void) | null
  onmessage: ((event: any) => void) | null
  onerror: ((event: any) => void) | null
  onclose: ((event: any) => void) | null
  send(text: string): void
  close(code?: number, reason?: string): void
  /** Of `ws`: ends it without a handshake. */
  terminate?(): void
}

export type WebSocketClass = new (url: string) => WebSocketLike
