import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Attempts, STABLE } from '../src/backoff.js'
import { Gateway, TIMEOUT } from './harness.js'

const BACKOFF = { first: 100, limit: 30_000 }

test('the wait stays within a doubling window', () => {
  for (const random of [0, 0.5, 1]) {
    const attempts = new Attempts()
    for (const window of [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]) {
      assert.equal(attempts.next(BACKOFF, 1006, STABLE - 1, random), window * random)
    }
    for (let n = 0; n < 2_000; n++) assert.equal(attempts.next(BACKOFF, 1006, 0, random), 30_000 * random)
    assert.equal(attempts.next(BACKOFF, 1006, STABLE, random), 100 * random, 'a stable connection forgets them')
  }
})

test('every close code of the gateway is followed as /docs advises', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const page = await (await fetch(`${gateway.http}/docs`)).text()
  const rows = [...page.matchAll(/<tr id="close-(\d+)">(.*?)<\/tr>/gs)]
  assert.ok(rows.length > 15, page.slice(0, 500))
  for (const [, code, row] of rows) {
    const advice = row!.match(/do not reconnect|reconnect after a backoff|reconnect at once/)?.[0]
    const [fresh, stable] = [0, STABLE].map((readyFor) => new Attempts().next(BACKOFF, Number(code), readyFor, 0.5))
    const expected = { 'do not reconnect': [undefined, undefined], 'reconnect after a backoff': [50, 50], 'reconnect at once': [50, 0] }
    assert.deepEqual([fresh, stable], expected[advice as keyof typeof expected], `${code}: ${advice}`)
  }
})
