// The log as a file: saved, read again in its place, and sent again.
import { readFile } from 'node:fs/promises'
import type { Page } from '@playwright/test'
import { button, connect, expect, field, log, open, ready, rows, send, test, unique } from './page'

type Line = Record<string, unknown> & { text: string }
const HEADER = '{"format":"micro-socket-session","version":1}'

const line = (text: unknown, more: Record<string, unknown> = {}): string =>
  JSON.stringify({ time: '2026-03-01T10:00:00.000Z', client: 'A', direction: 'sent', text: typeof text === 'string' ? text : JSON.stringify(text), ...more })

const file = (...lines: string[]): string => [HEADER, ...lines].join('\n')

/** Opens the tool, unless it is open. */
async function tool(page: Page): Promise<void> {
  const opener = button(page, 'Session file')
  if ((await opener.getAttribute('aria-expanded')) !== 'true') await opener.click()
}

async function exported(page: Page): Promise<string> {
  await tool(page)
  const download = page.waitForEvent('download')
  await button(page, 'Export log').click()
  const saved = await download
  expect(saved.suggestedFilename()).toMatch(/^session-\d{4}-\d\d-\d\dT[\d-]+\.\d{3}Z\.ndjson$/)
  return readFile(await saved.path(), 'utf8')
}

async function imports(page: Page, text: string | Buffer, name = 'some.ndjson'): Promise<void> {
  await tool(page)
  const buffer = Buffer.from(text)
  await page.locator('#session-file').setInputFiles({ name, mimeType: 'application/x-ndjson', buffer })
}

const replay = async (page: Page, speed = 'at once'): Promise<void> => {
  await button(page, speed).click()
  await button(page, 'Replay').click()
}

