// The page for those who read it: without script, on a phone, and again tomorrow.
import { button, expect, field, open, ready, test, unique } from './page'

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false })

  test('the reference is all there', async ({ page }) => {
    await page.goto('/docs')
    for (const name of ['In a web page', 'Endpoints', 'Messages', 'Errors', 'Close codes', 'Settings']) {
      await expect(page.getByRole('heading', { name, exact: true })).toBeVisible()
    }
    for (const text of ['/ws/sub/{topic}', '"type":"setup"', 'ACL_DENIED', 'session taken over', 'MICRO_SOCKET_ADDR']) {
      await expect(page.getByText(text).first()).toBeVisible()
    }
  })
})

test.describe('on a phone', () => {
  test.use({ viewport: { width: 360, height: 740 } })

  test('nothing hangs over the edge', async ({ page }) => {
    await ready(page, unique('a-rather-long-name-of-a-topic-that-has-no-place-to-break'))
    await field(page, 'Frame').fill(`{"type":"${'x'.repeat(300)}"}`)
    await button(page, 'Send').click()
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
  })
})

test.describe('the tables of the reference', () => {
  for (const width of [360, 700]) {
    test(`are there in whole at ${width} px`, async ({ page }) => {
      await page.setViewportSize({ width, height: 740 })
      await page.goto('/docs')
      for (const name of ['endpoints', 'error codes', 'close codes', 'settings']) {
        const table = page.getByRole('region', { name: `Table of ${name}` })
        await expect(table.getByRole('row').nth(1)).toBeVisible()
        expect(await table.evaluate((one) => one.scrollWidth - one.clientWidth), name).toBe(0)
      }
      const row = page.getByRole('region', { name: 'Table of settings' }).getByRole('row', { name: /^--max-topics / })
      for (const words of ['--max-topics', '1024', 'Subscriptions of one connection.']) {
        await row.getByText(words, { exact: true }).scrollIntoViewIfNeeded()
        await expect(row.getByText(words, { exact: true })).toBeInViewport({ ratio: 1 })
      }
      await expect(row.getByText('MICRO_SOCKET_MAX_TOPICS')).toBeHidden()
    })
  }
})

test('the last choices are kept across reloads, the token is not', async ({ page }) => {
  await open(page)
  await field(page, 'URL').fill('/ws/sub/kept')
  await field(page, 'Token').fill('s3cret')
  await field(page, 'Message').selectOption('publish')
  await field(page, 'Topic').fill('kept')
  await field(page, 'Payload').fill('{"kept":true}')
  await page.reload()
  await expect(field(page, 'Topic')).toHaveValue('kept')
  await expect(field(page, 'URL')).toHaveValue(/\/ws\/sub\/kept$/)
  await expect(field(page, 'Message')).toHaveValue('publish')
  await expect(field(page, 'Payload')).toHaveValue('{"kept":true}')
  const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href]))
  expect(kept).not.toContain('s3cret')
})
