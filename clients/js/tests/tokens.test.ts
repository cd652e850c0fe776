// Tokens that expire, on the real gateway.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gateway, TIMEOUT, byTopics, jwt, next, until } from './harness.js'

test('a token function is asked again before the token expires', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t, '--auth', 'jwt')
  let asked = 0
  const socket = byTopics(t, gateway.url, ['t'], async () => jwt({ read: ['t'], write: ['t'] }, ++asked < 2 ? 10 : 60))
  let closes = 0
  socket.on('close', () => closes++)
  const first = await socket.ready
  assert.ok(first.expiresIn !== undefined && first.expiresIn <= 10)
  await next(socket, 'ready', ({ expiresIn }) => expiresIn! > 10)
  assert.equal(asked, 2)
  assert.equal((await socket.publish('t', 1)).seqNo, 1)
  assert.equal(closes, 0)
})

test('a token that expired is replaced by the next connection', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t, '--auth', 'jwt')
  const socket = byTopics<number>(t, gateway.url, ['t'], jwt({ read: ['t'] }, 5))
  const refused = next(socket, 'error')
  const closed = next(socket, 'close')
  await socket.ready
  const { code, reconnectIn } = await closed
  assert.deepEqual([(await refused).code, code, typeof reconnectIn], ['TOKEN_EXPIRED', 4101, 'number'])
  const ready = next(socket, 'ready')
  socket.refresh(() => jwt({ read: ['t'] }))
  assert.equal((await ready).resumed, true)
})

test('a refreshed token that allows less ends those topics', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t, '--auth', 'jwt')
  const socket = byTopics(t, gateway.url, ['a', 'b'], jwt({ read: ['a', 'b'] }))
  await socket.ready
  const refused = next(socket, 'error')
  socket.refresh(jwt({ read: ['b'] }))
  assert.deepEqual([(await refused).code, (await refused).topic], ['ACL_DENIED', 'a'])
  await until(async () => (await gateway.stats()).subscriptions === 1)
  assert.equal(socket.position('a'), undefined)
})

test('a token function that fails is asked again', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  let asked = 0
  const socket = byTopics(t, gateway.url, ['t'], () => {
    if (++asked < 3) throw new Error('the issuer is away')
    return 'ann'
  })
  const told: string[] = []
  socket.on('error', ({ code, message }) => told.push(`${code} ${message}`))
  assert.equal((await socket.ready).userId, 'ann')
  assert.equal(told.length, 2)
  assert.match(told[0]!, /^NO_TOKEN .*the issuer is away/)
})
