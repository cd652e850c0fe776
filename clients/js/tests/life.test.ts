// The life of a socket against a script: what it sends, what it tells, when it comes back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rig } from './fake.js'

const subscribe = (topic: string, more = ''): string => `{"type":"subscribe","topic":"${topic}"${more}}`
const unsubscribe = (topic: string): string => `{"type":"unsubscribe","topic":"${topic}"}`
const FROM_5 = ',"lastSeq":5,"epoch":"e1"'

test('setup comes first, with the topics in order; publishes wait for ready', async (t) => {
  const rig = new Rig(t, ['prices', 'alerts'])
  const acked = rig.socket.publish('prices', { bid: 1 }, { messageId: 'a' })
  await rig.open()
  assert.deepEqual(rig.sent(), ['{"type":"setup","token":"me","topics":["prices","alerts"]}'])
  rig.subscribed('prices', 3)
  rig.subscribed('alerts', 0)
  rig.ready()
  assert.deepEqual(rig.sent(), ['{"type":"publish","topic":"prices","messageId":"a","payload":{"bid":1}}'])
  rig.message('prices', 4)
  rig.receive({ type: 'ack', messageId: 'a', status: 'ok', topic: 'prices', seqNo: 4, epoch: 'e1' })
  assert.equal((await acked).seqNo, 4)
  assert.deepEqual(rig.took(), ['open', 'subscribed prices 3', 'subscribed alerts 0', 'ready', 'prices#4'])
})

test('a session goes on from the own positions', async (t) => {
  const rig = await Rig.ready(t, ['alerts', 'prices'])
  rig.message('prices', 6)
  await rig.reopen()
  const resume = {
    type: 'resume',
    token: 'me',
    sessionId: 's',
    lastSeqPerTopic: { alerts: 5, prices: 6 },
    epochs: { alerts: 'e1', prices: 'e1' },
  }
  assert.deepEqual(rig.sent(), [JSON.stringify(resume)])
  rig.subscribed('prices', 8, { recovered: true, replayed: 2 })
  for (const seqNo of [6, 7, 8, 8]) rig.message('prices', seqNo)
  rig.subscribed('alerts', 9, { recovered: false, reason: 'trimmed' })
  rig.ready({ resumed: true })
  assert.deepEqual(rig.sent(), [], 'nothing is left to ask for')
  rig.message('alerts', 10)
  assert.deepEqual(rig.took().slice(3), ['subscribed prices 8 true', 'prices#7', 'prices#8', 'subscribed alerts 9 false', 'resumed', 'alerts#10'])
})

test('without the session each topic is asked for from its own position', async (t) => {
  const rig = await Rig.ready(t, ['alerts', 'prices'])
  rig.message('prices', 6)
  await rig.reopenAnew()
  assert.equal(rig.sent()[1], '{"type":"setup","token":"me","topics":[]}')
  // The URL names one: the gateway begins it at its head before we can ask.
  rig.subscribed('prices', 7)
  rig.message('prices', 8)
  rig.ready()
  assert.deepEqual(rig.sent(), [subscribe('alerts', FROM_5), subscribe('prices', ',"lastSeq":6,"epoch":"e1"')])
  rig.message('prices', 9)
  rig.took()
  rig.subscribed('alerts', 5, { recovered: true })
  rig.subscribed('prices', 9, { recovered: true })
  for (const seqNo of [7, 8, 9, 10]) rig.message('prices', seqNo)
  assert.deepEqual(rig.took(), ['subscribed alerts 5 true', 'subscribed prices 9 true', 'prices#7', 'prices#8', 'prices#9', 'prices#10'])
})

test('a new epoch starts a new position', async (t) => {
  const rig = await Rig.ready(t, ['a'])
  await rig.reopenAnew()
  rig.ready()
  rig.subscribed('a', 2, { epoch: 'e2', recovered: false, reason: 'epoch' })
  rig.message('a', 3)
  assert.equal(rig.took().at(-1), 'a#3', '3 of e2 is new although 5 of e1 was seen')
  assert.deepEqual(rig.socket.position('a'), { epoch: 'e2', seqNo: 3 })
})

