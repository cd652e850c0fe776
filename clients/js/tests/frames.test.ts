// The types of the frames are those of the gateway. UPDATE=1 writes them anew.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { generate } from './generate.js'
import { Gateway, TIMEOUT } from './harness.js'

test('src/frames.ts is made from /asyncapi.json', TIMEOUT, async (t) => {
  const gateway = await Gateway.start(t)
  const wanted = generate(await (await fetch(`${gateway.http}/asyncapi.json`)).json() as never)
  if (process.env.UPDATE) writeFileSync('src/frames.ts', wanted)
  assert.equal(readFileSync('src/frames.ts', 'utf8'), wanted, 'run: UPDATE=1 npm test frames')
})
