// How a connection ends, in plain words.
import { button, connect, connection, expect, field, open, ready, rows, send, test, unique } from './page'

test('an empty token: refused, closed with 4001, explained', async ({ page }) => {
  await open(page)
  await connect(page)
  await send(page, 'setup', { Token: '' })
  await expect(rows(page, 'error', 'AUTH_FAILED')).toHaveCount(1)
  await expect(rows(page, 'closed', '4001: The token was refused.')).toHaveCount(1)
  await expect(connection(page)).toContainText('Closed (4001)')
  await expect(page.getByRole('status').filter({ hasText: 'do not reconnect' })).toBeVisible()
})

test('before setup: AUTH_REQUIRED with its mend', async ({ page }) => {
  await open(page)
  await connect(page)
  await send(page, 'subscribe')
  await expect(rows(page, 'error', 'AUTH_REQUIRED')).toContainText('Send setup with a token first')
})

test('the other side of Disconnect', async ({ page }) => {
  await ready(page, '')
  await button(page, 'Disconnect').click()
  await expect(rows(page, 'closed', '1000: The connection was closed in order.')).toHaveCount(1)
  await button(page, 'Connect').click()
  await expect(rows(page, 'opened')).toHaveCount(2)
  await send(page, 'setup')
  await expect(rows(page, 'ready')).toHaveCount(2)
})

test('an address that is none', async ({ page }) => {
  await open(page)
  await field(page, 'URL').fill('ftp://example.invalid/ws')
  await button(page, 'Connect').click()
  await expect(rows(page, 'closed')).toHaveCount(1)
  await expect(button(page, 'Connect')).toBeVisible()
})

test('resume after Disconnect is filled in and brings what was missed', async ({ page, request }) => {
  const topic = unique('resume')
  await ready(page, topic)
  await button(page, 'Disconnect').click()
  await expect(rows(page, 'closed')).toHaveCount(1)
  await request.get(`/demo/publish/${topic}?missed=yes`)
  await button(page, 'Connect').click()
  await expect(rows(page, 'opened')).toHaveCount(2)
  await field(page, 'Message').selectOption('resume')
  await expect(field(page, 'Last seq per topic')).toHaveValue(`{"${topic}":0}`)
  await button(page, 'Send').click()
  await expect(rows(page, 'subscribed', '"recovered":true')).toHaveCount(1)
  await expect(rows(page, 'message', '"missed":"yes"')).toHaveCount(1)
  await expect(rows(page, 'ready', '"resumed":true')).toHaveCount(1)
})
