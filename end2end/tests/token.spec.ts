// The token helper: a JWT read in the page.
import { button, expect, field, open, rows, test } from './page'

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = (claims: object): string => `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}.c2lnbmF0dXJl`
const seconds = (): number => Math.floor(Date.now() / 1000)

test('claims, the time left, and what it allows', async ({ page }) => {
  await open(page)
  await button(page, 'Token helper').click()
  await expect(page.getByText("that user may do everything but use what is another's (private.{user}).")).toBeVisible()

  const claims = { sub: 'ann', exp: seconds() + 100, topics: { read: ['user.{user}.*'], write: [] }, colour: '\u202ered' }
  await field(page, 'JWT of this client').fill(jwt(claims))
  await expect(page.getByText(/^Expires in 1 min \d+ s\.$/)).toBeVisible()
  const before = await page.locator('.expiry').textContent()
  await expect(page.locator('.expiry')).not.toHaveText(before!)
  await field(page, 'Ask about a topic').fill('user.ann.orders')
  await expect(page.getByText('read: yes, write: no')).toBeVisible()
  await field(page, 'Ask about a topic').fill('user.bob.orders')
  await expect(page.getByText('read: no, write: no')).toBeVisible()
  await expect(page.getByText('\\u202ered')).toBeVisible()
  // It is the token that setup sends.
  await expect(field(page, 'Token')).toHaveValue(jwt(claims))
  await expect(rows(page, 'opened')).toHaveCount(0)
})

test('what the gateway would refuse is said first', async ({ page }) => {
  await open(page)
  await button(page, 'Token helper').click()
  const token = field(page, 'JWT of this client')
  await token.fill(jwt({ sub: 'ann', exp: seconds() - 7200 }))
  await expect(page.getByText(/^Expired 2 h \d+ min ago: get a new one\.$/)).toBeVisible()
  await expect(page.getByText('it allows no topic')).toBeVisible()
  await token.fill('eyJ.eyJ.x')
  await expect(page.getByText('not a JSON object in base64url')).toBeVisible()
  await token.fill('')
  await expect(page.getByText('The Token field of setup is empty.')).toBeVisible()
})
