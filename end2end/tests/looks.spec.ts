// How the page looks, against pictures that are kept: narrow and wide, light and dark. Nothing in them is
// left to the machine or to chance: fonts, time, ids and the gateway's answers are the test's own.
// `make looks` makes them anew.
import { createRequire } from 'node:module'
import type { Locator, Page } from '@playwright/test'
import { button, connect, expect, field, open, rows, send, test } from './page'

/** Leads to the gateway, whatever its port: see playwright.config.ts. */
const ORIGIN = 'http://localhost:3000'
const FIRST_MOMENT = Date.UTC(2026, 0, 2, 12)
const files = createRequire(import.meta.url)

test.use({ baseURL: ORIGIN, bypassCSP: true, timezoneId: 'UTC', contextOptions: { reducedMotion: 'reduce' } })

/** Fonts that are the same everywhere. */
async function serveFonts(page: Page): Promise<void> {
  await page.route(`${ORIGIN}/fonts/*`, (route) => {
    const [name, weight] = new URL(route.request().url()).pathname.split('/')[2].split('.')
    return route.fulfill({ path: files.resolve(`@fontsource/dejavu-${name}/files/dejavu-${name}-latin-${weight}-normal.woff2`) })
  })
}

const font = (name: string, weight: number): string =>
  `@font-face { font-family: looks-${name}; font-weight: ${weight}; src: url(/fonts/${name}.${weight}) }`
const STYLE = `
  ${['sans', 'mono'].flatMap((name) => [400, 700].map((weight) => font(name, weight))).join('\n')}
  :root { --sans: looks-sans; --mono: looks-mono; }
  /* What stays in sight would lie over what is higher than the window. */
  .top { position: static; }
`

declare global {
  interface Window {
    /** Milliseconds since the page was opened: they pass only when the test says so. */
    passed: number
    /** Tells what `/stats/stream` would. */
    tell: (stats: string) => void
  }
}

/** Takes time and chance out of the page. */
async function still(page: Page): Promise<void> {
  await page.addInitScript((first) => {
    window.passed = 0
    performance.now = () => window.passed
    Object.defineProperty(performance, 'timeOrigin', { value: first })
    Date.now = () => first + window.passed
    let made = 0
    crypto.getRandomValues = (array) => {
      if (array instanceof Uint8Array) array.fill(0).set([++made % 256], array.length - 1)
      return array
    }
    window.EventSource = class {
      onmessage?: (event: { data: string }) => void
      constructor() {
        window.tell = (data) => this.onmessage?.({ data })
      }
      close() {}
    } as unknown as typeof EventSource
  }, FIRST_MOMENT)
}

const pass = (page: Page, ms: number): Promise<void> => page.evaluate((ms) => void (window.passed += ms), ms)

/** Answers as a gateway does, with the same words every time; each answer to a publish takes so many milliseconds. */
async function answer(page: Page, took: () => number): Promise<void> {
  const topics = new Map<string, { seqNo: number; readers: Set<(frame: object) => void> }>()
  const epoch = 'e-1'
  const topic = (name: string) => {
    if (!topics.has(name)) topics.set(name, { seqNo: 0, readers: new Set() })
    return topics.get(name)!
  }
  await page.routeWebSocket(/\/ws$/, (ws) => {
    const say = (frame: object) => ws.send(JSON.stringify(frame))
    ws.onMessage(async (text) => {
      const frame = JSON.parse(`${text}`)
      if (frame.type === 'setup') {
        for (const name of frame.topics ?? []) {
          topic(name).readers.add(say)
          say({ type: 'subscribed', topic: name, seqNo: topic(name).seqNo, epoch })
        }
        say({ type: 'ready', sessionId: 's-1', resumed: false, userId: frame.token, node: 'gateway-1' })
      } else if (frame.type === 'publish') {
        const { seqNo, readers } = topic(frame.topic)
        topic(frame.topic).seqNo = seqNo + 1
        const place = { topic: frame.topic, seqNo: seqNo + 1 }
        const message = { type: 'message', ...place, prevSeq: seqNo, messageId: frame.messageId, ts: FIRST_MOMENT, data: frame.payload }
        await pass(page, took())
        say({ type: 'ack', messageId: frame.messageId, status: 'ok', ...place, epoch })
        for (const reader of readers) reader(message)
      } else if (frame.type === 'subscribe') {
        say({ type: 'error', code: 'ACL_DENIED', message: `${frame.topic} may not be read`, topic: frame.topic, retryable: false })
      } else {
        say({ type: 'pong' })
      }
    })
  })
}

