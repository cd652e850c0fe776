import type { ErrorCode, ErrorFrame } from './frames.js'

/**
 * Codes of the gateway, and those of this client: `CLOSED` (the socket ended, or the topic was left,
 * before the answer came), `FULL` (too many publishes wait for their acks), `BAD_FRAME` (not a frame
 * of the gateway), `NO_TOKEN` (the token function failed), `NO_WEBSOCKET` (there is none here).
 */
export type Code = ErrorCode | 'CLOSED' | 'FULL' | 'BAD_FRAME' | 'NO_TOKEN' | 'NO_WEBSOCKET'

type About = Partial<Pick<SubSocketError, 'retryable' | 'topic' | 'messageId' | 'closeCode' | 'cause'>>

/** A refusal by the gateway or by the client. */
export class SubSocketError extends Error {
  override readonly name = 'SubSocketError'
  /** Whether the same can succeed later. */
  readonly retryable: boolean = false
  /** The topic it is about. */
  declare readonly topic?: string
  /** The publish it is about. */
  declare readonly messageId?: string
  /** The close code, where the socket ended with it. */
  declare readonly closeCode?: number

  constructor(
    readonly code: Code,
    message: string,
    about?: About,
  ) {
    super(`${code}: ${message}`)
    Object.assign(this, about)
  }
}

export const refusal = ({ code, message, retryable, topic, messageId }: ErrorFrame): SubSocketError =>
  new SubSocketError(code, message, { retryable, topic, messageId } as About)
