// Evidence: Verify against the real gateway.
import type { Page } from '@playwright/test'
import { button, connect, expect, field, log, open, rows, send, test, unique } from './page'

const evidence = (page: Page) => page.getByRole('region', { name: 'Evidence' })
const promise = (page: Page, id: string) => evidence(page).getByRole('listitem').filter({ hasText: new RegExp(`^${id} `) })
const verdict = (page: Page) => evidence(page).getByRole('status')

async function verify(page: Page): Promise<void> {
  await button(page, 'Verify').click()
  await expect(verdict(page)).toHaveText(/^Verified: /, { timeout: 50_000 })
}

test('Verify runs the checks from the browser and is green', async ({ page }) => {
  await open(page)
  await button(page, 'Evidence').click()
  await expect(field(page, 'Token to verify with')).toHaveValue('demo-user')
  await verify(page)
  await expect(verdict(page)).toHaveText('Verified: 7 pass.')
  for (const [id, words] of [
    ['I1', 'pass AUTH_REQUIRED before setup, AUTH_FAILED and 4001 for an empty token; ACL_DENIED for subscribe and publish of a denied topic'],
    ['I2', 'pass 51 ids published 103 times over 2 sockets, 50 of them at once: 51 ok, 52 duplicate with the first position, 51 delivered'],
    ['I3', 'pass 4 publishers at once, 3 subscribers: the same 200 messages in the same order, #1..#200 without a hole'],
    ['I4', 'pass 100 acked, 100 received by each of 2 subscribers; lastSeq 80 replayed exactly 20'],
    ['I5', /pass 200 from publish to receipt: p50 [\d.]+ p95 [\d.]+ p99 [\d.]+ ms; \/stats, to the socket write: p50/],
    ['I6', /pass closed \(a browser cannot cut a socket\) at #11; resume brought the 31 missed ones, .* refused with SESSION_EXPIRED/],
    ['I7', 'pass 8 odd payloads byte for byte, live and on replay; every sig unchanged and verified'],
  ] as const) {
    await expect(promise(page, id)).toContainText(words)
  }
  // It speaks on sockets of its own.
  await expect(log(page).locator('li')).toHaveCount(0)
})

test('a check that fails says so, by its own name', async ({ page }) => {
  await open(page)
  await button(page, 'Evidence').click()
  // With demo auth every topic is allowed: the claim that this one is not must be refuted.
  await field(page, 'A topic it does not allow, if any').fill('free')
  await verify(page)
  await expect(verdict(page)).toHaveText('Verified: 1 FAIL, 6 pass.')
  await expect(promise(page, 'I1')).toContainText('FAIL subscribe: expected ACL_DENIED, got subscribed')
})

test('Verify can be stopped, outlives its tool, and runs again', async ({ page }) => {
  let gateway = false
  await page.routeWebSocket(/\/ws$/, (ws) => {
    if (gateway) ws.connectToServer()
    // One that answers nothing but setup: every check has to wait.
    else ws.onMessage((text) => `${text}`.includes('"setup"') && ws.send('{"type":"ready","sessionId":"s","userId":"u"}'))
  })
  await open(page)
  await button(page, 'Evidence').click()
  await button(page, 'Verify').click()
  await expect(verdict(page)).toHaveText(/^Verifying: \d of 7 checked\.$/)
  await button(page, 'Evidence').click()
  await expect(evidence(page)).toHaveCount(0)
  await button(page, 'Evidence').click()
  await expect(verdict(page)).toHaveText(/^Verifying: \d of 7 checked\.$/)
  await button(page, 'Stop').click()
  await expect(verdict(page)).toHaveText(/^Stopped: \d of 7 were checked\.$/)
  gateway = true
  await verify(page)
})

// Publishes twice under one id, then leaves, misses two messages and comes back.
async function traffic(page: Page, baseURL: string): Promise<void> {
  const topic = unique('evidence')
  await connect(page)
  await send(page, 'setup', { Topics: topic })
  await expect(rows(page, 'ready')).toHaveCount(1)
  await send(page, 'publish', { Topic: topic, 'Message ID': unique('twice'), Payload: '[ 1, 2 ]' })
  await send(page, 'publish')
  await expect(rows(page, 'ack', 'duplicate')).toHaveCount(1)
  await expect(rows(page, 'message')).toHaveCount(1)
  await button(page, 'Disconnect').click()
  await expect(rows(page, 'closed')).toHaveCount(1)
  for (const n of ['1', '2']) await page.request.get(`${baseURL}/demo/publish/${topic}?n=${n}`)
  await button(page, 'Connect').click()
  await expect(rows(page, 'opened')).toHaveCount(2)
  // Before setup: refused.
  await send(page, 'subscribe', { Topic: topic })
  await expect(rows(page, 'error', 'AUTH_REQUIRED')).toHaveCount(1)
  await send(page, 'resume')
  await expect(rows(page, 'ready', '"resumed":true')).toHaveCount(1)
  await expect(rows(page, 'message')).toHaveCount(3)
}

test('the panel follows the traffic of the page', async ({ page, baseURL }) => {
  await open(page)
  await button(page, 'Evidence').click()
  // I5 is also what the gateway saw of others.
  for (const id of ['I1', 'I2', 'I3', 'I4', 'I6', 'I7']) await expect(promise(page, id)).toContainText('nothing seen yet')
  await traffic(page, baseURL!)
  for (const [id, words] of [
    ['I1', 'holds 1 refusal; 0 messages came of what was refused'],
    ['I2', 'holds 2 acks, 1 of them duplicate; 0 ids with two effects, 0 messages twice'],
    ['I3', 'holds 3 messages, 0 out of order; 0 places where clients saw different messages'],
    ['I4', 'holds 3 messages, 0 hidden gaps; 0 gaps told'],
    ['I5', /(holds|target missed) Here, 1 message from publish to deliver: p50 .* In the gateway since its start, \d+ messages? from accept to write: p50 .* Target 50 ms for 99 %; \d+ messages? in the last 5 minutes: /],
    ['I6', 'holds 1 resume: 1 went on, 0 expired; 1 topic recovered with 2 messages, 0 told as lost, 0 short'],
    ['I7', 'holds 1 payload of this page\'s own, 8 bytes: 0 changed on the way'],
  ] as const) {
    await expect(promise(page, id)).toContainText(words)
  }
  await button(page, 'Start over').click()
  await expect(promise(page, 'I3')).toContainText('nothing seen yet')
  await send(page, 'publish', { 'Message ID': unique('after') })
  await expect(promise(page, 'I3')).toContainText('holds 1 message, 0 out of order')
})

test('one late delivery of few breaks no promise, and a target that is missed is called so', async ({ page }) => {
  const stats = await (await page.request.get('/stats')).json()
  let deliveries = 11
  await page.route('**/stats', (route) => {
    const latency = { ...stats.latency, p50Ms: 0.1, p95Ms: 60, p99Ms: 60, count: 11 }
    return route.fulfill({ json: { ...stats, latency, slo: { ...stats.slo, met: false, deliveries } } })
  })
  await open(page)
  await button(page, 'Evidence').click()
  const latency = promise(page, 'I5')
  await expect(latency).toContainText('Target 50 ms for 99 %; 11 messages in the last 5 minutes: too few to judge.')
  await expect(latency).toContainText('nothing seen yet')
  deliveries = 1000
  await expect(latency).toContainText('target missed')
  await expect(latency).toContainText('1000 messages in the last 5 minutes: missed.')
  await expect(latency).not.toContainText('BROKEN')
})

test('it fits on a phone', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await open(page)
  await button(page, 'Evidence').click()
  await verify(page)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
})
