// What a program says and hears, on the real gateway.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Message, SubSocket, SubSocketError } from 'micro-socket-client'
import { Gateway, TIMEOUT, byTopics, byUrl, jwt, next, reader, until } from './harness.js'

test('one publish reaches every subscriber, by topics and by URL', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const ann = byTopics<{ n: number }>(t, gateway.url, ['a', 'b'])
  const bob = byUrl<{ n: number }>(t, `${gateway.url}/sub/b`, 'bob')
  const [ready] = await Promise.all([ann.ready, bob.ready])
  assert.equal(ready.userId, 'ann')
  const heard: Message<{ n: number }>[] = []
  bob.on('message', (message) => heard.push(message))
  const hear = reader(ann)
  const ack = await ann.publish('b', { n: 1 })
  assert.deepEqual([ack.status, ack.topic, ack.seqNo], ['ok', 'b', 1])
  const message = await hear()
  assert.deepEqual([message.topic, message.seqNo, message.messageId, message.data.n], ['b', 1, ack.messageId, 1])
  await until(() => heard.length === 1)
  assert.equal(heard[0]?.messageId, ack.messageId)
  assert.deepEqual(ann.position('b'), { epoch: ack.epoch, seqNo: 1 })
})

test('the same messageId has one effect', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics(t, gateway.url, ['t'])
  const both = await Promise.all([1, 2].map(() => socket.publish('t', null, { messageId: 'once' })))
  assert.deepEqual(both.map(({ status, seqNo }) => [status, seqNo]), [['ok', 1], ['duplicate', 1]])
  const again = await socket.publish('t', undefined, { messageId: 'twice', sig: 'signed' })
  assert.equal(again.seqNo, 2)
  const hear = reader(socket)
  assert.equal((await hear()).messageId, 'once')
  const { messageId, data, sig } = await hear()
  assert.deepEqual({ messageId, data, sig }, { messageId: 'twice', data: null, sig: 'signed' })
})

test('subscribe with lastSeq replays what is kept', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, [])
  for (const n of [1, 2, 3]) await socket.publish('t', n)
  const hear = reader(socket)
  const subscribed = await socket.subscribe('t', { lastSeq: 1 })
  assert.deepEqual([subscribed.recovered, subscribed.replayed, subscribed.seqNo], [true, 2, 3])
  assert.deepEqual([(await hear()).data, (await hear()).data], [2, 3])
  // From the beginning once more, on the same socket.
  const again = await socket.subscribe('t', { lastSeq: 0, epoch: subscribed.epoch })
  assert.equal(again.replayed, 3)
  assert.deepEqual([(await hear()).data, (await hear()).data, (await hear()).data], [1, 2, 3])
  const lost = await socket.subscribe('t', { lastSeq: 1, epoch: 'another' })
  assert.deepEqual([lost.recovered, lost.reason], [false, 'epoch'])
  await socket.publish('t', 4)
  assert.equal((await hear()).data, 4)
})

test('topics come and go', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<string>(t, gateway.url, ['a'])
  const hear = reader(socket)
  await socket.subscribe('b')
  assert.equal((await socket.subscribe('b')).topic, 'b', 'asking twice is the same')
  socket.unsubscribe('a')
  await socket.publish('a', 'not any more')
  await socket.publish('b', 'still')
  assert.equal((await hear()).data, 'still')
  assert.equal(socket.position('a'), undefined)
  // Left and wanted again at once, and the other way round.
  socket.unsubscribe('b')
  await socket.subscribe('b')
  const left = socket.subscribe('c')
  socket.unsubscribe('c')
  await assert.rejects(left, { code: 'CLOSED', topic: 'c' })
  await until(async () => (await gateway.stats()).subscriptions === 1)
  await socket.publish('c', 'never wanted')
  await socket.publish('b', 'again')
  assert.equal((await hear()).data, 'again')
})

test('names are any text', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const names = ['__proto__', 'constructor', 'a/b ü 🦀', '"']
  const socket = byTopics<string>(t, gateway.url, names)
  const hear = reader(socket)
  for (const name of names) {
    await socket.publish(name, name)
    assert.deepEqual((await hear()).topic, name)
  }
})

