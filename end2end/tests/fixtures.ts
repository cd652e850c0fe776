// `test` for every page: it fails when the page asks another host for anything or logs an error.
import { test as base, expect } from '@playwright/test'

export const test = base.extend<{ quiet: void }>({
  quiet: [
    async ({ context, baseURL }, use) => {
      const problems: string[] = []
      const own = new URL(baseURL!).host
      context.on('request', (request) => {
        const url = new URL(request.url())
        if (!['data:', 'blob:'].includes(url.protocol) && url.host !== own) problems.push(`request to ${url}`)
      })
      context.on('console', (message) => {
        if (message.type() === 'error') problems.push(`console: ${message.text()}`)
      })
      context.on('weberror', (error) => problems.push(`error: ${error.error()}`))
      await use()
      expect(problems).toEqual([])
    },
    { auto: true },
  ],
})

export { expect }
