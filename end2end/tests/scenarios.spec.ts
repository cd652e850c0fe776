// Each scenario, from one press of a button to what was really seen.
import type { Page, Route } from '@playwright/test'
import { button, expect, log, open, rows, test } from './page'

const verdict = (page: Page) => page.locator('.verdict')

async function play(page: Page, scenario: string): Promise<void> {
  await open(page)
  await button(page, 'Scenarios').click()
  await button(page, scenario).click()
}

/** The verdict is good, says this, and every step is ticked off. */
async function ends(page: Page, words: string | RegExp): Promise<void> {
  await expect(verdict(page)).toHaveText(words, { timeout: 30_000 })
  await expect(verdict(page)).toHaveAttribute('data-good', 'true')
  const steps = page.locator('.steps li')
  await expect(page.locator('.steps [data-progress="done"]')).toHaveCount(await steps.count())
}

const clean = 'no gap, no double, in order'

test('fan-out', async ({ page }) => {
  await play(page, 'Fan-out')
  await ends(page, 'B and C each got 5 of 5, in order: no gap, no double.')
  await expect(log(page).locator('li[data-client="C"][data-type="message"]')).toHaveCount(5)
})

test('dedup', async ({ page }) => {
  await play(page, 'Dedup')
  await ends(page, "First answer: ok at #1; second: duplicate at #1; B's: duplicate at #1. A received it once.")
  await expect(rows(page, 'ack', '"status":"duplicate"')).toHaveCount(2)
})

test('ACL denied', async ({ page }) => {
  await play(page, 'ACL denied')
  await ends(page, /^ACL_DENIED on private\.demo-user\.\w+ for B: 2 of 2 tries, to subscribe and to publish\. A got 1, B got 0\.$/)
  await expect(rows(page, 'error', 'ACL_DENIED')).toHaveCount(2)
})

test('late joiner', async ({ page }) => {
  await play(page, 'Late joiner')
  await ends(page, `B joined late: recovered, 5 replayed; 6 of 6 in all, ${clean}.`)
})

test('cut and resume', async ({ page }) => {
  await play(page, 'Cut and resume')
  await ends(page, `A was cut (1006). Then: recovered, 5 replayed; 7 of 7 in all, ${clean}.`)
  await expect(rows(page, 'ready', '"resumed":true')).toHaveCount(1)
})

test('slow consumer', async ({ page }) => {
  await play(page, 'Slow consumer')
  await ends(
    page,
    `A was closed with 4108 slow consumer; B got 30 of 30, ${clean}. A came back: recovered, 30 replayed; 30 of 30 in all, ${clean}.`,
  )
})

test('take-over', async ({ page }) => {
  await play(page, 'Take-over')
  await ends(page, `A closed with 4009; B holds the session and got the next message, ${clean}.`)
})

test('one after the other, with the clients that are there', async ({ page }) => {
  await play(page, 'Take-over')
  await ends(page, /^A closed with 4009/)
  await button(page, 'Fan-out').click()
  await ends(page, /^B and C each got 5 of 5/)
  await expect(page.locator('.client')).toHaveCount(3)
})

test('what cannot be done here is said', async ({ page }) => {
  await page.route('**/demo/faults', (route) =>
    // An answer of 4xx is an error on the console; its words are what counts here.
    route.fulfill({ status: 300, json: { error: { code: 'BAD_REQUEST', message: 'the demo endpoints are off' } } }),
  )
  await play(page, 'Cut and resume')
  await expect(verdict(page)).toHaveText('The gateway does not do that to a socket: the demo endpoints are off.')
  await expect(verdict(page)).toHaveAttribute('data-good', 'false')
  await expect(page.locator('.steps [data-progress="failed"]')).toHaveText(/^✗\s*A is cut \(failed\)$/)
})

test('a token that is not accepted ends it with the mend', async ({ page }) => {
  await open(page)
  await page.getByLabel('Token', { exact: true }).fill('')
  await button(page, 'Scenarios').click()
  await button(page, 'Dedup').click()
  await expect(verdict(page)).toHaveText(/^[AB] was refused: AUTH_FAILED: .*empty/)
})

test('it can be stopped', async ({ page }) => {
  await page.route('**/demo/faults', () => {})
  await play(page, 'Cut and resume')
  await expect(page.locator('.steps [data-progress="now"]')).toHaveText(/A is cut/)
  await button(page, 'Stop').click()
  await expect(verdict(page)).toHaveText('Stopped.')
  await expect(button(page, 'Stop')).toBeHidden()
})

test('an answer to a run that was stopped is nothing to the next', async ({ page }) => {
  const asked: Route[] = []
  await page.route('**/demo/faults', (route) => void asked.push(route))
  await play(page, 'Cut and resume')
  await expect.poll(() => asked.length).toBe(1)
  await button(page, 'Stop').click()
  await button(page, 'Cut and resume').click()
  await expect.poll(() => asked.length).toBe(2)
  const late = page.waitForResponse('**/demo/faults')
  await asked[0]!.fulfill({ status: 300, json: { error: { code: 'BAD_REQUEST', message: 'too late' } } })
  await (await late).finished()
  await asked[1]!.continue()
  await ends(page, /^A was cut \(1006\)\. Then: recovered, 5 replayed; /)
})

test('by keyboard alone', async ({ page }) => {
  await open(page)
  await button(page, 'Scenarios').focus()
  await page.keyboard.press('Enter')
  await button(page, 'Fan-out').focus()
  await page.keyboard.press('Enter')
  await ends(page, /^B and C each got 5 of 5/)
  await expect(button(page, 'Fan-out')).toBeFocused()
})

test('on a phone nothing sticks out', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await play(page, 'Fan-out')
  await ends(page, /^B and C each got 5 of 5/)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
})
