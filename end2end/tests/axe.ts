// axe in each width and colour scheme.
import AxeBuilder from '@axe-core/playwright'
import { expect, type Page } from '@playwright/test'

const axe = async (page: Page, rules: string[] = [], part = 'html') => {
  // Legacy: in this page, which has no frames, not by way of another one.
  const builder = new AxeBuilder({ page }).setLegacyMode().include(part)
  const { violations } = await (rules.length ? builder.withRules(rules) : builder).analyze()
  return violations.map(({ id, nodes }) => [id, ...nodes.map((node) => node.html)])
}

/** axe finds nothing in the playground as it is now: narrow and wide, light and dark. */
export async function clean(page: Page, state: string, part = '#playground'): Promise<void> {
  const found = []
  for (const width of [1440, 360]) {
    await page.setViewportSize({ width, height: 900 })
    await page.emulateMedia({ colorScheme: 'light' })
    found.push(...(await axe(page, [], part)))
    // The scheme changes nothing but colours.
    await page.emulateMedia({ colorScheme: 'dark' })
    found.push(...(await axe(page, ['color-contrast', 'link-in-text-block'], part)))
  }
  expect(found, state).toEqual([])
}
