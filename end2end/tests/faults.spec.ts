// Each fault on its button, and the two ways back.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { test as anywhere, type Page } from '@playwright/test'
import { button, connect, expect, field, open, ready, rows, send, test, unique } from './page'

const verdict = (page: Page) => page.locator('.verdict')
const cells = (page: Page) => page.locator('.run tbody tr').locator('th, td')

/** A client that is set up with a topic of which it got two messages. */
async function settled(page: Page, topic = unique('fault'), path?: string): Promise<string> {
  await ready(page, path ? '' : topic, path)
  await button(page, 'Faults').click()
  await send(page, 'publish', { Topic: topic })
  await send(page, 'publish')
  await expect(rows(page, 'message', topic)).toHaveCount(2)
  return topic
}

const ends = async (page: Page, words: string | RegExp, good = true) => {
  await expect(verdict(page)).toHaveText(words, { timeout: 30_000 })
  await expect(verdict(page)).toHaveAttribute('data-good', `${good}`)
}

const binary = resolve(process.env.MICRO_SOCKET_BIN ?? '../target/release/micro-socket')

/** A gateway of the test's own, on any port, or on one at which it can come back. */
async function gateway(port = 0, env = process.env): Promise<{ url: string; stop: () => Promise<unknown> }> {
  const program: ChildProcess = spawn(binary, ['--addr', `127.0.0.1:${port}`], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const gone = once(program, 'exit')
  const stop = () => {
    program.kill('SIGTERM')
    return gone
  }
  let greeting = ''
  program.stdout!.on('data', (text) => { greeting += text })
  await expect.poll(() => greeting, { timeout: 30_000 }).toMatch(/http:\S+\/docs\s/)
  return { url: greeting.match(/(http:\S+)\/docs/)![1]!, stop }
}

test('a cut, then resume', async ({ page, request }) => {
  const topic = await settled(page)
  await button(page, 'Cut').click()
  await ends(page, 'Closed with 1006: no close frame came. Press Reconnect or Resume.')
  for (const n of [3, 4, 5]) await request.get(`/demo/publish/${topic}?n=${n}`)
  await button(page, 'Resume').click()
  await ends(page, 'The same session; 1 of 1 topics recovered, 3 replayed, no gap, no double, in order.')
  await expect(cells(page)).toHaveText([topic, 'recovered, 3 replayed', '3', '0', '0', '0'])
  await expect(rows(page, 'ready', '"resumed":true')).toHaveCount(1)
})

test('a cut, then reconnect', async ({ page, request }) => {
  const topic = await settled(page)
  await button(page, 'Cut').click()
  await ends(page, /^Closed with 1006/)
  await request.get(`/demo/publish/${topic}?n=3`)
  await button(page, 'Reconnect').click()
  await ends(page, 'A new session; 1 of 1 topics recovered, 1 replayed, no gap, no double, in order.')
  await expect(cells(page)).toHaveText([topic, 'recovered, 1 replayed', '1', '0', '0', '0'])
  await expect(rows(page, 'subscribe', '"lastSeq":2')).toHaveCount(1)
})

for (const [way, session] of [['Reconnect', 'A new session'], ['Resume', 'The same session']] as const) {
  test(`a cut on the URL of one topic, then ${way}`, async ({ page, request }) => {
    const topic = unique('sub')
    await settled(page, topic, `/ws/sub/${topic}`)
    await button(page, 'Cut').click()
    await ends(page, /^Closed with 1006/)
    for (const n of [3, 4]) await request.get(`/demo/publish/${topic}?n=${n}`)
    await button(page, way).click()
    await ends(page, `${session}; 1 of 1 topics recovered, 2 replayed, no gap, no double, in order.`)
    await expect(cells(page)).toHaveText([topic, 'recovered, 2 replayed', '2', '0', '0', '0'])
  })
}

test('a topic that is refused on the way back says why', async ({ page }) => {
  const topic = await settled(page, unique('private.demo-user.t'))
  await button(page, 'Cut').click()
  await ends(page, /^Closed with 1006/)
  await field(page, 'Message').selectOption('setup')
  await field(page, 'Token').fill('somebody-else')
  await button(page, 'Reconnect').click()
  await ends(page, /^A new session; 0 of 1 topics recovered, 0 replayed, /, false)
  await expect(cells(page)).toHaveText([topic, 'refused: ACL_DENIED', '0', '0', '0', '0'])
})

test('stop reading', async ({ page }) => {
  await settled(page)
  await button(page, 'Stop reading').click()
  await ends(page, /^Closed with 4108: /)
  await button(page, 'Resume').click()
  await ends(page, /^The same session; 1 of 1 topics recovered, 0 replayed, /)
})

test('send a duplicate', async ({ page }) => {
  const topic = await settled(page)
  await button(page, 'Send a duplicate').click()
  await ends(page, `First answer: ok at #3; second: duplicate at #3. One effect on ${topic}.`)
  await expect(rows(page, 'message', topic)).toHaveCount(3)
})

test('send a malformed frame', async ({ page }) => {
  await settled(page)
  await button(page, 'Send a malformed frame').click()
  await ends(page, /^BAD_REQUEST: .* The socket goes on: the next publish was acked\.$/)
})

test('a token of demo auth does not expire', async ({ page }) => {
  await settled(page)
  await button(page, 'Let the token expire').click()
  await expect(verdict(page)).toHaveText(/^This token never expires: with demo auth a token is only a name\./)
})

test('offline for a while', async ({ page, request }) => {
  const topic = await settled(page)
  await field(page, 'Seconds offline').fill('6')
  await button(page, 'Go offline').click()
  await expect(page.locator('.steps [data-progress="now"]')).toHaveText(/Out of reach/)
  await request.get(`/demo/publish/${topic}?n=3`)
  await expect(button(page, 'Resume')).toBeDisabled()
  await ends(page, 'A was away for 6 s. Press Reconnect or Resume.')
  await button(page, 'Resume').click()
  await ends(page, /^The same session; 1 of 1 topics recovered, 1 replayed, /)
})

test('who connects meanwhile is not offline', async ({ page }) => {
  await settled(page)
  await button(page, 'Go offline').click()
  await expect(page.locator('.steps [data-progress="now"]')).toHaveText(/Out of reach/)
  await button(page, 'Connect').click()
  await ends(page, 'A was connected by hand before this was over.', false)
})

test('a fault befalls the active client alone', async ({ page }) => {
  await settled(page)
  await button(page, 'Add a client').click()
  await connectSecond(page)
  await button(page, 'Cut').click()
  await ends(page, /^Closed with 1006/)
  await expect(page.locator('.client[data-client="B"]')).toHaveAttribute('data-phase', 'closed')
  await expect(page.locator('.client[data-client="A"]')).toHaveAttribute('data-phase', 'ready')
})

async function connectSecond(page: Page): Promise<void> {
  await button(page, 'Connect').click()
  await send(page, 'setup', { Token: 'ben', Topics: unique('second') })
  await expect(rows(page, 'ready')).toHaveCount(2)
}

test('without a session there is nothing to befall', async ({ page }) => {
  await open(page)
  await button(page, 'Faults').click()
  await button(page, 'Cut').click()
  await expect(verdict(page)).toHaveText(/^A is not set up: connect and send setup first/)
  await button(page, 'Resume').click()
  await expect(verdict(page)).toHaveText(/^A has had no session yet/)
})

test('a session that is gone says what to do', async ({ page }) => {
  await settled(page)
  await button(page, 'Cut').click()
  await ends(page, /^Closed with 1006/)
  // Somebody else's token: the gateway does not say more than that the session is not theirs.
  await field(page, 'Message').selectOption('setup')
  await field(page, 'Token').fill('somebody-else')
  await button(page, 'Resume').click()
  await expect(verdict(page)).toHaveText(/^A was refused: SESSION_EXPIRED: /)
  await button(page, 'Reconnect').click()
  await ends(page, /^A new session; 1 of 1 topics recovered, 0 replayed, /)
})

test('on a phone nothing sticks out', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await settled(page)
  await button(page, 'Cut').click()
  await ends(page, /^Closed with 1006/)
  await button(page, 'Resume').click()
  await ends(page, /^The same session/)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
})