const stats = (second: number): string =>
  JSON.stringify({
    connections: 40 + Math.round(9 * Math.sin(second / 15)),
    subscriptions: 120 + (second % 25),
    published: 40 * second + Math.round(300 * Math.sin(second / 9)),
    delivered: 2 * second * second,
    latency: {
      p50Ms: 0.3,
      p95Ms: 2.1,
      p99Ms: 4.2,
      count: 1000,
      buckets: Object.entries({ 0.25: 280, 0.5: 450, 1: 160, 2.5: 70, 5: 35, 10: 5 }).map(([le, count]) => ({ leMs: Number(le), count })),
    },
    slo: { targetMs: 50, objective: 0.99, met: true, windowS: 300, deliveries: 400 },
    dedupTtlMs: 300_000,
  })

/** The gateway says how it is at these seconds. */
const tell = (page: Page, seconds: number[]): Promise<void> =>
  page.evaluate((told) => {
    for (const [second, stats] of told) {
      window.passed = 1000 * second
      window.tell(stats)
    }
  }, seconds.map((second): [number, string] => [second, stats(second)]))

async function begin(page: Page, took: () => number = () => 3): Promise<void> {
  await serveFonts(page)
  await still(page)
  await answer(page, took)
  await open(page)
  await page.addStyleTag({ content: STYLE })
  await page.evaluate(() => Promise.all(['sans', 'mono'].flatMap((name) => ['400', '700'].map((weight) => document.fonts.load(`${weight} 16px looks-${name}`)))))
}

