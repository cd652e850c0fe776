// Cuts, restarts and take-overs: nothing is lost, nothing comes twice, or the program is told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'
import type { Close, SubSocket } from 'micro-socket-client'
import { Gateway, TIMEOUT, Wire, byTopics, byUrl, next, reader, until } from './harness.js'

/** Fails when the gateway breaks its promise. */
function noGaps(socket: SubSocket<never> | SubSocket<number>): void {
  socket.on('gap', (gap) => assert.fail(JSON.stringify(gap)))
}

for (const by of ['topics', 'url'] as const) {
  test(`cuts cost no message, by ${by}`, TIMEOUT, async (t) => {
    const gateway = await Gateway.start(t)
    const wire = await Wire.to(t, gateway)
    const socket = by === 'url' ? byUrl<number>(t, `${wire.url}/sub/t`) : byTopics<number>(t, wire.url, ['t', 'other'])
    noGaps(socket)
    const resumed: boolean[] = []
    socket.on('ready', (ready) => resumed.push(ready.resumed))
    const hear = reader(socket)
    await socket.ready
    const own: Promise<unknown>[] = []
    let expected = 0
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < 10; n++) await gateway.publish('t', n)
      // Our own are in flight when the cut comes.
      for (let n = 0; n < 10; n++) own.push(socket.publish('t', n))
      if (round % 2) await sleep(5)
      wire.open = false
      wire.cut()
      for (let n = 0; n < 10; n++) await gateway.publish('t', n)
      own.push(socket.publish('t', 'while away'))
      wire.open = true
      for (let n = 0; n < 31; n++) assert.equal((await hear()).seqNo, ++expected)
    }
    await Promise.all(own)
    assert.equal((await gateway.stats()).published, expected, 'each publish has one effect')
    assert.deepEqual(resumed, [false, true, true, true, true, true])
  })
}

test('a gateway killed with -9 goes on where it was', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t, '--backbone', 'disk')
  const socket = byTopics<number>(t, gateway.url, ['t'])
  noGaps(socket)
  const hear = reader(socket)
  let sent = 0
  const acks: Promise<{ seqNo: number }>[] = []
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 50; n++) acks.push(socket.publish('t', sent++))
    await acks[sent - 25]
    await gateway.kill()
    for (let n = 0; n < 10; n++) acks.push(socket.publish('t', sent++))
    const recovered = next(socket, 'subscribed')
    await gateway.start()
    assert.equal((await recovered).recovered, true)
  }
  await Promise.all(acks)
  const got: number[] = []
  for (let seqNo = 1; seqNo <= sent; seqNo++) {
    const message = await hear()
    assert.equal(message.seqNo, seqNo)
    got.push(message.data)
  }
  assert.deepEqual(got.sort((a, b) => a - b), Array.from({ length: sent }, (_, n) => n), 'each once')
})

test('a memory gateway that restarted says that messages may be lost', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['t'])
  const hear = reader(socket)
  for (const n of [1, 2, 3]) await socket.publish('t', n)
  for (const n of [1, 2, 3]) assert.equal((await hear()).data, n)
  const closed = next(socket, 'close')
  const lost = next(socket, 'subscribed', ({ recovered }) => recovered !== undefined)
  await gateway.kill('SIGTERM')
  const { code, reconnectIn, wasClean } = await closed
  assert.deepEqual([code, wasClean, typeof reconnectIn], [1012, true, 'number'])
  await gateway.start()
  assert.deepEqual([(await lost).recovered, (await lost).reason], [false, 'epoch'])
  const ack = await socket.publish('t', 4)
  assert.deepEqual([ack.seqNo, (await hear()).data], [1, 4], 'it begins anew')
})

