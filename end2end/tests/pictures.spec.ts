// Pictures of the traffic: this page's, topic by topic, and the gateway's.
import { button, expect, open, ready, rows, send, test, unique } from './page'

test('topics are counted, with how often and the last value', async ({ page }) => {
  const topic = unique('counted')
  await ready(page, topic)
  await button(page, 'Pictures').click()
  await expect(page.getByText('No message has come yet.')).toBeVisible()
  for (const n of [1, 2, 3]) await send(page, 'publish', { Topic: topic, Payload: `{"n":${n}}` })
  await expect(rows(page, 'message')).toHaveCount(3)
  const row = page.getByRole('row', { name: topic })
  await expect(row.getByRole('cell').first()).toHaveText('3')
  await expect(row).toContainText('#3 {"n":3}')
  await expect(row.getByRole('img', { name: '3 in 60 s' })).toBeVisible()
  await expect(page.getByRole('img', { name: /^Frames received a second: now \d+, most [1-9]/ })).toBeVisible()
})

test('the gateway says how it is, every second', async ({ page }) => {
  await ready(page, unique('watched'))
  await button(page, 'Pictures').click()
  await expect(page.getByRole('img', { name: /^Connections: now [1-9]/ })).toBeVisible()
  await expect(page.getByRole('img', { name: /^Subscriptions: now [1-9]/ })).toBeVisible()
  await expect(page.getByText('Waiting for the gateway')).toBeHidden()
  const path = page.getByRole('img', { name: /^Connections/ }).locator('path')
  await expect(path).toHaveAttribute('d', /^M.*L.*L/)
})

test('what the gateway said stands where it was said, and is still there when the tool is opened again', async ({ page }) => {
  // Time passes when the test says so.
  await page.addInitScript(() => {
    Object.assign(window, { passed: 0 })
    performance.now = () => (window as unknown as { passed: number }).passed
    window.EventSource = class {
      onmessage?: (event: { data: string }) => void
      constructor() {
        Object.assign(window, { tell: (data: string) => this.onmessage?.({ data }) })
      }
      close() {}
    } as unknown as typeof EventSource
  })
  await open(page)
  const stats = await (await page.request.get('/stats')).text()
  const told = (seconds: number[]) => page.evaluate(([stats, seconds]) => {
    for (const second of seconds as number[]) {
      Object.assign(window, { passed: 1000 * second })
      ;(window as unknown as { tell: (text: string) => void }).tell(stats as string)
    }
  }, [stats, seconds])
  const path = page.getByRole('img', { name: /^Connections/ }).locator('path')
  await button(page, 'Pictures').click()
  await told([10, 11, 12])
  await expect(path).toHaveAttribute('d', /^M236\.0 [\d.]+L238\.0 [\d.]+L240\.0 [\d.]+$/)
  await button(page, 'Pictures').click()
  await button(page, 'Pictures').click()
  await told([70])
  // A minute was not heard: half of the picture is empty.
  await expect(path).toHaveAttribute('d', /^M120\.0 [\d.]+L122\.0 [\d.]+L124\.0 [\d.]+M240\.0 [\d.]+$/)
})

test('a gateway that is away is asked again', async ({ page }) => {
  let asked = 0
  // An answer that is no stream ends an EventSource for good.
  await page.route('**/stats/stream', async (route) => (++asked < 2 ? route.fulfill({ status: 204 }) : route.continue()))
  await open(page)
  await button(page, 'Pictures').click()
  await expect(page.getByText('Waiting for the gateway')).toBeVisible()
  await expect(page.getByRole('img', { name: /^Connections: now \d/ })).toBeVisible()
  await expect(page.getByText('Waiting for the gateway')).toBeHidden()
  expect(asked).toBe(2)
})

test('how long deliveries took is drawn and told, here and in the gateway', async ({ page }) => {
  const topic = unique('timed')
  await ready(page, topic)
  await button(page, 'Pictures').click()
  const picture = page.getByRole('img', { name: /^Histogram of latency/ })
  await expect(picture).toHaveAccessibleName(/This page: nothing yet\./)
  await expect(page.getByRole('row', { name: /^this page/ })).toHaveText('this page0none yetnone yetnone yet')
  for (const n of [1, 2, 3]) await send(page, 'publish', { Topic: topic, Payload: `${n}` })
  await expect(page.getByRole('row', { name: /^this page/ })).toHaveText(/^this page3(\d[\d.]* m?s){3}$/)
  await expect(page.getByRole('row', { name: /^the gateway/ })).toHaveText(/^the gateway\d+(\d[\d.]* m?s){3}$/)
  await expect(picture).toHaveAccessibleName(/This page: \d .* The gateway: \d+ (up to|longer)/)
  for (const whose of ['.here', '.there']) await expect(picture.locator(whose)).toHaveAttribute('d', /^(M[\d.]+ 1V[\d.]+h0\.4V1z)+$/)
})

test('a topic named by somebody else is only text', async ({ page, request }) => {
  const topic = unique('<img src=x onerror=alert(1)>\u202e')
  await ready(page, topic.replaceAll(',', ''))
  await button(page, 'Pictures').click()
  await request.post('/api/publish', { headers: { Authorization: 'Bearer demo-user' }, data: { topic, payload: '<b>' } })
  const row = page.getByRole('row', { name: '\\u202e' })
  await expect(row).toContainText('<img src=x onerror=alert(1)>')
  await expect(row).toContainText('#1 "<b>"')
})

test('on a phone nothing is wider than the page', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  const topic = unique('a-topic-with-a-rather-long-name')
  await ready(page, topic)
  await send(page, 'publish', { Topic: topic, Payload: JSON.stringify({ text: 'x'.repeat(100) }) })
  await button(page, 'Pictures').click()
  await expect(page.getByRole('row', { name: topic })).toBeVisible()
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
})

test('the stream ends with the tool', async ({ page }) => {
  await open(page)
  await button(page, 'Pictures').click()
  await expect(page.getByRole('img', { name: /^Connections: now \d/ })).toBeVisible()
  const ended = page.waitForEvent('requestfailed', (request) => request.url().endsWith('/stats/stream'))
  await button(page, 'Pictures').click()
  expect((await ended).failure()?.errorText).toBe('net::ERR_ABORTED')
})
