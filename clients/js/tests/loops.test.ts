// Loops over messages: bounded, without loss, on the real gateway.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gateway, TIMEOUT, Wire, byTopics, next, reader, until } from './harness.js'

test('a loop that lags holds no more than its buffer and misses nothing', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['t'], 'ann', { bufferSize: 10 })
  socket.on('gap', (gap) => assert.fail(JSON.stringify(gap)))
  await socket.ready
  const acks = Array.from({ length: 100 }, (_, n) => socket.publish('t', n + 1))
  await Promise.all(acks)
  await until(async () => (await gateway.stats()).subscriptions === 0)
  const again = next(socket, 'subscribed')
  const hear = reader(socket)
  for (let n = 1; n <= 100; n++) assert.equal((await hear()).data, n)
  assert.equal((await again).replayed, 90, 'the eleventh was not taken')
  await until(async () => (await gateway.stats()).subscriptions === 1)
  await socket.publish('t', 101)
  assert.equal((await hear()).data, 101)
})

test('a body that publishes does not stop a loop that lags', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['in'], 'ann', { bufferSize: 2 })
  await socket.ready
  for (let n = 1; n <= 30; n++) await gateway.publish('in', n)
  let expected = 0
  for await (const { data } of socket) {
    assert.equal(data, ++expected)
    await socket.publish('out', data)
    if (data === 30) break
  }
  assert.equal((await gateway.stats()).published, 60)
})

test('cuts while topics are paused cost no message', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const wire = await Wire.to(t, gateway)
  const socket = byTopics<number>(t, wire.url, ['t', 'u'], 'ann', { bufferSize: 4 })
  socket.on('gap', (gap) => assert.fail(JSON.stringify(gap)))
  await socket.ready
  for (let n = 1; n <= 60; n++) for (const topic of ['t', 'u']) await gateway.publish(topic, n)
  const hear = reader(socket)
  const got: Record<string, number[]> = { t: [], u: [] }
  for (let n = 1; n <= 120; n++) {
    if (n % 20 === 0) wire.cut()
    const { topic, data } = await hear()
    got[topic]!.push(data)
  }
  const all = Array.from({ length: 60 }, (_, n) => n + 1)
  assert.deepEqual(got, { t: all, u: all })
})

test('with qos 1 the gateway holds back until the loop took what came', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t, '--history-size', '5000')
  const socket = byTopics<number>(t, gateway.url, ['t'], 'ann', { qos: 1, bufferSize: 5000 })
  socket.on('gap', (gap) => assert.fail(JSON.stringify(gap)))
  await socket.ready
  for (let sent = 0; sent < 3000; sent += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, n) => socket.publish('t', sent + n + 1)))
  }
  assert.equal((await gateway.stats()).delivered, 1000)
  const hear = reader(socket)
  for (let n = 1; n <= 3000; n++) assert.equal((await hear()).data, n)
})

test('several loops get the same; one that breaks off holds nothing up', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['t'], 'ann', { bufferSize: 5 })
  await socket.ready
  const fast = reader(socket)
  const slow = socket[Symbol.asyncIterator]()
  const heard: number[] = []
  socket.on('message', ({ data }) => heard.push(data))
  const first = [fast(), slow.next()]
  for (let n = 1; n <= 20; n++) await socket.publish('t', n)
  await Promise.all(first)
  assert.deepEqual(heard, [1, 2, 3, 4, 5, 6], 'the slow one holds five')
  assert.equal(socket.position('t')?.seqNo, 1, 'as far as the slow one is')
  for (let n = 2; n <= 6; n++) assert.equal((await fast()).data, n)
  assert.equal((await slow.next()).value?.data, 2)
  await slow.return()
  for (let n = 7; n <= 20; n++) assert.equal((await fast()).data, n)
  await until(() => heard.length === 20)
})

test('a position does not run ahead of the loop', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['t', 'u'])
  await socket.ready
  const hear = reader(socket)
  for (let n = 1; n <= 50; n++) await socket.publish('t', n)
  await socket.publish('u', 'the last')
  assert.equal(socket.position('t')?.seqNo, 0, 'nothing is taken')
  assert.equal((await hear()).data, 1)
  const { epoch, seqNo } = socket.position('t')!
  assert.equal(seqNo, 1)
  const later = byTopics<number>(t, gateway.url, [])
  await later.subscribe('t', { lastSeq: seqNo, epoch: epoch! })
  const goOn = reader(later)
  for (let n = 2; n <= 50; n++) assert.deepEqual([(await hear()).data, (await goOn()).data], [n, n])
  await until(() => socket.position('t')?.seqNo === 50)
  assert.equal(socket.position('u')?.seqNo, 0)
  await hear()
  assert.equal(socket.position('u')?.seqNo, 1)
})

test('what a loop leaves behind is there for the next', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['t'], 'ann', { bufferSize: 10, qos: 1 })
  socket.on('gap', (gap) => assert.fail(JSON.stringify(gap)))
  await socket.ready
  for (let n = 1; n <= 30; n++) await socket.publish('t', n)
  let expected = 0
  while (expected < 20) {
    for await (const { data } of socket) {
      assert.equal(data, ++expected)
      if (data % 5 === 0) break
    }
    assert.equal(socket.position('t')?.seqNo, expected)
  }
  // A listener goes on as well; beside it nothing is kept.
  const got: number[] = []
  socket.on('message', ({ data }) => got.push(data))
  await until(() => got.length === 10)
  assert.deepEqual(got, Array.from({ length: 10 }, (_, n) => n + 21))
  const loop = socket[Symbol.asyncIterator]()
  const first = loop.next()
  for (let n = 31; n <= 80; n++) {
    await socket.publish('t', n)
    if (n === 31) await first.then(() => loop.return())
  }
  await until(() => got.length === 60)
})

test('the first listener gets what came before it', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const socket = byTopics<number>(t, gateway.url, ['t'])
  await Promise.all([1, 2, 3].map((n) => socket.publish('t', n)))
  await until(async () => (await gateway.stats()).delivered === 3)
  await socket.publish('other', 'the ack comes after them')
  const got: number[] = []
  socket.on('message', ({ data }) => got.push(data))
  socket.on('message', ({ data }) => got.push(-data))
  await socket.publish('t', 4)
  await until(() => got.length === 8)
  assert.deepEqual(got, [1, -1, 2, -2, 3, -3, 4, -4])
})