test('a hole is told and a compacted numbering is none', async (t) => {
  const rig = await Rig.ready(t, ['a'])
  rig.message('a', 8)
  rig.message('a', 12, { prevSeq: 8 })
  assert.deepEqual(rig.took(), ['gap a 5..8', 'a#8', 'a#12'])
})

test('close codes decide', async (t) => {
  for (const [code, wait] of [
    [1000, 'for good'],
    [1001, 50],
    [1002, 'for good'],
    [1005, 50],
    [1006, 50],
    [1012, 50],
    [4001, 'for good'],
    [4009, 'for good'],
    [4042, 'for good'],
    [4108, 50],
    [4142, 50],
    [4200, 50], // not stable yet, so not at once
  ]) {
    await t.test(`${code}`, async (t) => {
      const rig = await Rig.ready(t)
      rig.closed(Number(code))
      assert.deepEqual(rig.took(), [`close ${code} ${wait}`])
    })
  }
})

test('failing attempts back off and a stable connection forgets them', async (t) => {
  const rig = await Rig.ready(t)
  for (const wait of [50, 100, 200, 400]) {
    rig.closed(1006)
    assert.deepEqual(rig.took(), [`close 1006 ${wait}`])
    assert.equal(rig.socket.state, 'waiting')
    rig.tick(wait)
    assert.equal(rig.socket.state, 'connecting')
  }
  await rig.open()
  rig.ready()
  rig.tick(10_000)
  rig.took()
  rig.closed(1006)
  assert.deepEqual(rig.took(), ['close 1006 50'])
  rig.tick(50)
  await rig.open()
  rig.ready()
  rig.tick(10_000)
  rig.took()
  rig.closed(4200)
  assert.deepEqual(rig.took(), ['close 4200 0'], 'at once')
})

test('unacked publishes go out again in order', async (t) => {
  const rig = await Rig.ready(t)
  const acks = ['a', 'b', 'c'].map((messageId) => rig.socket.publish('t', 1, { messageId }))
  const sent = rig.sent()
  rig.receive({ type: 'ack', messageId: 'a', status: 'ok', topic: 't', seqNo: 1, epoch: 'e' })
  await rig.reopenAnew()
  const late = rig.socket.publish('t', 1, { messageId: 'd' })
  rig.sent()
  rig.ready()
  assert.deepEqual(rig.sent(), [sent[1], sent[2], sent[1]!.replace('"b"', '"d"')])
  rig.receive({ type: 'ack', messageId: 'b', status: 'duplicate', topic: 't', seqNo: 2, epoch: 'e' })
  rig.error('ACL_DENIED', { messageId: 'c', topic: 't' })
  assert.deepEqual([(await acks[0])!.status, (await acks[1])!.status], ['ok', 'duplicate'])
  await assert.rejects(acks[2]!, { code: 'ACL_DENIED', messageId: 'c' })
  rig.closed(4003)
  await assert.rejects(late, { code: 'CLOSED', messageId: 'd', retryable: true })
})

test('the refusal of a publish that was sent again tells no more than it knows', async (t) => {
  const rig = await Rig.ready(t)
  const early = rig.socket.publish('t', 1, { messageId: 'a' })
  await rig.reopen()
  const late = rig.socket.publish('t', 1, { messageId: 'b' })
  rig.ready({ resumed: true })
  for (const messageId of ['a', 'b']) rig.error('TOO_MANY_REQUESTS', { topic: 't', messageId, retryable: true })
  await assert.rejects(early, { messageId: 'a', retryable: true, message: /may have been accepted; the same messageId/ })
  await assert.rejects(late, { messageId: 'b', message: 'TOO_MANY_REQUESTS: ' })
})

test('waiting publishes are bounded', async (t) => {
  const rig = new Rig(t)
  const waiting = Array.from({ length: 1024 }, () => rig.socket.publish('t', 1))
  for (const publish of waiting) publish.catch(() => {})
  await assert.rejects(rig.socket.publish('t', 1), { code: 'FULL', retryable: true })
})

