// 5,000 messages a second on one page, while somebody types.
//
// By default a few seconds that ask only for what a busy machine can keep too: every message is shown or
// counted as dropped, the page answers, its memory stays level. SPEED_SECONDS=60 is the measurement: it asks for
// the rate, for a typing latency under 100 ms and for a page less than a second behind as well. A shorter part
// comes after it, with the pictures open.
import { setTimeout as sleep } from 'node:timers/promises'
import type { CDPSession, Page } from '@playwright/test'
import { button, expect, field, ready, rows, send, test, unique } from './page'

const RATE = 5_000
const SECONDS = Number(process.env.SPEED_SECONDS ?? 10)
const WITH_PICTURES = Math.ceil(SECONDS / 4)
const MEASURES = process.env.SPEED_SECONDS !== undefined
const BATCH = 250
const MIB = 1024 * 1024
/** Far above what the log may keep. */
const MOST_MEMORY = 256 * MIB
/** What memory may rise by once the log is full. */
const MOST_RISE = MIB

/**
 * Playwright asks to be told of every WebSocket frame, which at this rate costs the browser more than the page does. There
 * is no public way to ask for less.
 */
async function hearNothing(page: Page): Promise<void> {
  type Inner = { delegate: { _mainFrameSession: { _client: { send(method: string): Promise<void> } } } }
  const { _connection: inner } = page as unknown as { _connection: { toImpl(page: Page): Inner } }
  await inner.toImpl(page).delegate._mainFrameSession._client.send('Network.disable')
}

/** Publishes at the rate, or as fast as the gateway takes it. Returns how long it took, in seconds. */
async function publish(topic: string, baseURL: string, seconds: number): Promise<number> {
  const began = performance.now()
  for (let sent = 0; sent < RATE * seconds; sent += BATCH) {
    const early = began + (sent / RATE) * 1000 - performance.now()
    if (early > 1) await sleep(early)
    const data = Array.from({ length: BATCH }, (_, n) => ({ topic, payload: { n: sent + n, bid: 100.25, ask: 100.5, venue: 'XETR' } }))
    const headers = { authorization: 'Bearer demo-user', 'content-type': 'application/json' }
    const answer = await fetch(`${baseURL}/api/publish`, { method: 'POST', headers, body: JSON.stringify(data) })
    expect(answer.status).toBe(200)
    await answer.arrayBuffer()
  }
  return (performance.now() - began) / 1000
}

/** From now on the page notes how long it takes from each key to the picture that shows it, in milliseconds. */
async function watchKeys(page: Page): Promise<void> {
  await page.evaluate(() => {
    const times: number[] = []
    Object.assign(window, { keyTimes: times })
    const { port1, port2 } = new MessageChannel()
    const waiting: number[] = []
    // What is posted in a frame comes after it was painted.
    port1.onmessage = () => times.push(performance.now() - waiting.shift()!)
    addEventListener('keydown', (event) => {
      requestAnimationFrame(() => {
        waiting.push(event.timeStamp)
        port2.postMessage(0)
      })
    }, true)
  })
}

const keyTimes = (page: Page): Promise<number[]> => page.evaluate(() => (window as unknown as { keyTimes: number[] }).keyTimes)

/** Bytes that the page holds after a collection: JavaScript's heap and the memory of WASM. */
async function memory(page: Page, cdp: CDPSession): Promise<{ heap: number; wasm: number }> {
  await cdp.send('HeapProfiler.collectGarbage')
  const { usedSize: heap } = (await cdp.send('Runtime.getHeapUsage')) as { usedSize: number }
  const wasm = await page.evaluate(async () => {
    const module = (await import(/* @vite-ignore */ `${location.origin}/pkg/micro-socket.js`)) as { default: () => Promise<{ memory: WebAssembly.Memory }> }
    return (await module.default()).memory.buffer.byteLength
  })
  return { heap, wasm }
}

