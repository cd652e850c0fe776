// What was composed goes elsewhere: as a program, as a link, under a name.
import { execFileSync } from 'node:child_process'
import { button, connect, expect, field, log, open, ready, rows, send, test, unique } from './page'
import type { Page } from '@playwright/test'

test.use({ permissions: ['clipboard-read', 'clipboard-write'] })

const compose = async (page: Page, type: string, fields: Record<string, string>): Promise<void> => {
  await field(page, 'Message').selectOption(type)
  for (const [name, value] of Object.entries(fields)) await field(page, name).fill(value)
}

const taken = async (page: Page, language: string): Promise<string> => {
  await button(page, language).click()
  await button(page, 'Copy program').click()
  await expect(page.getByText('Copied.')).toBeVisible()
  return page.evaluate(() => navigator.clipboard.readText())
}

test('the curl command publishes, whatever the topic and payload hold', async ({ page, baseURL }) => {
  const topic = unique(`it's "odd" $(x)`)
  await ready(page, '')
  await send(page, 'subscribe', { Topic: topic })
  await expect(rows(page, 'subscribed')).toHaveCount(1)
  await compose(page, 'publish', { Topic: topic, 'Message ID': unique('m'), Payload: '{"text":"it\'s `here` ${HOME}"}' })
  await button(page, 'Take it away').click()
  const command = await taken(page, 'curl')
  expect(command).toContain(baseURL!)
  execFileSync('bash', ['-c', `${command} --fail --silent --show-error`])
  await expect(rows(page, 'message', '"data":{"text":"it\'s `here` ${HOME}"}')).toHaveCount(1)
})

test('what HTTP does not have is written in JavaScript, and what cannot be copied looks so', async ({ page }) => {
  await open(page)
  await button(page, 'Take it away').click()
  await expect(button(page, 'JavaScript')).toHaveAttribute('aria-pressed', 'true')
  await expect(button(page, 'Copy program')).toBeEnabled()
  await field(page, 'Message').selectOption('publish')
  await expect(button(page, 'curl')).toHaveAttribute('aria-pressed', 'true')
  // What was chosen stays.
  await button(page, 'curl').click()
  await field(page, 'Message').selectOption('ping')
  await expect(button(page, 'Copy program')).toBeDisabled()
  await expect(button(page, 'Copy program')).toHaveCSS('opacity', '0.55')
})

test('the curl command of subscribe reads the history', async ({ page, request, baseURL }) => {
  const topic = unique('a/b c')
  await request.post('/api/publish', { headers: { Authorization: 'Bearer demo-user' }, data: { topic, payload: 7 } })
  await open(page)
  await compose(page, 'subscribe', { Topic: topic })
  await button(page, 'Take it away').click()
  const command = await taken(page, 'curl')
  const answer = JSON.parse(execFileSync('bash', ['-c', `${command} --fail --silent --show-error`]).toString())
  expect(answer).toMatchObject({ topic, seqNo: 1 })
  expect(command).toContain(baseURL!)
})

test('the JavaScript program runs', async ({ page }) => {
  const topic = unique('js')
  await open(page)
  await compose(page, 'publish', { Topic: topic, 'Message ID': unique('m'), Payload: '"from a \\"program\\""' })
  await button(page, 'Take it away').click()
  const program = await taken(page, 'JavaScript')
  const heard = page.waitForEvent('console', (message) => message.text().includes('"type":"message"'))
  await page.evaluate(program)
  expect((await heard).text()).toContain('"data":"from a \\"program\\""')
})

/** Runs a program in Python with a stand-in for the package websockets: a socket that keeps what is sent. */
const PYTHON = `
import json, sys, types
kept = []
class Socket:
    def __init__(self, url): kept.append(url)
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def __iter__(self): return iter(())
    def send(self, frame): kept.append(json.loads(frame))
for name in ["websockets", "websockets.sync", "websockets.sync.client"]:
    sys.modules[name] = types.ModuleType(name)
sys.modules["websockets.sync.client"].connect = Socket
exec(sys.stdin.buffer.read().decode())
print(json.dumps(kept))
`

test('the Python program runs', async ({ page, baseURL }) => {
  const topic = unique(`it's "odd" \u202e`)
  await open(page)
  await compose(page, 'publish', { Topic: topic, 'Message ID': 'm-1', Payload: '"ü \\u2028 \\" \\\\"' })
  await button(page, 'Take it away').click()
  const program = await taken(page, 'Python')
  const [url, setup, publish] = JSON.parse(execFileSync('python3', ['-c', PYTHON], { input: program }).toString())
  expect(url).toBe(`${baseURL!.replace('http', 'ws')}/ws`)
  expect(setup).toEqual({ type: 'setup', token: 'demo-user', topics: [topic] })
  expect(publish).toEqual({ type: 'publish', topic, messageId: 'm-1', payload: 'ü \u2028 " \\' })
})