test('waiting publishes are bounded in bytes too', async (t) => {
  const large = new Rig(t)
  const first = large.socket.publish('t', 'x'.repeat(5 << 20)) // one of any size
  await assert.rejects(large.socket.publish('t', 1), { code: 'FULL' })
  void large.socket.close()
  large.closed(1006)
  await assert.rejects(first, { code: 'CLOSED' })
})

test('a silent gateway is asked and then left', async (t) => {
  const rig = await Rig.ready(t, ['a'])
  rig.tick(24_000)
  rig.message('a', 6)
  rig.tick(1_000)
  assert.deepEqual(rig.sent(), [], 'it was heard')
  rig.tick(25_000)
  assert.deepEqual(rig.sent(), ['{"type":"ping"}'])
  rig.receive({ type: 'pong' })
  rig.tick(10_000)
  rig.tick(25_000)
  assert.deepEqual(rig.sent(), ['{"type":"ping"}'])
  rig.took()
  const { fake } = rig
  rig.tick(10_000)
  assert.deepEqual(rig.took(), ['close 1006 50'])
  assert.ok(fake.closing)
  rig.tick(50)
  assert.equal(rig.fakes.length, 2)
})

test('opening, setup and closing have their time', async (t) => {
  const rig = new Rig(t)
  rig.tick(10_000)
  assert.deepEqual(rig.took(), ['close 1006 50'])
  rig.tick(50)
  await rig.open()
  rig.tick(10_000)
  assert.deepEqual(rig.took(), ['open', 'close 1006 100'])
  rig.tick(100)
  await rig.open()
  rig.ready()
  const closed = rig.socket.close()
  assert.deepEqual(rig.fake.closing, [1000, ''])
  rig.tick(5_000)
  await closed
  assert.deepEqual(rig.took().slice(2), ['close 1006 for good'])
  rig.tick(100_000)
  assert.equal(rig.fakes.length, 3)
})

test('an error without a close event is an end too', async (t) => {
  const rig = new Rig(t)
  rig.fake.onerror?.()
  rig.closed(1006)
  rig.tick(50)
  rig.fake.onerror?.()
  rig.tick(99)
  assert.deepEqual(rig.took(), ['close 1006 50'], 'the close event comes first')
  rig.tick(1)
  assert.deepEqual(rig.took(), ['close 1006 100'])
})