test('the gateway may come later', TIMEOUT, async (t) => {
  const gateway = await Gateway.later(t)
  const socket = byTopics<string>(t, gateway.url, ['t', 'left'])
  const acked = socket.publish('t', 'waits')
  const late = socket.subscribe('late')
  socket.unsubscribe('left')
  const hear = reader(socket)
  const closes: Close[] = []
  socket.on('close', (close) => closes.push(close))
  await until(() => closes.length >= 3)
  for (const { code, reconnectIn } of closes) assert.ok(code === 1006 && reconnectIn !== undefined && reconnectIn <= 200)
  await gateway.start()
  assert.equal((await socket.ready).resumed, false)
  assert.equal((await acked).seqNo, 1)
  assert.equal((await hear()).data, 'waits')
  await late
  await until(async () => (await gateway.stats()).subscriptions === 2)
})

test('a session that was taken over is not fought for', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics(t, gateway.url, ['t'])
  const { sessionId } = await socket.ready
  const closed = next(socket, 'close')
  const thief = new WebSocket(gateway.url)
  t.after(() => thief.terminate())
  thief.on('open', () => thief.send(JSON.stringify({ type: 'resume', token: 'ann', sessionId, lastSeqPerTopic: {} })))
  const { code, reconnectIn } = await closed
  assert.deepEqual([code, reconnectIn, socket.state], [4009, undefined, 'closed'])
  await assert.rejects(reader(socket), { code: 'CLOSED', closeCode: 4009 })
})

test('a topic that leaves qos 1 while away does not stall', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t, '--history-size', '5000')
  const wire = await Wire.to(t, gateway)
  const socket = byTopics<number>(t, wire.url, ['t'], 'ann', { qos: 1, bufferSize: 5000 })
  noGaps(socket)
  await socket.ready
  const hear = reader(socket)
  wire.open = false
  wire.cut()
  await next(socket, 'close')
  const changed = socket.subscribe('t', { qos: 0 })
  const ready = next(socket, 'ready')
  wire.open = true
  assert.equal((await ready).resumed, true)
  await changed
  for (let sent = 0; sent < 1500; sent += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, n) => socket.publish('t', sent + n + 1)))
  }
  for (let n = 1; n <= 1500; n++) assert.equal((await hear()).data, n)
})

test('a session that has expired is done without', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t, '--session-ttl', '100ms')
  const wire = await Wire.to(t, gateway)
  const socket = byUrl<number>(t, `${wire.url}/sub/t`)
  noGaps(socket)
  const other = await socket.subscribe('other')
  const hear = reader(socket)
  await gateway.publish('t', 1)
  assert.equal((await hear()).data, 1)
  wire.open = false
  wire.cut()
  for (const n of [2, 3]) await gateway.publish('t', n)
  await gateway.publish('other', 4)
  await sleep(400)
  const ready = next(socket, 'ready')
  const topics: Record<string, unknown> = {}
  socket.on('subscribed', ({ topic, recovered, replayed }) => (topics[topic] = [recovered, replayed]))
  wire.open = true
  assert.equal((await ready).resumed, false)
  const got = [await hear(), await hear(), await hear()]
  assert.deepEqual(got.map(({ data }) => data).sort(), [2, 3, 4])
  assert.deepEqual(topics, { t: [true, 2], other: [true, 1] })
  assert.equal(other.seqNo, 0)
})

test('without reconnect a cut is the end', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const wire = await Wire.to(t, gateway)
  const socket = byTopics(t, wire.url, ['t'], 'ann', { reconnect: false })
  await socket.ready
  const loop = reader(socket)()
  wire.cut()
  await assert.rejects(loop, { code: 'CLOSED', closeCode: 1006 })
  await assert.rejects(socket.publish('t', 1), { code: 'CLOSED' })
})

test('close also ends a socket that waits to come back', TIMEOUT, async (t) => {
  const gateway = await Gateway.later(t)
  const socket = byTopics(t, gateway.url, ['t'], 'ann', { reconnect: { first: 60_000, limit: 60_000 } })
  const lost = socket.publish('t', 1)
  await next(socket, 'close')
  assert.equal(socket.state, 'waiting')
  await Promise.all([socket.close(), assert.rejects(lost, { code: 'CLOSED' })])
  assert.equal(socket.state, 'closed')
})
