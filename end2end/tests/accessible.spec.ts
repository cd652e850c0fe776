// The page for everyone: axe in each state and colour scheme, and a tour without a mouse.
import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { button, connect, expect, field, log, open, ready, rows, send, test, unique } from './page'

const clean = async (page: Page) => {
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])).toEqual([])
}

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme, contextOptions: { reducedMotion: 'reduce' } })

    test('axe finds nothing on a fresh page', async ({ page }) => {
      await open(page)
      await clean(page)
    })

    test('axe finds nothing with every kind of row and problem', async ({ page }) => {
      await ready(page, unique('axe'))
      await send(page, 'publish', { 'Message ID': unique('twice') })
      await send(page, 'publish')
      await expect(rows(page, 'ack', 'duplicate')).toHaveCount(1)
      await field(page, 'Payload').fill('{')
      await page.getByText('More fields').click()
      await clean(page)
      await field(page, 'Frame').fill('{}')
      await button(page, 'Send').click()
      await expect(rows(page, 'error')).toHaveCount(1)
      await clean(page)
    })

    test('axe finds nothing after a refusal', async ({ page }) => {
      await open(page)
      await connect(page)
      await send(page, 'setup', { Token: '' })
      await expect(rows(page, 'closed')).toHaveCount(1)
      await clean(page)
    })
  })
}

test('axe finds nothing on a phone', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await ready(page, unique('axe'))
  await clean(page)
})

test('the tour by keyboard alone', async ({ page }) => {
  await open(page)
  const tabTo = async (name: string) => {
    const focused = page.locator(':focus')
    for (let n = 0; n < 40; n++) {
      await page.keyboard.press('Tab')
      const [label, text] = await focused.evaluate((el) => [(el as HTMLInputElement).labels?.[0]?.textContent, el.textContent])
      if ((label ?? text)?.trim() === name) return
    }
    throw new Error(`Tab does not reach ${name}`)
  }
  await page.keyboard.press('Tab')
  await expect(page.locator(':focus')).toHaveText('Skip to the playground')
  await page.keyboard.press('Enter')
  await tabTo('URL')
  await page.keyboard.press('Enter')
  await expect(rows(page, 'opened')).toHaveCount(1)
  await tabTo('Token')
  await page.keyboard.press('Enter')
  await expect(rows(page, 'ready')).toHaveCount(1)
  await page.keyboard.press('Shift+Tab')
  await expect(field(page, 'Message')).toBeFocused()
  await page.keyboard.type('pub')
  await expect(field(page, 'Message')).toHaveValue('publish')
  await tabTo('Payload')
  await page.keyboard.press('Control+Enter')
  await expect(rows(page, 'ack', '"status":"ok"')).toHaveCount(1)
  await tabTo('Clear')
  await page.keyboard.press('Tab')
  await expect(log(page)).toBeFocused()
  await page.keyboard.press('Tab')
  await expect(page.locator(':focus')).toHaveAccessibleName(/^(Copy|Repeat) frame/)
  await page.keyboard.press('ArrowUp')
  await expect(page.locator(':focus')).toHaveAccessibleName(/^Copy frame/)
})

test('focus can be seen', async ({ page }) => {
  await open(page)
  await field(page, 'Message').focus()
  await page.keyboard.press('Tab')
  expect(await page.locator(':focus').evaluate((el) => getComputedStyle(el).outlineStyle)).toBe('solid')
})