// A picture is taken again until it is still, and a busy machine takes its time.
test.beforeEach(() => test.slow())

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [360, 1440]) {
    test.describe(`${colorScheme}, ${width} px`, () => {
      test.use({ colorScheme, viewport: { width, height: 740 } })

      const options = { maxDiffPixels: 100, timeout: 30_000 }
      const file = (name: string) => `${name}-${width}-${colorScheme}.png`
      /** A part of the page looks as it did, in a window that it fits into. */
      const looks = async (part: Locator, name: string, height = 2000) => {
        await part.page().setViewportSize({ width, height })
        await part.page().mouse.move(0, 0)
        await expect.soft(part).toHaveScreenshot(file(name), options)
      }

      test('at first sight, and with frames', async ({ page }) => {
        await begin(page)
        await expect.soft(page).toHaveScreenshot(file('first-sight'), { ...options, mask: [page.locator('.log-panel')] })
        await connect(page)
        await send(page, 'setup', { Token: 'demo-user', Topics: 'prices' })
        await expect(rows(page, 'ready')).toHaveCount(1)
        await pass(page, 1500)
        await send(page, 'publish', { Topic: 'prices', Payload: '{"bid":100,"ask":101}' })
        await expect(rows(page, 'message')).toHaveCount(1)
        await send(page, 'subscribe', { Topic: 'private' })
        await expect(rows(page, 'error')).toHaveCount(1)
        await looks(page.locator('.log-panel'), 'log', 740)
        await send(page, 'publish', { Payload: '{' })
        // Wide, the composer is seen at first sight.
        if (width === 360) await looks(page.locator('.panel', { has: page.locator('.composer') }), 'composer')
      })

      test('a scenario that is done', async ({ page }) => {
        await begin(page)
        await button(page, 'Scenarios').click()
        await button(page, 'Fan-out').click()
        await expect(page.locator('.verdict')).toHaveText(/^B and C each got 5 of 5/)
        await looks(page.locator('.clients'), 'clients')
        await looks(page.locator('#tool'), 'scenario')
      })

      test('pictures', async ({ page }) => {
        // Seven messages, and how long each takes.
        const times = [0.2, 0.4, 0.7, 0.7, 2, 0.9, 8]
        await begin(page, () => times.shift()!)
        await connect(page)
        await send(page, 'setup', { Token: 'demo-user', Topics: 'prices' })
        await button(page, 'Pictures').click()
        // Ten seconds are missing.
        await tell(page, Array.from({ length: 101 }, (_, second) => second).filter((second) => second < 40 || second > 50))
        let sent = 0
        for (const [at, messages] of [1, 0, 0, 2, 1, 0, 3, 0].entries()) {
          const second = 100 + at
          for (const last = sent + messages; sent < last; sent++) {
            await send(page, 'publish', { Topic: 'prices', Payload: `{"bid":${100 + sent}}` })
            await expect(rows(page, 'message', `"bid":${100 + sent}`)).toHaveCount(1)
          }
          await tell(page, [second + 1])
        }
        await expect(page.getByRole('row', { name: /^this page 7 / })).toBeVisible()
        await expect(page.getByRole('img', { name: 'Frames sent a second: now 0, most 3' })).toBeVisible()
        await looks(page.locator('.pictures'), 'pictures')
      })

      test('take-away and palette', async ({ page }) => {
        await begin(page)
        await send(page, 'publish', { Topic: 'prices', 'Message ID': 'tick-1', Payload: '{"bid":100,"ask":101}' })
        await button(page, 'Take it away').click()
        await field(page, 'Save as').fill('a tick')
        await button(page, 'Save').click()
        await expect(button(page, 'a tick')).toBeVisible()
        await looks(page.locator('.take-away'), 'take-away')
        await page.keyboard.press('Control+k')
        await expect(page.getByRole('combobox', { name: 'Find a command' })).toBeFocused()
        await looks(page.locator('#palette'), 'palette')
      })

      // What has no layout and no colours of its own for a phone or for the dark is seen once.
      const once = colorScheme === 'light' && width === 1440
      if (once || (colorScheme === 'dark' && width === 360)) {
        test('four clients', async ({ page }) => {
          await begin(page)
          for (const letter of ['B', 'C', 'D']) {
            await button(page, 'Add a client').click()
            await expect(page.locator(`.client[data-client="${letter}"]`)).toBeVisible()
          }
          await connect(page)
          await send(page, 'setup', { Topics: 'prices' })
          await expect(rows(page, 'ready')).toHaveCount(1)
          await looks(page.locator('.clients'), 'four-clients')
          await looks(page.locator('.log-panel'), 'log-of-the-fourth', 740)
        })
      }
      if (!once) return

      test('a frame as a tree, and last values', async ({ page }) => {
        await begin(page)
        await connect(page)
        await send(page, 'setup', { Token: 'demo-user', Topics: 'prices' })
        await send(page, 'publish', { Topic: 'prices', Payload: '{"bid":100.50,"of":["XETR",true,null],"deep":{"a":{"b":1}}}' })
        await rows(page, 'message').getByRole('button', { name: /^Open frame/ }).click()
        await looks(page.locator('#frame-detail'), 'frame')
        await page.getByRole('button', { name: /^Close frame/ }).click()
        await button(page, 'Last values').click()
        await expect(page.getByRole('region', { name: 'Log' }).getByRole('table')).toBeVisible()
        await looks(page.locator('.log-panel'), 'last-values', 740)
      })

      test('faults', async ({ page }) => {
        await begin(page)
        await connect(page)
        await send(page, 'setup', { Token: 'demo-user', Topics: 'prices' })
        await expect(rows(page, 'ready')).toHaveCount(1)
        await button(page, 'Faults').click()
        await button(page, 'Let the token expire').click()
        await expect(page.locator('.verdict')).toHaveText(/^This token never expires/)
        await looks(page.locator('#tool'), 'faults')
      })

      test('evidence', async ({ page }) => {
        await page.route(`${ORIGIN}/stats`, (route) => route.fulfill({ contentType: 'application/json', body: stats(100) }))
        await begin(page)
        await connect(page)
        await send(page, 'setup', { Token: 'demo-user', Topics: 'prices' })
        await send(page, 'publish', { Topic: 'prices' })
        await expect(rows(page, 'message')).toHaveCount(1)
        await button(page, 'Evidence').click()
        await expect(page.locator('.promises')).toContainText('In the gateway since its start, 1000 messages')
        await looks(page.locator('#tool'), 'evidence')
      })

      test('an imported session and its replay', async ({ page }) => {
        await begin(page)
        await connect(page)
        await send(page, 'setup', { Token: 'demo-user', Topics: 'prices' })
        await expect(rows(page, 'ready')).toHaveCount(1)
        await button(page, 'Session file').click()
        const row = (type: string, direction: string) => ({ time: '2026-01-02T11:00:00.000Z', client: 'A', direction, text: JSON.stringify({ type }) })
        const lines = [{ format: 'micro-socket-session', version: 1 }, row('ping', 'sent'), row('pong', 'received'), row('ping', 'sent')]
        const buffer = Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n'))
        await page.locator('#session-file').setInputFiles({ name: 'some.ndjson', mimeType: 'application/x-ndjson', buffer })
        await button(page, 'at once').click()
        await button(page, 'Replay').click()
        // It ends when nothing more has come for a while.
        await expect(async () => {
          await pass(page, 600)
          await expect(page.getByText('1 of 2 answered as then.')).toBeVisible({ timeout: 1_000 })
        }).toPass()
        await looks(page.locator('#tool'), 'session')
      })

      test('token helper and shortcuts', async ({ page }) => {
        await begin(page)
        await button(page, 'Token helper').click()
        const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
        const claims = { sub: 'ann', exp: FIRST_MOMENT / 1000 + 100, topics: { read: ['prices.*'], write: [] } }
        await field(page, 'JWT of this client').fill(`${part({ alg: 'HS256' })}.${part(claims)}.c2ln`)
        await expect(page.locator('.expiry')).toHaveText(/^Expires in 1 min 40 s/)
        await looks(page.locator('#tool'), 'token-helper')
        await button(page, 'Token helper').focus()
        await page.keyboard.press('?')
        await looks(page.getByRole('dialog', { name: 'Shortcuts' }), 'shortcuts')
      })
    })
  }
}