test('the log is saved without its tokens, and comes back with its filters, read-only', async ({ page }) => {
  const [topic, secret] = [unique('saved'), `${unique('secret')}.${unique('of')}.${unique('ann')}`]
  await open(page)
  await connect(page)
  await send(page, 'setup', { Token: secret, Topics: topic })
  await expect(rows(page, 'ready')).toHaveCount(1)
  await send(page, 'publish', { Topic: topic, 'Message ID': 'once', Payload: '{"a" : "\u202e<b>"}' })
  await expect(rows(page, 'ack')).toHaveCount(1)
  await expect(rows(page, 'message')).toHaveCount(1)
  const text = await exported(page)
  await expect(page.getByText(/^Saved \d+ rows as session-/)).toBeVisible()

  const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line) as Line)
  expect(lines[0]).toMatchObject({ format: 'micro-socket-session', version: 1, dropped: 0 })
  expect(text).not.toContain(secret)
  const setup = lines.find((line) => line.type === 'setup')!
  expect(JSON.parse(setup.text)).toEqual({ type: 'setup', token: 'YOUR_TOKEN', topics: [topic] })
  const publish = lines.find((line) => line.type === 'publish')!
  expect(publish).toMatchObject({ client: 'A', user: 'YOUR_TOKEN', direction: 'sent' })
  expect(text).not.toContain('\u202e')
  expect(publish.text).toContain('"payload":{"a" : "\u202e<b>"}')
  expect(publish.size).toBe(Buffer.byteLength(publish.text))
  expect(publish.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

  await imports(page, text, 'my\u202esession.ndjson')
  await expect(page.getByText(/^Imported session my\\u202esession\.ndjson, read-only: A is YOUR_TOKEN\.$/)).toBeVisible()
  await expect(log(page).locator('li')).toHaveCount(lines.length - 1)
  await expect(rows(page, 'publish', /answered by #\d+/)).toHaveCount(1)
  await expect(rows(page, 'message', '\\u202e<b>')).toHaveCount(1)
  await expect(button(page, 'Clear')).toBeDisabled()
  await expect(log(page).getByRole('button', { name: /^Repeat/ })).toHaveCount(0)
  await field(page, 'Filter by type').selectOption('ack')
  await expect(log(page).locator('li')).toHaveCount(1)
  await field(page, 'Filter by type').selectOption('')

  // The page goes on behind it.
  await send(page, 'ping')
  await button(page, 'Back to the live log').click()
  await expect(rows(page, 'pong')).toHaveCount(1)
  await expect(page.getByText(/read-only/)).toBeHidden()
  await expect(button(page, 'Clear')).toBeEnabled()
})

test('the frames of a file stand in the place of those with the same numbers', async ({ page }) => {
  const topic = unique('own')
  await ready(page, topic)
  await send(page, 'ping')
  await expect(rows(page, 'pong')).toHaveCount(1)
  const types = await log(page).locator('.row-type').allInnerTexts()
  expect(types).toContain('setup')
  await log(page).getByRole('button', { name: /^Open frame \d+: setup$/ }).focus()
  await imports(page, file(...[1, 2, 3, 4].map((n) => line(`{"type":"message","topic":"other","seqNo":${n},"messageId":"m${n}","data":${n}}`, { direction: 'received' }))))
  await expect(log(page).locator('.row-type')).toHaveText(['message', 'message', 'message', 'message'])
  await expect(log(page).locator('.row-text')).toHaveText([1, 2, 3, 4].map((n) => new RegExp(`"data":${n}}$`)))
  await expect(log(page).locator('.row-topic')).toHaveText(['other', 'other', 'other', 'other'])
  await expect(log(page).locator('li[data-way="received"]')).toHaveCount(4)
  await button(page, 'Back to the live log').click()
  await expect(log(page).locator('.row-type')).toHaveText(types)
})

test('a file can be dropped', async ({ page }) => {
  await open(page)
  await tool(page)
  const dropped = await page.evaluateHandle((text) => {
    const data = new DataTransfer()
    data.items.add(new File([text], 'dropped.ndjson'))
    return data
  }, file(line({ type: 'ping' })))
  await page.getByRole('region', { name: 'Session file' }).dispatchEvent('drop', { dataTransfer: dropped })
  await expect(page.getByText('Imported session dropped.ndjson, read-only.')).toBeVisible()
  await expect(rows(page, 'ping')).toHaveCount(1)
})

test('a file that is not in order is refused with the line and the mend', async ({ page }) => {
  await ready(page, '')
  const ping = line({ type: 'ping' })
  for (const [text, words] of [
    ['', 'The file is empty. Choose one that Export wrote.'],
    ['hello', 'Line 1: it is no JSON: expected value at column 1. Mend or delete it.'],
    [ping, 'Line 1: the file’s first line must be its header'.replace('’', "'")],
    [HEADER.replace('1}', '9}'), 'Line 1: `version` is 9; this page reads version 1.'],
    [file(ping, ping.replace('sent', 'up\\u202e')), 'Line 3: `direction` must be sent, received or note; it is "up\\u202e".'],
    [file(ping, ping.replace('"A"', '"E"')), 'Line 3: `client` must be A, B, C or D; it is "E".'],
    [file(ping, '', ping.slice(0, -9)), 'Line 4: it is no JSON'],
    [file(ping.replace('T10', ' 10')), 'Line 2: `time` must be a moment such as 2026-03-01T10:00:00.000Z, in UTC'],
    [file(line('x'.repeat(1024 * 1024))), 'at most 1024 KiB are read. Delete it.'],
    [file(...Array(10_001).fill(ping)), 'Line 10002: a file has at most 10000 rows. Delete this line and those below it.'],
    [Buffer.alloc(16 * 1024 * 1024 + 1, 32), 'at most 16 MiB are read.'],
  ] as const) {
    await imports(page, text)
    await expect(page.getByText(words)).toHaveClass('problem')
    await expect(page.getByText(/^Imported session/)).toBeHidden()
  }
  await expect(rows(page, 'ready')).toHaveCount(1)
})

test('a replay reaches other clients, and says what was answered otherwise', async ({ page, context }) => {
  // As long as the page itself waits for an answer, and longer.
  const patience = { timeout: 30_000 }
  const topic = unique('again')
  const publish = (id: string, payload: unknown) => line({ type: 'publish', topic, messageId: id, payload })
  const ack = (messageId: string, status: string) => line({ type: 'ack', messageId, status }, { direction: 'received' })
  const session = file(
    line({ type: 'setup', token: 'YOUR_TOKEN', topics: [topic] }),
    line({ type: 'ready', sessionId: 's', userId: 'ann' }, { direction: 'received' }),
    publish('one', 1),
    ack('one', 'ok'),
    publish('two', 2),
    ack('two', 'ok'),
    publish('two', 2),
    line({ type: 'error', code: 'ACL_DENIED', message: 'no', topic, messageId: 'two' }, { direction: 'received' }),
    line('{ no frame'),
    line({ type: 'error', code: 'BAD_REQUEST', message: 'no' }, { direction: 'received' }),
  )
  const other = await context.newPage()
  await ready(other, topic)

  await open(page)
  await imports(page, session)
  await replay(page)
  await expect(page.getByText('Not replayed: client A is not set up. Connect it and send setup first.')).toBeVisible()
  await button(page, 'Back to the live log').click()
  await connect(page)
  await send(page, 'setup', { Token: 'ann', Topics: '' })
  await expect(rows(page, 'ready')).toHaveCount(1)
  await imports(page, session)
  await replay(page)
  await expect(page.getByText('3 of 4 answered as then.')).toBeVisible(patience)
  const differences = page.getByRole('list', { name: 'Answered otherwise' }).getByRole('listitem')
  await expect(differences).toHaveText(['#7 publish of A: then error ACL_DENIED, now ack duplicate'])
  await expect(rows(other, 'message')).toHaveCount(2)

  // New Message IDs again: once more two messages. The old ones: two more, and then none.
  await replay(page)
  await expect(rows(other, 'message')).toHaveCount(4)
  await expect(page.getByText('3 of 4 answered as then.')).toBeVisible(patience)
  await field(page, 'New Message IDs').uncheck()
  await replay(page)
  await expect(rows(other, 'message')).toHaveCount(6)
  await expect(rows(other, 'message', '"messageId":"one"')).toHaveCount(1)
  await expect(page.getByText('3 of 4 answered as then.')).toBeVisible(patience)
  await replay(page)
  await expect(page.getByText('1 of 4 answered as then.')).toBeVisible(patience)
  await expect(differences).toHaveCount(3)
  await expect(rows(other, 'message')).toHaveCount(6)
})

test('after a replay the live log shows what it did', async ({ page }) => {
  await ready(page, '')
  await imports(page, file(line({ type: 'ping' })))
  await replay(page)
  await expect(page.getByText('0 of 1 answered as then.')).toBeVisible()
  await button(page, 'See it in the live log').click()
  await expect(rows(page, 'pong')).toHaveCount(1)
  await expect(button(page, 'See it in the live log')).toBeHidden()
})

test('a replay keeps the spaces, and can be stopped', async ({ page }) => {
  const at = (time: string) => line({ type: 'ping' }, { time: `2026-03-01T${time}:00.000Z` })
  await ready(page, '')
  await imports(page, file(at('10:00'), at('10:00'), at('18:00')))
  await replay(page, '10x')
  await expect(page.getByText('2 of 3 sent.')).toBeVisible()
  await expect(button(page, 'Replay')).toBeDisabled()
  await button(page, 'Stop replay').click()
  await expect(page.getByText('Stopped. 2 of 3 sent; 0 of 2 answered as then.')).toBeVisible()
  await expect(page.getByRole('list', { name: 'Answered otherwise' }).getByRole('listitem').first()).toHaveText('#1 ping of A: then nothing, now pong')
  await button(page, 'Back to the live log').click()
  await expect(rows(page, 'pong')).toHaveCount(2)
})
