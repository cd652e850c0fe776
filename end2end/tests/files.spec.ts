// The binary runs in an empty folder: whatever it serves, it carries.
import { expect, test } from '@playwright/test'

for (const [path, type] of [
  ['/pkg/micro-socket.js', 'text/javascript'],
  ['/pkg/micro-socket.wasm', 'application/wasm'],
  ['/pkg/micro-socket.css', 'text/css'],
  ['/client.js', 'text/javascript'],
  ['/scalar/standalone.js', 'text/javascript'],
  ['/scalar/LICENSE.txt', 'text/plain'],
]) {
  test(`${path} comes from the binary, compressed, and only once`, async ({ request }) => {
    const first = await request.get(path, { headers: { 'accept-encoding': 'br' } })
    expect(first.status()).toBe(200)
    expect(first.headers()['content-type']).toContain(type)
    expect(first.headers()['content-encoding']).toBe('br')
    expect((await first.body()).length).toBeGreaterThan(20)
    const again = await request.get(path, { headers: { 'accept-encoding': 'br', 'if-none-match': first.headers().etag } })
    expect(again.status()).toBe(304)
    const plain = await request.get(path, { headers: { 'accept-encoding': 'identity' } })
    expect(plain.headers()['content-encoding']).toBeUndefined()
    expect(await plain.body()).toEqual(await first.body())
  })
}

test('what is not there is a 404 in JSON', async ({ request }) => {
  for (const path of ['/nothing', '/pkg/nothing.js', '/pkg/..%2f..%2fCargo.toml', '/Cargo.toml']) {
    const answer = await request.get(path)
    expect(answer.status()).toBe(404)
    expect(await answer.json()).toMatchObject({ error: { code: expect.any(String), message: expect.any(String) } })
  }
})
