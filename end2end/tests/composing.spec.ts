// The composer: what it checks, what it lets through, and what it says.
import { button, connect, connection, expect, field, open, ready, rows, send, test, unique } from './page'

test('a bad payload is not sent, and the field says why', async ({ page }) => {
  await ready(page, '')
  await send(page, 'publish', { Payload: '{"bid":100,' })
  const payload = field(page, 'Payload')
  await expect(payload).toHaveAttribute('aria-invalid', 'true')
  await expect(payload).toHaveAccessibleDescription(/The payload is not valid JSON: .*line 1 column/)
  await expect(payload).toBeFocused()
  await expect(rows(page, 'publish')).toHaveCount(0)
  await payload.fill('{"bid":100}')
  await expect(payload).not.toHaveAttribute('aria-invalid')
  await button(page, 'Send').click()
  await expect(rows(page, 'ack', '"status":"ok"')).toHaveCount(1)
})

test('who insists may send a bad payload', async ({ page }) => {
  await ready(page, '')
  await field(page, 'Message').selectOption('publish')
  await field(page, 'Payload').fill('{')
  await button(page, 'Send anyway').click()
  await expect(rows(page, 'error', 'BAD_REQUEST')).toHaveCount(1)
})

test('a frame edited by hand goes out as it stands', async ({ page }) => {
  await ready(page, '')
  const frame = field(page, 'Frame')
  await frame.fill('{"type":"nope"}')
  await expect(frame).toHaveAccessibleDescription(/unknown type "nope"/)
  await button(page, 'Send').click()
  await expect(rows(page, 'bad frame', '{"type":"nope"}')).toHaveCount(1)
  await expect(rows(page, 'error', 'BAD_REQUEST')).toContainText('Mend the field that the message names')
  await button(page, 'Back to the fields').click()
  await expect(frame).toHaveValue(/"type":"setup"/)
})

test('the frame follows the fields', async ({ page }) => {
  await open(page)
  await field(page, 'Message').selectOption('subscribe')
  await field(page, 'Topic').fill('a "quoted" topic')
  await expect(field(page, 'Frame')).toHaveValue('{"type":"subscribe","topic":"a \\"quoted\\" topic"}')
  await page.getByText('More fields').click()
  await field(page, 'Last seq').fill('7')
  await expect(field(page, 'Frame')).toHaveValue(/,"lastSeq":7\}$/)
})

test('the same Message ID again is a duplicate', async ({ page }) => {
  const topic = unique('twice')
  await ready(page, topic)
  await field(page, 'Message').selectOption('publish')
  await field(page, 'Topic').fill(topic)
  await page.getByLabel('Keep ID').check()
  await button(page, 'Send').click()
  await expect(rows(page, 'ack', '"status":"ok"')).toHaveCount(1)
  await button(page, 'Send').click()
  await expect(rows(page, 'ack', '"status":"duplicate"')).toHaveCount(1)
  await expect(rows(page, 'message', topic)).toHaveCount(1)
})

test('Keep ID after a publish was sent means the id that was sent', async ({ page }) => {
  const topic = unique('kept')
  await ready(page, topic)
  await send(page, 'publish', { Topic: topic })
  await expect(rows(page, 'ack', '"status":"ok"')).toHaveCount(1)
  await expect(page.getByText('Tick Keep ID and publish again to see a duplicate')).toBeVisible()
  const drawn = await field(page, 'Message ID').inputValue()
  await field(page, 'Keep ID').check()
  await expect(field(page, 'Message ID')).not.toHaveValue(drawn)
  await button(page, 'Send').click()
  await expect(rows(page, 'ack', '"status":"duplicate"')).toHaveCount(1)
  await expect(rows(page, 'message', topic)).toHaveCount(1)
  // Not kept any more, the next one is new.
  await field(page, 'Keep ID').uncheck()
  await expect(field(page, 'Message ID')).toHaveValue(drawn)
  // One of one's own stays.
  await field(page, 'Message ID').fill('mine')
  await field(page, 'Keep ID').uncheck()
  await field(page, 'Keep ID').check()
  await expect(field(page, 'Message ID')).toHaveValue('mine')
})

test('Send stays in sight, and never lies over a composer of which little is seen', async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 900 })
  await open(page)
  const sendButton = button(page, 'Send')
  await expect(sendButton).toBeInViewport()
  // A tool that is high leaves the top of the composer in sight.
  await button(page, 'Evidence').click()
  const composer = page.locator('.composer')
  for (const seen of [60, 100, 140]) {
    await composer.evaluate((form, seen) => scrollBy(0, form.getBoundingClientRect().top - (innerHeight - seen)), seen)
    await expect(sendButton).not.toBeInViewport()
  }
  await composer.evaluate((form) => scrollBy(0, form.getBoundingClientRect().top - (innerHeight - 330)))
  await expect(sendButton).toBeInViewport({ ratio: 1 })
})

test('a new Message ID comes by itself', async ({ page }) => {
  await ready(page, '')
  await field(page, 'Message').selectOption('publish')
  const first = await field(page, 'Message ID').inputValue()
  expect(first).not.toBe('')
  await button(page, 'Send').click()
  await expect(field(page, 'Message ID')).not.toHaveValue(first)
})

test('an id typed by hand stays until a new one is asked for', async ({ page }) => {
  const id = unique('mine')
  await ready(page, '')
  await send(page, 'publish', { 'Message ID': id })
  await button(page, 'Send').click()
  await expect(rows(page, 'ack', '"status":"duplicate"')).toHaveCount(1)
  await button(page, 'New ID').click()
  await expect(field(page, 'Message ID')).not.toHaveValue(id)
})

test('a sent frame can be repeated from the log', async ({ page }) => {
  await ready(page, '')
  await send(page, 'publish')
  await rows(page, 'publish').getByRole('button', { name: /^Repeat frame/ }).click()
  await expect(rows(page, 'ack', '"status":"duplicate"')).toHaveCount(1)
})

test('nothing is lost when Send comes before the connection', async ({ page }) => {
  await open(page)
  await button(page, 'Send').click()
  await expect(page.getByText('Not sent: there is no connection')).toBeVisible()
  await connect(page)
  await button(page, 'Send').click()
  await expect(rows(page, 'ready')).toHaveCount(1)
})

test('a frame that waited for a connection in vain is said not to be sent', async ({ page }) => {
  let refuse = () => {}
  const refused = new Promise<void>((resolve) => { refuse = resolve })
  // It is opened when this is done.
  await page.routeWebSocket('**/ws', async (ws) => {
    await refused
    await ws.close({ code: 1013 })
  })
  await open(page)
  await field(page, 'URL').fill('/ws')
  await button(page, 'Connect').click()
  await expect(connection(page)).toContainText('Connecting…')
  await button(page, 'Send').click()
  await expect(page.getByText('Goes out as soon as the connection is open.')).toBeVisible()
  refuse()
  await expect(page.getByText('Not sent: the connection was not opened.')).toBeVisible()
})

test('a field that is folded away is opened where it is wrong', async ({ page }) => {
  await ready(page, '')
  await field(page, 'Message').selectOption('subscribe')
  await field(page, 'Topic').fill('t')
  await page.getByText('More fields').click()
  await field(page, 'Last seq').fill('x')
  await page.getByText('More fields').click()
  await expect(field(page, 'Last seq')).toBeHidden()
  await button(page, 'Send').click()
  await expect(page.getByText('Not sent. Last seq: ')).toBeVisible()
  await expect(field(page, 'Last seq')).toBeFocused()
})