test('a gateway that cannot set up a socket now is left and asked again', async (t) => {
  const rig = await Rig.ready(t)
  await rig.reopen()
  rig.took()
  rig.error('NOT_AVAILABLE', { retryable: true })
  assert.deepEqual(rig.took(), ['error NOT_AVAILABLE', 'close 1006 100'])
  rig.tick(100)
  await rig.open()
  assert.match(rig.sent()[0]!, /^{"type":"resume"/)
})

test('a topic that an operator takes away is not asked for again', async (t) => {
  const rig = await Rig.ready(t, ['a', 'b'])
  const told: string[] = []
  rig.socket.on('unsubscribed', ({ topic }) => told.push(topic))
  rig.receive({ type: 'unsubscribed', topic: 'a' })
  assert.deepEqual([told, rig.socket.position('a')], [['a'], undefined])
  rig.message('b', 6)
  assert.equal(rig.took().at(-1), 'b#6')
  rig.closed(1012)
  rig.tick(60_000)
  await rig.open()
  rig.ready()
  assert.ok(rig.sent().every((frame) => !frame.includes('"a"')))
})

test('refused topics are asked for again only where that helps', async (t) => {
  const rig = await Rig.ready(t, ['a', 'b'])
  await rig.reopenAnew()
  rig.ready()
  rig.error('ACL_DENIED', { topic: 'a' })
  rig.error('NOT_AVAILABLE', { topic: 'b', retryable: true })
  rig.sent()
  rig.tick(1_000)
  assert.deepEqual(rig.sent(), [subscribe('b', FROM_5)])
  await rig.reopenAnew()
  rig.sent()
  rig.ready()
  assert.deepEqual(rig.sent(), [subscribe('b', FROM_5)])
  // Nothing was asked, so this is not the answer.
  rig.subscribed('b', 5, { recovered: true })
  rig.error('BAD_ACK', { topic: 'b' })
  rig.error('TOO_MANY_REQUESTS', { topic: 'b', retryable: true })
  rig.message('b', 6)
  assert.equal(rig.took().at(-1), 'b#6')
})

test('what changed while offline is made up for after ready', async (t) => {
  const rig = await Rig.ready(t, ['gone', 'kept', 'back'])
  rig.closed(1006)
  for (const topic of ['gone', 'never', 'back']) rig.socket.unsubscribe(topic)
  void rig.socket.subscribe('new')
  rig.tick(50)
  await rig.open()
  assert.match(rig.sent()[0]!, /"lastSeqPerTopic":{"kept":5}/)
  // The session still has them, from places that are not ours.
  rig.took()
  rig.subscribed('gone', 6, { recovered: true, replayed: 1 })
  rig.message('gone', 6)
  void rig.socket.subscribe('back', { lastSeq: 2, epoch: 'e1' })
  rig.subscribed('back', 6, { recovered: true, replayed: 1 })
  rig.message('back', 6)
  // And have forgotten this one.
  rig.ready({ resumed: true })
  assert.deepEqual(rig.took(), ['resumed'])
  assert.deepEqual(rig.sent(), [
    unsubscribe('gone'),
    unsubscribe('never'),
    subscribe('kept', FROM_5),
    subscribe('back', ',"lastSeq":2,"epoch":"e1"'),
    subscribe('new'),
  ])
  rig.receive({ type: 'unsubscribed', topic: 'gone' })
  rig.subscribed('back', 6, { recovered: true, replayed: 4 })
  rig.message('back', 3)
  assert.deepEqual(rig.took(), ['unsubscribed gone', 'subscribed back 6 true', 'back#3'])
})

test('an answer that a cut swallowed is found again', async (t) => {
  const rig = await Rig.ready(t)
  const answer = rig.socket.subscribe('a')
  await rig.reopen()
  assert.match(rig.sent().at(-1)!, /"lastSeqPerTopic":{}/)
  rig.took()
  // The session has it from a position that the program never saw: it begins at the head.
  rig.subscribed('a', 7, { recovered: true, replayed: 2 })
  rig.message('a', 6)
  rig.ready({ resumed: true })
  rig.message('a', 8)
  assert.deepEqual(rig.took(), ['subscribed a 7 true', 'resumed', 'a#8'])
  assert.equal((await answer).seqNo, 7)
})

test('of several questions about a topic the last one counts', async (t) => {
  const rig = await Rig.ready(t, ['a'])
  rig.socket.unsubscribe('a')
  const first = rig.socket.subscribe('a')
  const second = rig.socket.subscribe('a', { lastSeq: 1 })
  assert.deepEqual(rig.sent(), [unsubscribe('a'), subscribe('a'), subscribe('a', ',"lastSeq":1')])
  rig.message('a', 6)
  rig.receive({ type: 'unsubscribed', topic: 'a' })
  rig.subscribed('a', 6)
  rig.message('a', 7)
  rig.subscribed('a', 7, { recovered: true })
  for (const seqNo of [2, 3]) rig.message('a', seqNo)
  assert.deepEqual(rig.took(), ['subscribed a 7 true', 'a#2', 'a#3'])
  assert.equal(await first, await second)
  // Left before the answer to the question came.
  void rig.socket.subscribe('b')
  rig.socket.unsubscribe('b')
  void rig.socket.subscribe('b')
  rig.socket.unsubscribe('b')
  for (let n = 0; n < 2; n++) {
    rig.subscribed('b', 1)
    rig.receive({ type: 'unsubscribed', topic: 'b' })
  }
  assert.deepEqual(rig.took(), ['unsubscribed b'])
  rig.sent()
  await rig.reopenAnew()
  assert.doesNotMatch(rig.sent().join(), /"b"/)
})

test('a resume or setup that might be too large is none', async (t) => {
  const topics = Array.from({ length: 300 }, (_, n) => `${n}`.padStart(200, '0'))
  const rig = new Rig(t, topics)
  await rig.open()
  assert.deepEqual(rig.sent(), ['{"type":"setup","token":"me"}'])
  rig.ready()
  assert.equal(rig.sent().length, 300)
  for (const topic of topics) rig.subscribed(topic, 5)
  await rig.reopen()
  assert.deepEqual(rig.sent(), ['{"type":"setup","token":"me","topics":[]}'])
  rig.ready()
  assert.equal(rig.sent().length, 300)
})

test('what the program took is acknowledged together', async (t) => {
  const rig = new Rig(t, ['a'], { qos: 1 })
  await rig.open()
  assert.deepEqual(rig.sent(), ['{"type":"setup","token":"me","topics":["a"],"qos":1}'])
  rig.subscribed('a', 5)
  rig.ready()
  rig.message('a', 6)
  rig.tick(100)
  rig.message('a', 7)
  assert.deepEqual(rig.sent(), [])
  rig.tick(100)
  assert.deepEqual(rig.sent(), ['{"type":"ack","topic":"a","seqNo":7}'])
  for (let seqNo = 8; seqNo <= 107; seqNo++) rig.message('a', seqNo)
  assert.deepEqual(rig.sent(), ['{"type":"ack","topic":"a","seqNo":107}'])
  rig.message('a', 108, { data: 'x'.repeat(300_000) })
  assert.deepEqual(rig.sent(), ['{"type":"ack","topic":"a","seqNo":108}'])
  rig.message('a', 109)
  void rig.socket.close()
  assert.deepEqual(rig.sent(), ['{"type":"ack","topic":"a","seqNo":109}'])
})

test('acks of an older connection are not sent', async (t) => {
  const rig = new Rig(t, ['a'], { qos: 1 })
  const loop = rig.socket[Symbol.asyncIterator]()
  const taken = loop.next()
  await rig.open()
  rig.subscribed('a', 5)
  rig.ready()
  for (const seqNo of [6, 7]) rig.message('a', seqNo)
  assert.equal((await taken).value?.seqNo, 6)
  await rig.reopen()
  rig.subscribed('a', 2, { epoch: 'e2', recovered: false, reason: 'epoch' })
  rig.message('a', 3)
  assert.equal((await loop.next()).value?.seqNo, 7)
  assert.equal((await loop.next()).value?.seqNo, 3)
  rig.sent()
  rig.ready({ resumed: true })
  assert.deepEqual(rig.sent(), ['{"type":"ack","topic":"a","seqNo":3}'])
})

test('another qos is asked for from the own position', async (t) => {
  const rig = await Rig.ready(t, ['a'])
  void rig.socket.subscribe('a', { qos: 1 })
  assert.deepEqual(rig.sent(), [subscribe('a', `${FROM_5},"qos":1`)])
  rig.message('a', 6)
  rig.subscribed('a', 6, { recovered: true, replayed: 1 })
  for (const seqNo of [6, 7]) rig.message('a', seqNo)
  void rig.socket.subscribe('a', { qos: 1 })
  assert.deepEqual(rig.sent(), [])
  assert.deepEqual(rig.took(), ['subscribed a 6 true', 'a#6', 'a#7'])
})

test('a qos that changed while a session could not be told is asked for', async (t) => {
  const rig = await Rig.ready(t, ['a', 'b'], { qos: 1 })
  rig.closed(1012)
  const answer = rig.socket.subscribe('a', { qos: 0 })
  rig.tick(30_000)
  await rig.open()
  assert.match(rig.sent()[0]!, /"lastSeqPerTopic":{"b":5}/)
  // The session has it with the old qos, from a place that is not ours.
  rig.took()
  rig.subscribed('a', 7, { recovered: true, replayed: 1 })
  rig.message('a', 7)
  rig.subscribed('b', 5, { recovered: true })
  rig.ready({ resumed: true })
  assert.deepEqual(rig.took(), ['subscribed b 5 true', 'resumed'])
  assert.deepEqual(rig.sent(), [subscribe('a', `${FROM_5},"qos":0`)])
  // The answer is lost, and perhaps the question.
  await rig.reopen()
  assert.match(rig.sent()[0]!, /"lastSeqPerTopic":{"b":5}/)
  rig.subscribed('b', 5, { recovered: true })
  rig.ready({ resumed: true })
  assert.deepEqual(rig.sent(), [subscribe('a', `${FROM_5},"qos":0`)])
  rig.subscribed('a', 7, { recovered: true, replayed: 2 })
  for (const seqNo of [6, 7]) rig.message('a', seqNo)
  assert.equal((await answer).seqNo, 7)
  await rig.reopen()
  assert.match(rig.sent()[0]!, /"lastSeqPerTopic":{"a":7,"b":5}/)
  // Back to the old qos, of which the session knows or not.
  void rig.socket.subscribe('a', { qos: 1 })
  rig.closed(1012)
  void rig.socket.subscribe('a', { qos: 0 })
  rig.tick(30_000)
  await rig.open()
  assert.match(rig.sent().at(-1)!, /"lastSeqPerTopic":{"b":5}/)
  rig.ready({ resumed: true })
  assert.ok(rig.sent().includes(subscribe('a', ',"lastSeq":7,"epoch":"e1","qos":0')))
  rig.subscribed('a', 7, { recovered: true })
  // One that never was answered may be in the session as well.
  void rig.socket.subscribe('c')
  await rig.reopen()
  void rig.socket.subscribe('c', { qos: 0 })
  rig.sent()
  rig.took()
  rig.subscribed('c', 7, { recovered: true })
  rig.ready({ resumed: true })
  assert.ok(rig.sent().includes(subscribe('c', ',"qos":0')))
  assert.deepEqual(rig.took(), ['resumed'])
})

test('frames that are none are told, those of later versions are not', async (t) => {
  const rig = await Rig.ready(t)
  for (const data of ['nonsense', 'null', '[]', '{"type":"of the future"}']) rig.fake.onmessage?.({ data })
  assert.deepEqual(rig.took(), ['error BAD_FRAME'])
})

test('a token that comes too late for its connection is not sent', async (t) => {
  const tokens: ((token: string) => void)[] = []
  const rig = new Rig(t, [], {}, () => new Promise((resolve) => tokens.push(resolve)))
  await rig.open()
  const { fake } = rig
  rig.closed(1006)
  rig.tick(50)
  await rig.open()
  tokens[0]!('old')
  tokens[1]!('new')
  await rig.rest()
  assert.deepEqual([fake.sent, rig.sent()], [[], ['{"type":"setup","token":"new","topics":[]}']])
})

test('a token that was slow once is asked for again', async (t) => {
  const tokens: ((token: string) => void)[] = []
  const rig = new Rig(t, [], {}, () => new Promise((resolve) => tokens.push(resolve)))
  await rig.open()
  rig.closed(4002)
  assert.deepEqual(rig.took(), ['open', 'close 4002 50'])
  rig.tick(50)
  await rig.open()
  tokens[1]!('new')
  await rig.rest()
  assert.deepEqual(rig.sent(), ['{"type":"setup","token":"new","topics":[]}'])
  rig.closed(4002) // it was on its way
  assert.deepEqual(rig.took(), ['open', 'close 4002 100'])
  rig.tick(100)
  await rig.open()
  rig.error('BAD_REQUEST')
  rig.closed(4002)
  assert.deepEqual(rig.took(), ['open', 'error BAD_REQUEST', 'close 4002 for good'])
})

test('a refreshed token goes out before what follows it', async (t) => {
  const rig = await Rig.ready(t)
  const refresh = (token: string): string => `{"type":"refresh","token":"${token}"}`
  rig.socket.refresh('new')
  void rig.socket.subscribe('a')
  assert.deepEqual(rig.sent(), [refresh('new'), subscribe('a')])
  // One that comes while another is on its way goes out with `ready`.
  await rig.reopen()
  assert.match(rig.sent()[0]!, /"token":"new"/)
  rig.socket.refresh('newer')
  assert.deepEqual(rig.sent(), [])
  rig.ready({ resumed: true })
  assert.deepEqual(rig.sent(), [refresh('newer'), subscribe('a')])
  rig.ready()
  assert.deepEqual(rig.sent(), [])
  // Of two the last counts, whichever is there first.
  let late = (_: string): void => {}
  rig.socket.refresh(() => new Promise((resolve) => (late = resolve)))
  rig.socket.refresh('newest')
  late('old')
  await rig.rest()
  assert.deepEqual(rig.sent(), [refresh('newest')])
})

test('a token function that is replaced before ready is not the last word', async (t) => {
  let late = (_: string): void => {}
  const rig = new Rig(t, [], {}, () => new Promise((resolve) => (late = resolve)))
  await rig.open()
  rig.socket.refresh(() => 'new')
  late('old')
  await rig.rest()
  assert.deepEqual(rig.sent(), ['{"type":"setup","token":"old","topics":[]}'])
  rig.ready()
  await rig.rest()
  assert.deepEqual(rig.sent(), ['{"type":"refresh","token":"new"}'])
})

test('a token function is asked once where its token does not expire', async (t) => {
  const rig = await Rig.ready(t)
  let asked = 0
  rig.socket.refresh(() => `new ${++asked}`)
  await rig.rest()
  rig.ready()
  for (let times = 0; times < 2; times++) {
    rig.tick(10_000)
    await rig.rest()
  }
  assert.deepEqual(rig.sent(), ['{"type":"refresh","token":"new 1"}'])
})

test('a topic whose head no message has goes on from there', async (t) => {
  const rig = await Rig.ready(t, ['a'])
  await rig.reopen()
  rig.subscribed('a', 9, { recovered: true, replayed: 0 })
  rig.ready({ resumed: true })
  rig.message('a', 12, { prevSeq: 9 })
  assert.deepEqual(rig.took().slice(2), ['subscribed a 9 true', 'resumed', 'a#12'])
})

test('a session from before a topic was left does not bring it back', async (t) => {
  const rig = await Rig.ready(t, ['a', 'b'])
  rig.socket.unsubscribe('b')
  rig.receive({ type: 'unsubscribed', topic: 'b' })
  await rig.reopen()
  rig.subscribed('a', 5, { recovered: true, replayed: 0 })
  rig.subscribed('b', 7, { recovered: true, replayed: 1 })
  rig.message('b', 7)
  rig.sent()
  rig.ready({ resumed: true })
  assert.deepEqual(rig.sent(), [unsubscribe('b')])
  assert.deepEqual(rig.took().slice(3), ['subscribed a 5 true', 'resumed'])
})

test('a topic that is paused stays so across a cut, until the loop caught up', async (t) => {
  const rig = await Rig.ready(t, ['a'], { bufferSize: 1 })
  const loop = rig.socket[Symbol.asyncIterator]()
  const first = loop.next()
  rig.message('a', 6)
  assert.equal((await first).value?.seqNo, 6)
  for (const seqNo of [7, 8, 9]) rig.message('a', seqNo)
  assert.deepEqual(rig.sent(), [unsubscribe('a')])
  await rig.reopen()
  assert.match(rig.sent()[0]!, /"lastSeqPerTopic":{}/)
  // The session has it still.
  rig.subscribed('a', 9, { recovered: true, replayed: 2 })
  rig.message('a', 8)
  rig.ready({ resumed: true })
  assert.deepEqual(rig.sent(), [unsubscribe('a')])
  assert.equal((await loop.next()).value?.seqNo, 7)
  assert.deepEqual(rig.sent(), [subscribe('a', ',"lastSeq":7,"epoch":"e1"')])
  rig.receive({ type: 'unsubscribed', topic: 'a' })
  rig.subscribed('a', 9, { recovered: true, replayed: 2 })
  rig.message('a', 8)
  assert.equal((await loop.next()).value?.seqNo, 8)
})