anywhere('a token that expires under way', async ({ page }) => {
  const env = { ...process.env, MICRO_SOCKET_AUTH: 'jwt', MICRO_SOCKET_JWT_SECRET: 'a secret of this test, long enough for it' }
  const { url, stop } = await gateway(0, env)
  try {
    const mint = ['token', '--sub', 'ann', '--read', '*', '--write', '*', '--ttl', '10s']
    await open(page, url)
    await connect(page)
    const token = execFileSync(binary, mint, { env, encoding: 'utf8' }).trim()
    await send(page, 'setup', { Token: token, Topics: 'prices' })
    await expect(rows(page, 'ready')).toHaveCount(1)
    await button(page, 'Faults').click()
    await button(page, 'Let the token expire').click()
    await ends(page, 'Closed with 4101: TOKEN_EXPIRED came first. Press Reconnect or Resume.')
    // Without demo endpoints the gateway treats no socket badly.
    await field(page, 'Token').fill(execFileSync(binary, [...mint.slice(0, -1), '1m'], { env, encoding: 'utf8' }).trim())
    await button(page, 'Resume').click()
    await ends(page, /^The same session; 1 of 1 topics recovered, 0 replayed, /)
    await button(page, 'Cut').click()
    await expect(verdict(page)).toHaveText(/^The gateway does not do that to a socket: the demo endpoints are off/)
  } finally {
    await stop()
  }
})

anywhere('a gateway that forgot everything', async ({ page }) => {
  const port = Number(process.env.MICRO_SOCKET_PORT ?? 3917) + 1
  let own = await gateway(port)
  try {
    await open(page, own.url)
    await connect(page)
    await send(page, 'setup', { Topics: 'prices' })
    await expect(rows(page, 'ready')).toHaveCount(1)
    await send(page, 'publish', { Topic: 'prices' })
    await expect(rows(page, 'message')).toHaveCount(1)
    await own.stop()
    await expect(rows(page, 'closed')).toHaveCount(1)
    own = await gateway(port)
    await button(page, 'Faults').click()
    await button(page, 'Reconnect').click()
    await ends(page, 'A new session; 0 of 1 topics recovered, 0 replayed, no gap, no double, in order.', false)
    await expect(cells(page)).toHaveText(['prices', 'not recovered: the numbering is a new one (epoch)', '0', '0', '0', '0'])
  } finally {
    await own.stop()
  }
})