/** Rows of the log: all that were ever in it, and how many of them were dropped. */
async function counted(page: Page): Promise<{ all: number; dropped: number }> {
  const words = await page.locator('.count').innerText()
  const number = (pattern: RegExp) => Number(words.match(pattern)?.[1]?.replaceAll(',', '') ?? 0)
  const dropped = number(/([\d,]+) older dropped/)
  return { all: number(/of ([\d,]+) rows/) + dropped, dropped }
}

interface Sample {
  heap: number
  wasm: number
  /** Whether the log had dropped rows before: it does not fill any more. */
  full: boolean
}

async function sample(page: Page, cdp: CDPSession): Promise<Sample> {
  const { dropped } = await counted(page)
  return { ...(await memory(page, cdp)), full: dropped > 0 }
}

const quantile = (values: number[], q: number): number => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))]

/** Types for as long as messages come, and holds what is seen against what is asked for, of keys a share. */
async function typeWhile(page: Page, cdp: CDPSession, seconds: number, topic: string, baseURL: string, what: string, share: number): Promise<void> {
  const { all: before } = await counted(page)
  const earlier = (await keyTimes(page)).length
  const samples = [await sample(page, cdp)]

  let done = false
  const published = publish(topic, baseURL, seconds).finally(() => { done = true })
  const payload = field(page, 'Payload')
  await payload.fill('')
  let typed = ''
  let sampled = performance.now()
  for (let n = 0; !done; n++) {
    const key = 'abcdefghij'[n % 10]
    await payload.press(key)
    typed += key
    await sleep(50)
    if (performance.now() - sampled > 2_000) {
      samples.push(await sample(page, cdp))
      sampled = performance.now()
    }
  }
  const took = await published
  const arriving = performance.now()
  await expect.poll(async () => (await counted(page)).all, { timeout: 60_000, intervals: [50] }).toBe(before + RATE * seconds)
  const late = performance.now() - arriving
  samples.push(await sample(page, cdp))

  await expect(payload).toHaveValue(typed)
  const times = (await keyTimes(page)).slice(earlier)
  const rate = (RATE * seconds) / took
  const most = Math.max(...samples.map(({ heap, wasm }) => heap + wasm))
  const full = samples.find((s) => s.full)!
  const rise = (of: 'heap' | 'wasm') => samples.at(-1)![of] - full[of]
  const mib = (of: 'heap' | 'wasm') => samples.map((s) => (s[of] / MIB).toFixed(1)).join(' ')
  console.log(
    `${what}: ${Math.round(rate)} messages/s for ${took.toFixed(1)} s, all there ${late.toFixed(0)} ms later; ` +
      `${times.length} keys, p50 ${quantile(times, 0.5).toFixed(0)} ms, p99 ${quantile(times, 0.99).toFixed(0)} ms, most ${Math.max(...times).toFixed(0)} ms\n` +
      `heap MiB: ${mib('heap')}\nwasm MiB: ${mib('wasm')}`,
  )
  expect(most).toBeLessThan(MOST_MEMORY)
  expect(rise('heap')).toBeLessThan(MOST_RISE)
  expect(rise('wasm')).toBeLessThan(MOST_RISE)
  if (MEASURES) {
    expect(rate).toBeGreaterThan(RATE * 0.98)
    expect(late).toBeLessThan(1_000)
    expect(quantile(times, share)).toBeLessThan(100)
  }
}

test(`${RATE} messages a second for ${SECONDS} s, while somebody types`, async ({ page, baseURL }) => {
  test.setTimeout((SECONDS + WITH_PICTURES + 120) * 1000)
  const topic = unique('speed')
  await ready(page, topic)
  await field(page, 'Message').selectOption('publish')
  const cdp = await page.context().newCDPSession(page)
  await hearNothing(page)
  await watchKeys(page)
  await typeWhile(page, cdp, SECONDS, topic, baseURL!, 'page', 0.99)
  await button(page, 'Pictures').click()
  await expect(page.getByRole('row', { name: topic })).toBeVisible()
  await typeWhile(page, cdp, WITH_PICTURES, topic, baseURL!, 'with pictures', 0.95)

  await expect(rows(page, 'closed')).toHaveCount(0)
  await send(page, 'ping')
  await expect(rows(page, 'pong')).toHaveCount(1)
})
