// The JavaScript client, loaded from the gateway into pages that know nothing else of it.
import { test as anywhere } from '@playwright/test'
import type { Page, WebSocketRoute } from '@playwright/test'
import { expect, test } from './fixtures'
import { unique } from './page'

/** Opens a page of the gateway that holds nothing but this. */
async function blank(page: Page, body = '', origin = ''): Promise<void> {
  // A page that a test makes up has no address, and browsers keep such pages from local sockets.
  await page.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }))
  await page.goto(`${origin}/robots.txt`)
  await page.setContent(`<!DOCTYPE html><html lang="en"><title>Blank</title><body>${body}</body></html>`)
}

test('it is one module, kept while it is good, for pages of any origin', async ({ request }) => {
  const first = await request.get('/client.js', { headers: { origin: 'https://elsewhere.example' } })
  expect(first.status()).toBe(200)
  expect(first.headers()).toMatchObject({ 'content-type': 'text/javascript; charset=utf-8', 'access-control-allow-origin': '*' })
  expect((await first.text()).length).toBeLessThan(20_000)
  const again = await request.get('/client.js', { headers: { 'if-none-match': first.headers().etag! } })
  expect(again.status()).toBe(304)
  expect(again.headers()).toMatchObject({ 'access-control-allow-origin': '*' })
  const other = await request.get('/favicon.svg')
  expect(other.headers()['access-control-allow-origin']).toBeUndefined()
})

test('the lines on /docs are a whole page', async ({ page, request }) => {
  await page.goto('/docs')
  const lines = await page.locator('#web-page pre').textContent()
  await blank(page, lines!)
  const output = page.getByRole('status')
  await expect(output).toHaveText(/^#\d+: /)
  // The topic is everybody's: another message may come in between.
  await expect(async () => {
    await request.get('/demo/publish/prices?bid=4711')
    await expect(output).toHaveText(/^#\d+: 4711$/, { timeout: 1_000 })
  }).toPass()
})

test('it publishes, hears, comes back and misses nothing', async ({ page, request }) => {
  const topic = unique('client')
  const wires: [WebSocketRoute, WebSocketRoute][] = []
  await page.routeWebSocket('**/ws', (wire) => void wires.push([wire, wire.connectToServer()]))
  await blank(page)
  await page.evaluate(async (topic) => {
    const { SubSocket } = await import(new URL('/client.js', location.href).href)
    const socket = SubSocket.byTopics('/ws', () => Promise.resolve('ann'), [topic], { reconnect: { first: 500, limit: 500 } })
    Object.assign(window, { socket, heard: [], looped: [], readies: [], gaps: 0 })
    socket.on('message', ({ seqNo }) => heard.push(seqNo))
    socket.on('ready', ({ resumed }) => readies.push(resumed))
    socket.on('gap', () => gaps++)
    void (async () => {
      for await (const { data } of socket) looped.push(data.n)
      looped.push('end')
    })()
    await socket.ready
  }, topic)
  const publish = (n: number) => request.get(`/demo/publish/${topic}?n=${n}`)
  for (const n of [1, 2, 3]) await publish(n)
  await expect.poll(() => page.evaluate(() => heard)).toEqual([1, 2, 3])
  for (const side of wires[0]!) await side.close({ code: 1012 })
  for (const n of [4, 5]) await publish(n)
  const acks = await page.evaluate(async (topic) => {
    const both = [1, 2].map(() => socket.publish(topic, { n: '6' }, { messageId: topic }))
    return (await Promise.all(both)).map(({ status, seqNo }) => [status, seqNo])
  }, topic)
  expect(acks).toEqual([['ok', 6], ['duplicate', 6]])
  await expect.poll(() => page.evaluate(() => heard)).toEqual([1, 2, 3, 4, 5, 6])
  expect(await page.evaluate(() => [readies, gaps])).toEqual([[false, true], 0])
  await page.evaluate(() => socket.close())
  await expect.poll(() => page.evaluate(() => looped)).toEqual(['1', '2', '3', '4', '5', '6', 'end'])
})

test('a refusal is told', async ({ page }) => {
  await blank(page)
  const told = await page.evaluate(async () => {
    const { SubSocket, SubSocketError } = await import(new URL('/client.js', location.href).href)
    const socket = SubSocket.byUrl('/ws/sub/t', '')
    socket.on('error', () => {})
    return socket.ready.catch((error: Error) => [error instanceof SubSocketError, Object.assign({}, error), socket.state])
  })
  expect(told).toEqual([true, expect.objectContaining({ code: 'AUTH_FAILED', closeCode: 4001 }), 'closed'])
})

anywhere('a page of another origin may load it', async ({ page, baseURL }) => {
  const elsewhere = baseURL!.replace('127.0.0.1', 'localhost')
  await blank(page, '', elsewhere)
  const names = await page.evaluate(async (url) => Object.keys(await import(url)), `${baseURL}/client.js`)
  expect(names.sort()).toEqual(['SubSocket', 'SubSocketError'])
})

declare global {
  // What the page keeps between the steps of a test.
  var socket: any, heard: number[], looped: string[], readies: boolean[], gaps: number
}