test('what HTTP lacks is said', async ({ page }) => {
  await open(page)
  await compose(page, 'ping', {})
  await button(page, 'Take it away').click()
  await button(page, 'curl').click()
  await expect(page.getByText('a request over HTTP has none')).toBeVisible()
  await expect(button(page, 'Copy program')).toBeDisabled()
})

test('a link brings the message along, and no token', async ({ page, context }) => {
  const topic = unique('linked')
  await open(page)
  await compose(page, 'setup', { Token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl' })
  await field(page, 'URL').fill('/ws/sub/prices')
  await compose(page, 'publish', { Topic: topic, Payload: '{"a":"& = # %"}' })
  await button(page, 'Take it away').click()
  await button(page, 'Copy link').click()
  await expect(page.getByText('Copied.')).toBeVisible()
  const link = await page.evaluate(() => navigator.clipboard.readText())
  expect(link).not.toContain('eyJ')

  const other = await context.newPage()
  await other.goto(link)
  await expect(other.locator('html')).toHaveAttribute('data-hydrated', 'true', { timeout: 30_000 })
  await expect(field(other, 'Message')).toHaveValue('publish')
  await expect(field(other, 'Topic')).toHaveValue(topic)
  await expect(field(other, 'Payload')).toHaveValue('{"a":"& = # %"}')
  await expect(field(other, 'URL')).toHaveValue(/^ws:.*\/ws\/sub\/prices$/)
  await expect(log(other).locator('li')).toHaveCount(0)

  // Where the page is open already, a link changes the address alone.
  await page.evaluate(() => { location.hash = 'message=subscribe&topic=elsewhere' })
  await expect(field(page, 'Message')).toHaveValue('subscribe')
  await expect(field(page, 'Topic')).toHaveValue('elsewhere')
})

test('a link and a saved message hold the token nowhere, and say what is missing', async ({ page }) => {
  const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl'
  const kept = () => page.evaluate(async () => JSON.stringify({ ...localStorage }) + (await navigator.clipboard.readText()))
  const takes = async (more: string) => {
    await button(page, 'Copy link').click()
    await expect(page.getByText(`Copied.${more}`, { exact: true })).toBeVisible()
    await field(page, 'Save as').fill('it')
    await button(page, 'Save').click()
    await expect(page.getByText(`Saved as it.${more}`, { exact: true })).toBeVisible()
    expect(await kept()).not.toContain('eyJ')
  }
  await open(page)
  await compose(page, 'setup', { Token: token })
  await compose(page, 'publish', { Payload: `{"as":"${token}"}` })
  await button(page, 'Take it away').click()
  await takes(' The token or session ID in it is left out.')
  await compose(page, 'ping', {})
  // Words of one's own are no token.
  await field(page, 'Frame').fill('{"type":"ping","tokens":3}')
  await takes('')
  await button(page, 'it').click()
  await expect(field(page, 'Frame')).toHaveValue('{"type":"ping","tokens":3}')
  await field(page, 'Frame').fill(`{"type":"refresh","token":"${token}","tokens":3}`)
  await takes(' The token or session ID in it is left out.')
  await button(page, 'it').click()
  await expect(field(page, 'Frame')).toHaveValue('{"type":"refresh","tokens":3}')
  await field(page, 'Frame').fill(`{"type":"refresh","token":"${token}"`)
  await takes(' The text edited by hand is left out: it speaks of a token or a session and is no JSON object.')
})

test('a message that the browser does not store is kept as long as the page', async ({ page }) => {
  await page.addInitScript(() => {
    Storage.prototype.setItem = () => {
      throw new DOMException('full', 'QuotaExceededError')
    }
  })
  await open(page)
  await button(page, 'Take it away').click()
  for (const name of ['one', 'two']) {
    await field(page, 'Save as').fill(name)
    await button(page, 'Save').click()
    await expect(page.getByText(`${name} is kept until this page is closed only: the browser stores nothing more.`)).toBeVisible()
  }
  await button(page, 'Delete two').click()
  await expect(page.getByRole('list', { name: 'Saved messages' }).getByRole('listitem')).toHaveText(/^one/)
})

test('two pages keep their named messages beside each other', async ({ page, context }) => {
  await open(page)
  const other = await context.newPage()
  await open(other)
  for (const [of, name] of [[page, 'one'], [other, 'two']] as const) {
    await button(of, 'Take it away').click()
    await field(of, 'Save as').fill(name)
    await field(of, 'Save as').press('Enter')
    await expect(of.getByText(`Saved as ${name}.`)).toBeVisible()
  }
  await open(page)
  await button(page, 'Take it away').click()
  await expect(button(page, 'one')).toBeVisible()
  await button(page, 'Delete two').click()
  await expect(button(page, 'two')).toHaveCount(0)
  await expect(field(page, 'Save as')).toBeFocused()
})

test('a named message outlives the page', async ({ page }) => {
  const topic = unique('kept')
  await open(page)
  await compose(page, 'publish', { Topic: topic, Payload: '42' })
  await button(page, 'Take it away').click()
  await button(page, 'Save').click()
  await expect(page.getByText('Give it a name first.')).toBeVisible()
  await field(page, 'Save as').fill('the answer')
  await field(page, 'Save as').press('Enter')
  await expect(page.getByText('Saved as the answer.')).toBeVisible()

  await open(page)
  await compose(page, 'publish', { Topic: 'other', Payload: '1' })
  await field(page, 'Message').selectOption('ping')
  await button(page, 'Take it away').click()
  await button(page, 'the answer').click()
  await expect(field(page, 'Message')).toHaveValue('publish')
  await expect(field(page, 'Topic')).toHaveValue(topic)
  await expect(field(page, 'Payload')).toHaveValue('42')
  await button(page, 'Delete the answer').click()
  await expect(button(page, 'the answer')).toHaveCount(0)
})

test('everything by its name: the palette', async ({ page }) => {
  await open(page)
  await page.keyboard.press('Control+k')
  const find = page.getByRole('combobox', { name: 'Find a command' })
  await expect(find).toBeFocused()
  await find.fill('compose pub')
  await page.keyboard.press('Enter')
  await expect(find).toBeHidden()
  await expect(field(page, 'Message')).toHaveValue('publish')

  await page.keyboard.press('Control+k')
  await find.fill('no such thing')
  await expect(page.getByText('Nothing has that name.')).toBeVisible()
  await find.fill('')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowUp')
  await expect(page.getByRole('option', { name: 'Connect', exact: true })).toHaveAttribute('aria-selected', 'true')
  await page.keyboard.press('Enter')
  await expect(rows(page, 'opened')).toHaveCount(1)

  await page.keyboard.press('Control+k')
  await page.getByRole('option', { name: 'Open: Token helper' }).click()
  await expect(page.getByRole('heading', { name: 'What the token says' })).toBeVisible()
})

test('the palette takes the keyboard to where it leads', async ({ page }) => {
  await open(page)
  const lead = async (name: string) => {
    await page.keyboard.press('Control+k')
    await page.getByRole('combobox', { name: 'Find a command' }).fill(name)
    await page.keyboard.press('Enter')
  }
  await lead('open: take it away')
  await expect(page.locator('#tool')).toBeFocused()
  await page.keyboard.press('Tab')
  await expect(button(page, 'curl')).toBeFocused()
  await lead('go to the log')
  await expect(page.getByRole('region', { name: 'Log', exact: true })).toBeFocused()
  for (const [name, chapter] of [['read: in a web', 'In a web page'], ['read: endp', 'Endpoints'], ['read: close', 'Close codes']] as const) {
    await lead(name)
    const region = page.getByRole('region', { name: chapter, exact: true })
    await expect(region).toBeFocused()
    await expect(region.getByRole('heading', { name: chapter })).toBeInViewport()
  }
  await lead('copy link')
  await expect(button(page, 'Copy link')).toBeFocused()
  await expect(page.getByText('Copied.')).toBeVisible()
  const chooser = page.waitForEvent('filechooser')
  await lead('import a session')
  await chooser
  await lead('verify')
  await expect(page.locator('#verify')).toBeFocused()
  await expect(page.locator('.finding[data-outcome="pass"]').first()).toBeVisible()
  await lead('play: fan')
  await expect(page.locator('#tool')).toBeFocused()
  await expect(page.locator('.verdict')).toHaveText(/^B and C each got 5 of 5/)
  await lead('fault cut')
  await expect(page.locator('.verdict')).toHaveText(/^Closed with 1006/)
  await lead('way back reconnect')
  await expect(page.locator('.verdict')).toHaveText(/^A new session; /)
})

test('a dialog is left without a keyboard', async ({ page }) => {
  await open(page)
  const palette = page.getByRole('dialog', { name: 'Commands' })
  await button(page, 'Commands').click()
  await palette.getByRole('button', { name: 'Close' }).click()
  await expect(palette).toBeHidden()
  await button(page, 'Commands').click()
  await expect(palette).toBeVisible()
  await page.mouse.click(5, 5)
  await expect(palette).toBeHidden()
  await expect(button(page, 'Connect')).toBeVisible()
})

test('the shortcuts are a key away, except where one writes', async ({ page }) => {
  await open(page)
  await field(page, 'URL').focus()
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Shortcuts' })).toBeHidden()
  await button(page, 'Connect').focus()
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Shortcuts' })).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog', { name: 'Shortcuts' })).toBeHidden()
  await expect(button(page, 'Connect')).toBeFocused()
})
