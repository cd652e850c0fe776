// The log: what it shows, and what it lets a reader do with it.
import type { APIRequestContext, Page } from '@playwright/test'
import { button, expect, field, log, ready, rows, send, test, unique } from './page'

/** Publishes payloads over HTTP; they arrive live. */
async function publish(request: APIRequestContext, topic: string, payloads: unknown[]): Promise<void> {
  for (let at = 0; at < payloads.length; at += 1000) {
    const data = payloads.slice(at, at + 1000).map((payload) => ({ topic, payload }))
    const answer = await request.post('/api/publish', { headers: { authorization: 'Bearer demo-user' }, data })
    expect(answer.ok()).toBe(true)
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
const detail = (page: Page) => page.locator('#frame-detail')
const pinned = (page: Page) => page.getByRole('list', { name: 'Pinned frames' }).locator('li')

test('markup in data stays text', async ({ page }) => {
  const topic = unique('<i>markup')
  await ready(page, topic)
  const payload = '{"html":"<img src=x onerror=alert(1)></textarea><script>alert(2)</script>"}'
  await send(page, 'publish', { Topic: topic, Payload: payload })
  await expect(rows(page, 'message', payload)).toHaveCount(1)
  await expect(page.locator('#app').locator('img, script, i')).toHaveCount(0)
})

test('characters that reorder or hide text are shown as escapes', async ({ page }) => {
  const topic = unique('bidi')
  await ready(page, topic)
  await send(page, 'publish', { Topic: topic, Payload: '"a\u202eb\u200bc"' })
  await expect(rows(page, 'message', 'a\\u202eb\\u200bc')).toHaveCount(1)
})

test('each row has direction, time, type and the frame', async ({ page }) => {
  await ready(page, '')
  const row = rows(page, 'ready')
  await expect(row).toContainText('←')
  await expect(row).toContainText('received')
  await expect(row.locator('time')).toHaveText(/^\d\d:\d\d:\d\d\.\d{3}$/)
  await expect(row).toContainText('{"type":"ready"')
  await expect(rows(page, 'setup')).toContainText('→')
})

test('filters by type and topic', async ({ page }) => {
  const [one, two] = [unique('one'), unique('two')]
  await ready(page, `${one},${two}`)
  await field(page, 'Filter by topic').selectOption(two)
  await expect(log(page).locator('li')).toHaveCount(1)
  await field(page, 'Filter by type').selectOption('ready')
  await expect(page.getByText('No frame passes the filter.')).toBeVisible()
  await field(page, 'Filter by topic').selectOption('')
  await expect(log(page).locator('li')).toHaveCount(1)
})

test('pause keeps the view still, and nothing is lost meanwhile', async ({ page }) => {
  await ready(page, '')
  await button(page, 'Pause').click()
  await send(page, 'ping')
  await expect(page.getByText(/paused: 2 new/)).toBeVisible()
  await expect(rows(page, 'pong')).toHaveCount(0)
  await button(page, 'Pause').click()
  await expect(rows(page, 'pong')).toHaveCount(1)
})

test('clear empties the log', async ({ page }) => {
  await ready(page, '')
  await button(page, 'Clear').click()
  await expect(log(page).locator('li')).toHaveCount(0)
  await send(page, 'ping')
  await expect(rows(page, 'pong')).toHaveCount(1)
})

test('follows its end until the reader scrolls away', async ({ page }) => {
  await ready(page, '')
  await field(page, 'Message').selectOption('ping')
  for (let n = 0; n < 15; n++) await button(page, 'Send').click()
  await expect(rows(page, 'pong')).toHaveCount(15)
  const below = () => log(page).evaluate((el) => el.scrollHeight - el.scrollTop - el.clientHeight)
  await expect.poll(below).toBeLessThan(24)
  await log(page).evaluate((el) => el.scrollTo(0, 0))
  await expect(page.getByLabel('Follow')).not.toBeChecked()
  await button(page, 'Send').click()
  await expect(rows(page, 'pong')).toHaveCount(16)
  expect(await log(page).evaluate((el) => el.scrollTop)).toBe(0)
})

test('a frame can be copied whole', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await ready(page, '')
  await rows(page, 'setup').getByRole('button', { name: /^Copy frame/ }).click()
  await expect(rows(page, 'setup').getByText('Copied')).toBeVisible()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('{"type":"setup","token":"demo-user"}')
})

test('ten thousand rows are kept, few stand in the document, and what is dropped is counted', async ({ page, request }) => {
  const topic = unique('many')
  await ready(page, topic)
  await publish(request, topic, numbers(0, 9_000))
  await expect(rows(page, 'message', '"data":8999')).toHaveCount(1)
  await expect(page.getByText(/^9\d\d\d of 9\d\d\d rows$/)).toBeVisible()
  await log(page).evaluate((el) => el.scrollTo(0, 0))
  await expect(rows(page, 'opened')).toBeVisible()
  await log(page).evaluate((el) => el.scrollTo(0, el.scrollHeight / 2))
  await expect(log(page).getByRole('list')).toHaveAccessibleName(/^Frames 4\d\d\d to 4\d\d\d of 9\d\d\d$/)
  // What is read stays where it is when rows above it fall out.
  const read = async () => {
    const box = (await log(page).boundingBox())!
    return page.evaluate(({ x, y }) => document.elementFromPoint(x, y)?.closest('li')?.dataset.row, { x: box.x + 20, y: box.y + box.height / 2 })
  }
  const before = await read()
  expect(before).toBeTruthy()
  await publish(request, topic, numbers(9_000, 12_000))
  await expect(page.getByText(/^10000 of 10000 rows, 2\d\d\d older dropped$/)).toBeVisible()
  expect(await read()).toBe(before)
  expect(await log(page).locator('li').count()).toBeLessThan(60)
  await page.getByLabel('Follow').check()
  await expect(rows(page, 'message', '"data":11999')).toBeVisible()
  // The rows are high in the log alone.
  expect(await page.evaluate(() => document.documentElement.scrollHeight)).toBeLessThan(50_000)
})

test('filters by direction', async ({ page }) => {
  await ready(page, '')
  await field(page, 'Filter by direction').selectOption('sent')
  await expect(log(page).locator('li')).toHaveCount(1)
  await expect(rows(page, 'setup')).toBeVisible()
  await field(page, 'Filter by direction').selectOption('note')
  await expect(rows(page, 'opened')).toBeVisible()
  await expect(rows(page, 'setup')).toHaveCount(0)
})

test('a client that goes takes its filter along', async ({ page }) => {
  await ready(page, '')
  await button(page, 'Add a client').click()
  await field(page, 'Filter by client').selectOption('B')
  await expect(rows(page, 'setup')).toHaveCount(0)
  await button(page, 'Remove client B').click()
  await expect(rows(page, 'setup')).toBeVisible()
  await expect(button(page, 'Add a client')).toBeFocused()
})

test('a client that comes in knows nothing of the one that went', async ({ page }) => {
  await ready(page, '')
  await button(page, 'Add a client').click()
  await button(page, 'Connect').click()
  await expect(rows(page, 'opened')).toHaveCount(2)
  await button(page, 'Remove client B').click()
  await expect(rows(page, 'closed')).toHaveCount(1)
  await button(page, 'Add a client').click()
  await expect(page.locator('.client[data-client="B"]')).toHaveAttribute('data-phase', 'disconnected')
  await button(page, 'Connect').click()
  await expect(rows(page, 'opened')).toHaveCount(3)
  await expect(rows(page, 'closed')).toHaveCount(1)
})

test('filters by text, whatever stands in it', async ({ page, request }) => {
  const topic = unique('text')
  await ready(page, topic)
  await publish(request, topic, ['a.b', 'axb', 'A.B'])
  await field(page, 'Filter by text').fill('a.b')
  await expect(log(page).locator('li')).toHaveCount(2)
  // New rows go through the same filter.
  await publish(request, topic, ['ayb', 'a.b again'])
  await expect(rows(page, 'message', 'again')).toBeVisible()
  await expect(log(page).locator('li')).toHaveCount(3)
  await field(page, 'Filter by type').selectOption('ready')
  await expect(page.getByText('No frame passes the filter.')).toBeVisible()
})

test('filters by a regular expression, and says what is wrong with a bad one', async ({ page, request }) => {
  const topic = unique('regex')
  await ready(page, topic)
  await publish(request, topic, [{ price: 99 }, { price: 100 }, { price: 1000 }])
  await expect(rows(page, 'message')).toHaveCount(3)
  await page.getByLabel('Regex').check()
  await field(page, 'Filter by text').fill('"price":\\d{3,4}\\b')
  await expect(log(page).locator('li')).toHaveCount(2)
  await field(page, 'Filter by text').fill('"price":(')
  await expect(page.getByText('Not a regular expression: Unterminated group. Mend it; until then any text passes.')).toBeVisible()
  await expect(field(page, 'Filter by text')).toHaveAttribute('aria-invalid', 'true')
  await expect(rows(page, 'message')).toHaveCount(3)
  await field(page, 'Filter by text').fill('"price":(99)')
  await expect(log(page).locator('li')).toHaveCount(1)
  await expect(page.getByText('Not a regular expression')).toHaveCount(0)
})

test('a pinned row stays in view when the log drops or clears it', async ({ page, request }) => {
  const topic = unique('pin')
  await ready(page, topic)
  await rows(page, 'setup').getByRole('button', { name: /^Pin frame/ }).click()
  await expect(pinned(page)).toHaveCount(1)
  await publish(request, topic, numbers(0, 10_500))
  await expect(page.getByText(/older dropped$/)).toBeVisible()
  await expect(pinned(page)).toContainText('{"type":"setup"')
  await button(page, 'Clear').click()
  await expect(log(page).locator('li')).toHaveCount(0)
  await pinned(page).getByRole('button', { name: /^Open frame/ }).click()
  await expect(detail(page)).toContainText('setup')
  await pinned(page).getByRole('button', { name: /^Unpin frame/ }).click()
  await expect(pinned(page)).toHaveCount(0)
  await expect(log(page)).toBeFocused()
})

test('a paused log is still whatever comes', async ({ page, request }) => {
  const topic = unique('still')
  await ready(page, topic)
  await button(page, 'Pause').click()
  await publish(request, topic, numbers(0, 10_500))
  await expect(page.getByText(/paused: 10500 new/)).toBeVisible()
  await expect(rows(page, 'setup')).toBeVisible()
  // What is open is shown, though it has long fallen out behind.
  await rows(page, 'setup').getByRole('button', { name: /^Open frame/ }).click()
  await expect(detail(page)).toContainText('demo-user')
  await field(page, 'Filter by type').selectOption('ready')
  await expect(rows(page, 'ready')).toBeVisible()
  await button(page, 'Pause').click()
  await expect(rows(page, 'ready')).toHaveCount(0)
})

test('a row opens into its JSON as a tree, its raw text and its size', async ({ page }) => {
  const topic = unique('tree')
  await ready(page, topic)
  const payload = '{"z":1.50,"a":["x\\ny",true,null],"big":12345678901234567890123}'
  await send(page, 'publish', { Topic: topic, Payload: payload })
  const open = rows(page, 'message').getByRole('button', { name: /^Open frame \d+: message/ })
  await open.click()
  await expect(open).toHaveAttribute('aria-expanded', 'true')
  const text = await rows(page, 'message').locator('pre').textContent()
  await expect(detail(page)).toContainText(`${text!.trim().length} bytes, topic ${topic}`)
  // Keys in their order, numbers to the last digit.
  await expect(detail(page).locator('.json-key')).toContainText(['"type"', '"topic"', '"seqNo"', '"messageId"', '"data"', '"z"', '"a"', '"big"'])
  await expect(detail(page).locator('.json-number').filter({ hasText: '1.50' })).toHaveText('1.50')
  await expect(detail(page).getByText('12345678901234567890123')).toBeVisible()
  await expect(detail(page).locator('.json-string').filter({ hasText: 'ny"' })).toHaveText('"x\\ny"')
  const data = detail(page).locator('summary').filter({ hasText: '"data"' })
  await data.focus()
  await page.keyboard.press('Enter')
  await expect(detail(page).getByText('12345678901234567890123')).toBeHidden()
  await button(page, 'Raw text').click()
  await expect(detail(page).locator('pre')).toHaveText(text!.trim())
  await button(page, 'Raw text').click()
  await detail(page).getByRole('button', { name: /^Close frame/ }).click()
  await expect(detail(page)).toHaveCount(0)
  await expect(open).toBeFocused()
})

test('what hides or reorders is escaped in the tree too', async ({ page }) => {
  const topic = unique('tree')
  await ready(page, topic)
  await send(page, 'publish', { Topic: topic, Payload: '{"k\u202ey":"a\u202eb<img src=x>"}' })
  await rows(page, 'message').locator('pre').click()
  await expect(detail(page).locator('.tree')).toContainText('k\\u202ey')
  await expect(detail(page).locator('.tree')).toContainText('a\\u202eb<img src=x>')
  await expect(page.locator('#app img')).toHaveCount(0)
})

test('the link of an answer goes to its request, however far that is', async ({ page, request }) => {
  const topic = unique('link')
  await ready(page, topic)
  await send(page, 'publish', { Topic: topic, Payload: '"asked"' })
  const ack = rows(page, 'ack')
  await expect(ack.getByRole('button', { name: /^answers #\d+ after [\d.]+ m?s$/ })).toBeVisible()
  await ack.getByRole('button', { name: /^Pin frame/ }).click()
  await publish(request, topic, numbers(0, 500))
  await expect(rows(page, 'message', '"data":499')).toBeVisible()
  await expect(rows(page, 'publish')).toHaveCount(0)
  await pinned(page).getByRole('button', { name: /^answers #/ }).click()
  await expect(rows(page, 'publish', 'asked')).toBeInViewport()
  await expect(rows(page, 'publish').getByRole('button', { name: /^Open frame/ })).toBeFocused()
  await expect(detail(page).getByRole('button', { name: /^answered by #\d+ after/ })).toBeVisible()
  await detail(page).getByRole('button', { name: /^answered by #/ }).click()
  await expect(detail(page).getByRole('heading')).toHaveText(/^#\d+ ack$/)
  await expect(ack.getByRole('button', { name: /^Open frame/ })).toBeFocused()
})

test('a link to a dropped row says so', async ({ page, request }) => {
  const topic = unique('gone')
  await ready(page, topic)
  await rows(page, 'ready').getByRole('button', { name: /^Pin frame/ }).click()
  await publish(request, topic, numbers(0, 10_500))
  await expect(page.getByText(/older dropped$/)).toBeVisible()
  await pinned(page).getByRole('button', { name: /^answers #/ }).click()
  await expect(page.getByText(/^Frame \d+ is no longer kept\.$/)).toBeVisible()
})

test('the last value of each topic in a table', async ({ page, request }) => {
  const [one, two] = [unique('one'), unique('two')]
  await ready(page, `${one},${two}`)
  await publish(request, one, [1, 2, 3])
  await publish(request, two, [{ bid: 7 }])
  await button(page, 'Last values').click()
  const table = page.getByRole('region', { name: 'Log' }).getByRole('table')
  await expect(table.getByRole('row', { name: one })).toContainText(/3\s*\d\d:\d\d:\d\d\.\d{3}#3 3/)
  await expect(table.getByRole('row', { name: two })).toContainText('#1 {"bid":7}')
  await publish(request, two, [{ bid: 8 }])
  await expect(table.getByRole('row', { name: two })).toContainText('#2 {"bid":8}')
  await button(page, 'Last values').click()
  await expect(rows(page, 'message', '"bid":8')).toBeVisible()
})

test('rows are walked with the arrow keys, past what stands in the document', async ({ page, request }) => {
  const topic = unique('keys')
  await ready(page, topic)
  await publish(request, topic, numbers(0, 200))
  await expect(rows(page, 'message', '"data":199')).toBeVisible()
  await rows(page, 'message', '"data":199').getByRole('button', { name: /^Open frame/ }).focus()
  const walked = async () => {
    await page.keyboard.press('ArrowUp')
    return page.evaluate(() => document.activeElement?.closest('li')?.textContent)
  }
  await expect.poll(walked, { intervals: [20], timeout: 30_000 }).toContain('"data":99}')
  await expect(rows(page, 'message', '"data":99')).toBeInViewport()
  await expect(rows(page, 'message', '"data":99').getByRole('button', { name: /^Open frame/ })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(detail(page)).toContainText('99')
})

test('Up and Down find a button that the next row has', async ({ page }) => {
  await ready(page, '')
  await rows(page, 'setup').getByRole('button', { name: /^Repeat frame/ }).focus()
  await page.keyboard.press('ArrowDown')
  await expect(rows(page, 'ready').getByRole('button', { name: /^Copy frame/ })).toBeFocused()
})

test('the keyboard stays in the log when the row it was on goes out of view', async ({ page, request }) => {
  const topic = unique('focus')
  await ready(page, topic)
  await rows(page, 'setup').getByRole('button', { name: /^Open frame/ }).focus()
  await publish(request, topic, numbers(0, 200))
  await expect(rows(page, 'message', '"data":199')).toBeVisible()
  await expect(log(page)).toBeFocused()
})
