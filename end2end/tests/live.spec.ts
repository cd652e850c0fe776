// Messages that come from somewhere else.
import { button, expect, ready, rows, send, test, unique } from './page'

test('two pages talk to each other', async ({ page, context }) => {
  const topic = unique('talk')
  const other = await context.newPage()
  await ready(page, topic)
  await ready(other, topic, `/ws/sub/${topic}`)
  await send(page, 'publish', { Topic: topic, Payload: '"hello"' })
  await expect(rows(other, 'message', '"data":"hello"')).toHaveCount(1)
  await send(other, 'publish', { Topic: topic, Payload: '"hello yourself"' })
  await expect(rows(page, 'message', '"data":"hello yourself"')).toHaveCount(1)
})

test('what is published over HTTP arrives live', async ({ page, request }) => {
  const topic = unique('http')
  await ready(page, topic)
  const answer = await request.get(`/demo/publish/${topic}?bid=100&ask=101`)
  expect(await answer.json()).toMatchObject({ ok: true, topic })
  await expect(rows(page, 'message', '"data":{"bid":"100","ask":"101"}')).toHaveCount(1)
})

test('the line for a terminal can be tried from the page', async ({ page, baseURL }) => {
  await ready(page, 'prices')
  await expect(page.getByText(`curl "${baseURL}/demo/publish/prices?bid=100&ask=101"`)).toBeVisible()
  await button(page, 'Try it').click()
  await expect(page.getByRole('status').filter({ hasText: '"ok":true' })).toBeVisible()
  await expect(rows(page, 'message', '"bid":"100"').first()).toBeVisible()
})

test('the log stays usable under thousands of messages', async ({ page, request }) => {
  const topic = unique('flood')
  await ready(page, topic)
  for (let batch = 0; batch < 11; batch++) {
    const data = Array.from({ length: 1000 }, (_, n) => ({ topic, payload: batch * 1000 + n }))
    const answer = await request.post('/api/publish', { headers: { authorization: 'Bearer demo-user' }, data })
    expect(answer.ok()).toBe(true)
  }
  await expect(rows(page, 'message', '"data":10999')).toHaveCount(1)
  await expect(page.getByText(/of 10000 rows, \d+ older dropped/)).toBeVisible()
  expect(await page.getByRole('log').locator('li').count()).toBeLessThan(60)
  await send(page, 'ping')
  await expect(rows(page, 'pong')).toHaveCount(1)
})
