// The log: what it shows, and what it lets a reader do with it.
import { button, expect, field, log, ready, rows, send, test, unique } from './page'

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
