import { expect, test } from './fixtures'

test('/openapi shows every operation of the document', async ({ page, request }) => {
  const document = await (await request.get('/openapi.json')).json()
  await page.goto('/openapi')
  await expect(page.getByRole('heading', { level: 1, name: document.info.title })).toBeVisible()
  const operations = Object.values<object>(document.paths).flatMap((path) => Object.keys(path).filter((key) => key !== 'parameters'))
  await expect(page.getByRole('link', { name: /HTTP Method: / })).toHaveCount(operations.length)
  await page.waitForLoadState('networkidle')
})

test('/openapi sends a request to the gateway itself', async ({ page, request }) => {
  const document = await (await request.get('/openapi.json')).json()
  await page.goto('/openapi')
  await page.getByRole('link', { name: document.paths['/stats'].get.summary }).first().click()
  await page.getByRole('button', { name: /test request.*get.*\/stats/i }).first().click()
  const answered = page.waitForResponse((response) => new URL(response.url()).pathname === '/stats')
  await page.getByRole('button', { name: /^send/i }).first().click()
  expect((await answered).status()).toBe(200)
})