test('a refused topic and a refused publish say why', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t, '--auth', 'jwt')
  const socket = byTopics(t, gateway.url, ['mine', 'theirs'], jwt({ read: ['mine'], write: ['mine'] }))
  const refused = await next(socket, 'error')
  assert.ok(refused instanceof SubSocketError)
  assert.deepEqual([refused.code, refused.topic, refused.retryable], ['ACL_DENIED', 'theirs', false])
  socket.on('error', () => {})
  await socket.ready
  await assert.rejects(socket.subscribe('others'), { code: 'ACL_DENIED', topic: 'others', name: 'SubSocketError' })
  await assert.rejects(socket.publish('theirs', 1, { messageId: 'm' }), { code: 'ACL_DENIED', topic: 'theirs', messageId: 'm' })
  await assert.rejects(socket.publish('', 1), { code: 'BAD_TOPIC' })
  await assert.rejects(socket.subscribe(''), { code: 'BAD_TOPIC' })
  for (const messageId of ['', 'x'.repeat(129), 'é'.repeat(65), 'a\nb']) {
    await assert.rejects(socket.publish('mine', 1, { messageId }), { code: 'BAD_REQUEST' })
  }
  await assert.rejects(socket.publish('mine', 1n), TypeError)
  // What the gateway could not read, and so not answer.
  const [lone, fine] = ['\ud800', '\ud83d\ude00']
  for (const payload of [() => 1, Symbol('s'), { toJSON: () => undefined }]) {
    await assert.rejects(socket.publish('mine', payload, { messageId: 'p' }), { code: 'BAD_REQUEST', messageId: 'p' })
  }
  for (const messageId of [42, null, {}, lone, `${fine}${lone}`]) {
    await assert.rejects(socket.publish('mine', 1, { messageId: messageId as string }), { code: 'BAD_REQUEST' })
  }
  await assert.rejects(socket.publish(lone, 1), { code: 'BAD_REQUEST' })
  await assert.rejects(socket.publish(undefined as never, 1), { code: 'BAD_REQUEST' })
  await assert.rejects(socket.publish('mine', 1, { sig: lone }), { code: 'BAD_REQUEST' })
  await assert.rejects(socket.subscribe(`a${lone}`), { code: 'BAD_REQUEST', topic: `a${lone}` })
  await assert.rejects(socket.subscribe('mine', { lastSeq: 0, epoch: lone }), { code: 'BAD_REQUEST' })
  for (const options of [{ lastSeq: -1 }, { lastSeq: 1.5 }, { lastSeq: NaN }, { lastSeq: '1' }, { qos: 2 }]) {
    await assert.rejects(socket.subscribe('mine', options as never), { code: 'BAD_REQUEST', topic: 'mine' })
  }
  assert.throws(() => byTopics(t, gateway.url, ['mine', lone]), { code: 'BAD_REQUEST' })
  const hear = reader(socket)
  await socket.publish('mine', { lone, fine }, { messageId: fine, sig: fine })
  assert.deepEqual((await hear()).data, { lone, fine })
  assert.equal((await socket.publish('mine', 1)).seqNo, 2)
})

test('a refused token ends the socket for good', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics(t, gateway.url, ['t'], '')
  const closed = next(socket, 'close')
  const told = next(socket, 'error')
  const waiting = socket.publish('t', 1)
  await assert.rejects(socket.ready, { code: 'AUTH_FAILED', closeCode: 4001 })
  await assert.rejects(waiting, { code: 'CLOSED' })
  await assert.rejects(reader(socket), { code: 'AUTH_FAILED' })
  assert.equal((await told).code, 'AUTH_FAILED')
  const { code, reconnectIn } = await closed
  assert.deepEqual([code, reconnectIn, socket.state], [4001, undefined, 'closed'])
})

test('close ends everything in order', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['t'])
  await socket.publish('t', 1)
  await until(async () => (await gateway.stats()).delivered === 1)
  const closed = next(socket, 'close')
  await Promise.all([socket.close(3001, 'enough'), socket.close()])
  assert.deepEqual(await closed, { code: 3001, reason: '', wasClean: true })
  assert.equal(socket.state, 'closed')
  const got = []
  for await (const { data } of socket) got.push(data)
  assert.deepEqual(got, [1], 'what came before is still there')
  await assert.rejects(socket.publish('t', 2), { code: 'CLOSED' })
  await assert.rejects(socket.subscribe('t'), { code: 'CLOSED' })
  await socket.close()
  const never = byTopics(t, gateway.url, [])
  await Promise.all([assert.rejects(never.ready, { code: 'CLOSED' }), never.close()])
})

test('mistakes in the call are thrown at once', () => {
  assert.throws(() => SubSocket.byUrl('nowhere', 'ann', { WebSocket: class {} as never }), TypeError)
  const { WebSocket } = globalThis as { WebSocket?: unknown }
  Reflect.deleteProperty(globalThis, 'WebSocket')
  try {
    assert.throws(() => SubSocket.byUrl('ws://127.0.0.1:1/ws', 'ann'), { code: 'NO_WEBSOCKET', message: /package ws/ })
  } finally {
    if (WebSocket) Object.assign(globalThis, { WebSocket })
  }
})

test('a listener that throws, or comes and goes, disturbs nobody', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['t'])
  const caught: unknown[] = []
  const net = (error: unknown): void => void caught.push(error)
  const others = process.rawListeners('uncaughtException')
  process.removeAllListeners('uncaughtException').on('uncaughtException', net)
  t.after(() => {
    process.off('uncaughtException', net)
    for (const other of others) process.on('uncaughtException', other as never)
  })
  const got: number[] = []
  const remove = socket.on('message', () => {
    throw new Error('mine')
  })
  socket.on('message', ({ data }) => got.push(data))
  await socket.publish('t', 1)
  await until(() => got.length === 1)
  remove()
  await socket.publish('t', 2)
  await until(() => got.length === 2)
  assert.deepEqual(caught.map(String), ['Error: mine'])
})
