// The page for everyone: axe in each state, width and colour scheme, and a tour without a mouse.
import type { Page } from '@playwright/test'
import { clean } from './axe'
import { button, connect, expect, field, log, open, ready, rows, send, test, unique } from './page'

test.use({ contextOptions: { reducedMotion: 'reduce' } })

const verdict = (page: Page) => page.locator('.verdict')
const stepNow = (page: Page) => page.locator('.steps [data-progress="now"]')

// axe looks at everything each time.
test.beforeEach(() => test.slow())

test('axe finds nothing on a fresh page, the reference included', async ({ page }) => {
  await open(page)
  await clean(page, 'fresh', 'html')
})

test('axe finds nothing while frames are composed, sent and refused', async ({ page }) => {
  await ready(page, unique('axe'))
  await send(page, 'publish', { 'Message ID': unique('twice') })
  await send(page, 'publish')
  await expect(rows(page, 'ack', 'duplicate')).toHaveCount(1)
  await field(page, 'Payload').fill('{')
  await page.getByText('More fields').click()
  await clean(page, 'a field in error')
  await field(page, 'Frame').fill('{}')
  await button(page, 'Send').click()
  await expect(rows(page, 'error')).toHaveCount(1)
  await button(page, 'Disconnect').click()
  await expect(rows(page, 'closed')).toHaveCount(1)
  await button(page, 'Add a client').click()
  await clean(page, 'every kind of row, two clients')
})

test('axe finds nothing in the log with a row open, one pinned, a bad pattern, and the last values', async ({ page }) => {
  const topic = unique('axe')
  await ready(page, topic)
  await send(page, 'publish', { Topic: topic, Payload: '{"a":[1,"b",true,{}]}' })
  await rows(page, 'message').getByRole('button', { name: /^Pin frame/ }).click()
  await rows(page, 'message').getByRole('button', { name: /^Open frame/ }).click()
  await page.getByLabel('Regex').check()
  await field(page, 'Filter by text').fill('(')
  await expect(page.getByText('Not a regular expression')).toBeVisible()
  await clean(page, 'a row as a tree')
  await button(page, 'Raw text').click()
  await button(page, 'Last values').click()
  await expect(page.getByRole('region', { name: 'Log' }).getByRole('table')).toBeVisible()
  await clean(page, 'raw text and last values')
})

test('axe finds nothing in the log while it is paused, and where no row passes the filter', async ({ page }) => {
  await ready(page, '')
  await button(page, 'Pause').click()
  await send(page, 'ping')
  await expect(page.getByText(/paused: 2 new/)).toBeVisible()
  await clean(page, 'a log that is paused')
  await field(page, 'Filter by text').fill('no such text')
  await expect(page.getByText('No frame passes the filter.')).toBeVisible()
  await clean(page, 'no row passes the filter')
})

test('axe finds nothing in pictures and take-away', async ({ page }) => {
  const topic = unique('axe')
  await ready(page, topic)
  await button(page, 'Pictures').click()
  await send(page, 'publish', { Topic: topic })
  await expect(page.getByRole('row', { name: /^this page 1 / })).toBeVisible()
  await clean(page, 'pictures')

  await button(page, 'Take it away').click()
  await field(page, 'Save as').fill('one more')
  await button(page, 'Save').click()
  await expect(button(page, 'one more')).toBeVisible()
  await clean(page, 'take-away')

})

test('axe finds nothing in the token helper, the palette and the shortcuts', async ({ page }) => {
  await open(page)
  await button(page, 'Token helper').click()
  await clean(page, 'a token that is a name')
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const jwt = `${part({ alg: 'HS256' })}.${part({ sub: 'ann', exp: 1000, topics: { read: ['a'], write: [] } })}.c2ln`
  await field(page, 'JWT of this client').fill(jwt)
  await expect(page.locator('.expiry')).toHaveText(/^Expired/)
  await clean(page, 'a token that expired')

  await page.keyboard.press('Control+k')
  await clean(page, 'palette')
  await page.getByRole('combobox', { name: 'Find a command' }).fill('no such thing')
  await clean(page, 'palette with nothing found')
  await page.keyboard.press('Escape')
  await button(page, 'Token helper').focus()
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Shortcuts' })).toBeVisible()
  await clean(page, 'shortcuts')
})

test('axe finds nothing in scenarios: before, meanwhile and after', async ({ page }) => {
  await open(page)
  await button(page, 'Scenarios').click()
  await clean(page, 'scenarios')
  await button(page, 'ACL denied').click()
  await expect(verdict(page)).toHaveText(/^ACL_DENIED/)
  await clean(page, 'a scenario with a good end')
  await page.route('**/demo/faults', () => {})
  await button(page, 'Slow consumer').click()
  await expect(stepNow(page)).toHaveText(/Nothing more is written/)
  // Its step waits ten seconds by the page's clock, which stands still for as long as axe takes.
  await page.evaluate(() => {
    const now = performance.now()
    performance.now = () => now
  })
  await clean(page, 'a scenario that runs')
  await button(page, 'Stop').click()
  await expect(verdict(page)).toHaveText('Stopped.')
  await clean(page, 'a scenario that was stopped')
})

