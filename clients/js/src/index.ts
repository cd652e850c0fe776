/** The client of the Micro Socket gateway: see `SubSocket`. */
export { SubSocket } from './socket.js'
export { SubSocketError } from './errors.js'
export type { Backoff } from './backoff.js'
export type { Code } from './errors.js'
export type * from './frames.js'
export type { Close, Events, Gap, Options, Position, PublishOptions, Qos, State, SubscribeOptions, Token, WebSocketClass, WebSocketLike } from './types.js'
