// Evidence: Verify against the real gateway.
import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { button, connect, expect, field, log, open, ready, rows, send, test, unique } from './page'

const evidence = (page: Page) => page.getByRole('region', { name: 'Evidence' })
const promise = (page: Page, id: string) => evidence(page).getByRole('listitem').filter({ hasText: new RegExp(`^${id} `) })
const verdict = (page: Page) => evidence(page).getByRole('status')

const clean = async (page: Page) => {
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])).toEqual([])
}

async function verify(page: Page): Promise<void> {
  await button(page, 'Verify').click()
  await expect(verdict(page)).toHaveText(/^Verified: /, { timeout: 50_000 })
}

test('Verify runs the checks from the browser and is green', async ({ page }) => {
  await open(page)
  await button(page, 'Evidence').click()
  await expect(field(page, 'Token to verify with')).toHaveValue('demo-user')
  await verify(page)
  await expect(verdict(page)).toHaveText('Verified: 6 pass, 1 skip.')
  for (const [id, words] of [
    ['I1', 'skip AUTH_REQUIRED before setup, AUTH_FAILED and 4001 for an empty token; denial of a topic is not testable with demo auth'],
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
  let answers = false
  await page.routeWebSocket(/\/ws$/, (ws) => {
    if (answers) ws.connectToServer()
  })
  await page.clock.install()
  await open(page)
  await button(page, 'Evidence').click()
  // Nothing answers and no time passes: the first check waits.
  await page.clock.pauseAt(new Date(Date.now() + 60_000))
  await button(page, 'Verify').click()
  await expect(verdict(page)).toHaveText('Verifying: 0 of 7 checked.')
  await button(page, 'Evidence').click()
  await expect(evidence(page)).toHaveCount(0)
  await button(page, 'Evidence').click()
  await expect(verdict(page)).toHaveText('Verifying: 0 of 7 checked.')
  await button(page, 'Stop').click()
  await expect(verdict(page)).toHaveText('Stopped: 0 of 7 were checked.')
  answers = true
  await page.clock.resume()
  await verify(page)
})
