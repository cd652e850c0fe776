// The frames of the protocol, made from the gateway's own types. Not to be edited: UPDATE=1 npm test frames

/** What became of a publish. */
export type AckStatus = 'ok' | 'duplicate'

export type ErrorCode = 'AUTH_REQUIRED' | 'AUTH_FAILED' | 'TOKEN_EXPIRED' | 'ACL_DENIED' | 'SESSION_EXPIRED' | 'BAD_REQUEST' | 'BAD_TOPIC' | 'ALREADY_SETUP' | 'LIMIT_EXCEEDED' | 'TOO_MANY_REQUESTS' | 'NOT_AVAILABLE' | 'BAD_ACK' | 'INTERNAL'

/** Why a position could not be gone on from. */
export type UnrecoveredReason = 'epoch' | 'trimmed' | 'ahead' | 'unknown'

/** The answer to publish: the message is kept at this position. duplicate repeats the position of the first. */
export interface Ack {
  type: 'ack'
  /** The publisher's name for the message. */
  messageId: string
  /** `ok` or `duplicate`. */
  status: AckStatus
  /** The topic it is kept in. */
  topic: string
  /** Its place in the topic. */
  seqNo: number
  /** The epoch of that number. */
  epoch: string
}

/** Says that everything of a topic up to seqNo was received. Moves the session's position. */
export interface ClientAck {
  type: 'ack'
  /** The topic. */
  topic: string
  /** The last seqNo received. */
  seqNo: number
}

/** A request was refused. The socket stays open unless a close follows. */
export interface ErrorFrame {
  type: 'error'
  /** Which kind of refusal. */
  code: ErrorCode
  /** The cause and the mend, for people. */
  message: string
  /** Whether the same request can succeed later. */
  retryable: boolean
  /** The publish it is about. */
  messageId?: string | undefined
  /** The topic it is about. */
  topic?: string | undefined
}

/** A message of a topic you subscribe, in the topic's one order. */
export interface Message<T = unknown> {
  type: 'message'
  /** The topic. */
  topic: string
  /** Its place in the topic. */
  seqNo: number
  /** The publisher's name for it. */
  messageId: string
  /** The payload that was published, byte for byte. */
  data: T
  /** The place of the message before it, where that is not `seqNo` - 1; 0 where none before it is kept. */
  prevSeq?: number | undefined
  /** The publisher's signature, if it sent one. */
  sig?: string | undefined
  /** When the gateway accepted it, in milliseconds since the Unix epoch. */
  ts?: number | undefined
}

/** Asks for a pong, since a browser cannot see WebSocket pings. */
export interface Ping {
  type: 'ping'
}

/** The answer to ping. */
export interface Pong {
  type: 'pong'
}

/** Sends a message to everyone who subscribes the topic, you too if you do. The same messageId again has no second effect and is answered with the first position. */
export interface Publish<T = unknown> {
  type: 'publish'
  /** The topic. */
  topic: string
  /** The publisher's own name for this message, 1 to 128 bytes. */
  messageId: string
  /** Any JSON value; it reaches subscribers byte for byte. */
  payload: T
  /** A signature that travels with the message unchanged. */
  sig?: string | undefined
}

/** The socket is set up; follows the answers to the topics of setup. */
export interface Ready {
  type: 'ready'
  /** Names the session for `resume`. */
  sessionId: string
  /** Whether an earlier session goes on. */
  resumed: boolean
  /** Who the token says you are. */
  userId: string
  /** What an `ack` means, where the log is brought to the disk only now and then. */
  durability?: string | undefined
  /** Seconds until the token expires; absent when it does not. */
  expiresIn?: number | undefined
  /** The gateway that you are on (setting node). */
  node?: string | undefined
}

/** Replaces the token before it expires by a new one of the same user. Answered by ready. */
export interface Refresh {
  type: 'refresh'
  /** A new token of the same user. */
  token: string
}

/** Goes on with an earlier session after a cut: the first frame instead of setup. Answered per topic by subscribed and the missed messages, then ready with resumed true. */
export interface Resume {
  type: 'resume'
  /** A token of the session's user. */
  token: string
  /** The session's id from `ready`. */
  sessionId: string
  /** The last seqNo received of each topic. */
  lastSeqPerTopic: Record<string, number>
  /** The epoch of each of those positions. */
  epochs?: Record<string, string> | undefined
}

/** Says who you are and, if you like, which topics to begin with. The first frame. Answered by one subscribed or error per topic in order, then ready. */
export interface Setup {
  type: 'setup'
  /** The token; with demo auth any non-empty text, which becomes the user. */
  token: string
  /** Quality of service of those topics: 0 (default) or 1. */
  qos?: number | undefined
  /** Topics to subscribe at once. */
  topics?: string[] | undefined
}

/** Receives a topic from now on; with lastSeq, first replays what came after it. Doing it twice changes nothing. */
export interface Subscribe {
  type: 'subscribe'
  /** The topic. */
  topic: string
  /** The epoch of `lastSeq`. */
  epoch?: string | undefined
  /** Replay what came after this seqNo first. */
  lastSeq?: number | undefined
  /** Quality of service: 0 (default) or 1, at least once with client acks. */
  qos?: number | undefined
}

/** The topic is subscribed. With a position given, recovered tells whether everything after it follows; it is all or nothing. */
export interface Subscribed {
  type: 'subscribed'
  /** The topic. */
  topic: string
  /** The seqNo of the topic's newest message; 0 when it has none. */
  seqNo: number
  /** The epoch of that number. */
  epoch: string
  /** Why not, when `recovered` is false. */
  reason?: UnrecoveredReason | undefined
  /** Whether everything after the given position follows. */
  recovered?: boolean | undefined
  /** How many messages follow. */
  replayed?: number | undefined
}

/** Stops receiving a topic. Doing it twice changes nothing. */
export interface Unsubscribe {
  type: 'unsubscribe'
  /** The topic. */
  topic: string
}

/** The topic is no longer subscribed; no message of it follows. */
export interface Unsubscribed {
  type: 'unsubscribed'
  /** The topic. */
  topic: string
}

/** What a client sends. */
export type ClientFrame<T = unknown> = Setup | Subscribe | Unsubscribe | Publish<T> | ClientAck | Resume | Refresh | Ping

/** What the gateway sends. */
export type ServerFrame<T = unknown> = Ready | Subscribed | Unsubscribed | Message<T> | Ack | Pong | ErrorFrame
