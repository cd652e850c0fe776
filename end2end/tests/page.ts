// What every test of the page needs: the page once it answers, its controls by their names, and the
// promise that it stays quiet and at home.
import { test as base, expect, type Locator, type Page } from '@playwright/test'

export { expect }

/** Every test also checks that nothing was said on the console and no other host was asked. */
export const test = base.extend<{ quietAndAtHome: void }>({
  quietAndAtHome: [
    async ({ context, baseURL }, use) => {
      const trouble: string[] = []
      const host = new URL(baseURL!).host
      context.on('request', (request) => {
        const url = new URL(request.url())
        if (!['data:', 'blob:'].includes(url.protocol) && url.host !== host) trouble.push(`asked ${url.href}`)
      })
      context.on('console', (message) => {
        // A preload that is not used at once says how busy the machine is, not what the page does.
        if (['error', 'warning'].includes(message.type()) && !message.text().includes('preload')) trouble.push(message.text())
      })
      context.on('weberror', (error) => trouble.push(error.error().message))
      await use()
      expect(trouble).toEqual([])
    },
    { auto: true },
  ],
})

/** Opens the page, of another gateway perhaps, and waits until it answers. */
export async function open(page: Page, gateway = ''): Promise<void> {
  await page.goto(`${gateway}/docs`)
  await expect(page.locator('html')).toHaveAttribute('data-hydrated', 'true', { timeout: 30_000 })
}

export const button = (page: Page, name: string): Locator => page.getByRole('button', { name, exact: true })
export const field = (page: Page, name: string): Locator => page.getByLabel(name, { exact: true })
/** The state of the active client; its card says the same in short. */
export const connection = (page: Page): Locator => page.getByRole('region', { name: 'Connection' }).getByRole('status')
export const log = (page: Page): Locator => page.getByRole('log')

/** Rows of the log with this type, and this text somewhere. */
export const rows = (page: Page, type: string, text: string | RegExp = ''): Locator =>
  log(page).locator(`li[data-type="${type}"]`, { hasText: text })

/** A name that no other test uses. */
export const unique = (what: string): string => `${what}-${crypto.randomUUID().slice(0, 8)}`

/** Connects to a path of the gateway. */
export async function connect(page: Page, path = '/ws'): Promise<void> {
  await field(page, 'URL').fill(path)
  await button(page, 'Connect').click()
  await expect(rows(page, 'opened')).toHaveCount(1)
}

/** Chooses a type, fills its fields and presses Send. */
export async function send(page: Page, type: string, fields: Record<string, string> = {}): Promise<void> {
  await field(page, 'Message').selectOption(type)
  for (const [name, value] of Object.entries(fields)) await field(page, name).fill(value)
  await button(page, 'Send').click()
}

/** Opens the page, connects and sets up. */
export async function ready(page: Page, topics: string, path = '/ws'): Promise<void> {
  await open(page)
  await connect(page, path)
  await send(page, 'setup', { Token: 'demo-user', Topics: topics })
  await expect(rows(page, 'ready')).toHaveCount(1)
}