test('axe finds nothing in faults: before, meanwhile and after', async ({ page }) => {
  await ready(page, unique('axe'))
  await button(page, 'Faults').click()
  await clean(page, 'faults')
  await button(page, 'Go offline').click()
  await expect(stepNow(page)).toHaveText(/Out of reach/)
  await clean(page, 'a fault that is under way')
  await expect(verdict(page)).toHaveText(/was away/)
  await button(page, 'Resume').click()
  await expect(verdict(page)).toHaveText(/^The same session/)
  await clean(page, 'what a fault left behind')
})

test('axe finds nothing in evidence', async ({ page }) => {
  const topic = unique('axe')
  await open(page)
  await button(page, 'Evidence').click()
  await clean(page, 'evidence of nothing')
  await connect(page)
  await send(page, 'setup', { Topics: topic })
  await expect(rows(page, 'ready')).toHaveCount(1)
  await send(page, 'publish', { Topic: topic })
  await expect(rows(page, 'message')).toHaveCount(1)
  // With demo auth every topic is allowed: a check fails.
  await field(page, 'A topic it does not allow, if any').fill('free')
  await button(page, 'Verify').click()
  await expect(page.getByText('Verified: 1 FAIL, 6 pass.')).toBeVisible({ timeout: 50_000 })
  await expect(page.locator('[data-verdict="holds"]').first()).toBeVisible()
  await clean(page, 'evidence of all kinds')
})

test('axe finds nothing in evidence while Verify runs', async ({ page }) => {
  // A gateway that answers nothing but setup: every check has to wait.
  await page.routeWebSocket(/\/ws$/, (ws) => ws.onMessage((text) => `${text}`.includes('"setup"') && ws.send('{"type":"ready","sessionId":"s","userId":"u"}')))
  await open(page)
  await button(page, 'Evidence').click()
  await button(page, 'Verify').click()
  await expect(page.getByText(/^Verifying: \d of 7 checked\.$/)).toBeVisible()
  await clean(page, 'Verify runs')
})

test('axe finds nothing in an imported session, and in what its replay came to', async ({ page }) => {
  await ready(page, '')
  await button(page, 'Session file').click()
  const header = { format: 'micro-socket-session', version: 1 }
  const row = (type: string, direction: string) => ({ time: '2026-03-01T10:00:00.000Z', client: 'A', direction, text: JSON.stringify({ type }) })
  const session = [header, row('ping', 'sent'), row('pong', 'received'), row('ping', 'sent')].map((line) => JSON.stringify(line)).join('\n')
  const choose = (text: string) => page.locator('#session-file').setInputFiles({ name: 'some.ndjson', mimeType: 'application/x-ndjson', buffer: Buffer.from(text) })
  await choose('nonsense')
  await expect(page.getByText(/^Not imported\./)).toBeVisible()
  await clean(page, 'a file that is refused')
  await choose(session)
  await button(page, 'at once').click()
  await button(page, 'Replay').click()
  await expect(page.getByText('1 of 2 answered as then.')).toBeVisible()
  await clean(page, 'an imported session')
})

test('the tour by keyboard alone', async ({ page }) => {
  await open(page)
  const tabTo = async (name: string) => {
    const focused = page.locator(':focus')
    for (let n = 0; n < 40; n++) {
      await page.keyboard.press('Tab')
      const [label, text] = await focused.evaluate((el) => [(el as HTMLInputElement).labels?.[0]?.textContent, el.textContent])
      if ((label ?? text)?.trim() === name) return
    }
    throw new Error(`Tab does not reach ${name}`)
  }
  await page.keyboard.press('Tab')
  await expect(page.locator(':focus')).toHaveText('Skip to the playground')
  await page.keyboard.press('Enter')
  await tabTo('URL')
  await page.keyboard.press('Enter')
  await expect(rows(page, 'opened')).toHaveCount(1)
  await tabTo('Token')
  await page.keyboard.press('Enter')
  await expect(rows(page, 'ready')).toHaveCount(1)
  await page.keyboard.press('Shift+Tab')
  await expect(field(page, 'Message')).toBeFocused()
  await page.keyboard.type('pub')
  await expect(field(page, 'Message')).toHaveValue('publish')
  await tabTo('Payload')
  await page.keyboard.press('Control+Enter')
  await expect(rows(page, 'ack', '"status":"ok"')).toHaveCount(1)
  await tabTo('Clear')
  await page.keyboard.press('Tab')
  await expect(log(page)).toBeFocused()
  await page.keyboard.press('Tab')
  await expect(page.locator(':focus')).toHaveAccessibleName(/^Open frame/)
  await page.keyboard.press('ArrowUp')
  await expect(page.locator(':focus')).toHaveAccessibleName(/^Open frame/)
})

test('focus can be seen', async ({ page }) => {
  await open(page)
  await field(page, 'Message').focus()
  await page.keyboard.press('Tab')
  expect(await page.locator(':focus').evaluate((el) => getComputedStyle(el).outlineStyle)).toBe('solid')
})
