// The documents are judged by programs that are not ours.
import { Parser } from '@asyncapi/parser'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from '@playwright/test'

test('/openapi.json is OpenAPI 3.1', async ({ request }) => {
  const document = await (await request.get('/openapi.json')).json()
  expect(document.openapi).toMatch(/^3\.1\./)
  const result = await new Validator().validate(document)
  expect(result).toMatchObject({ valid: true })
  for (const path of ['/stats', '/demo/publish/{topic}', '/api/publish', '/api/topics/{topic}/history', '/healthz', '/readyz']) {
    expect(Object.keys(document.paths)).toContain(path)
  }
})

test('/asyncapi.json is AsyncAPI 3.0', async ({ request }) => {
  const text = await (await request.get('/asyncapi.json')).text()
  const { document, diagnostics } = await new Parser().parse(text)
  expect(diagnostics.filter((d) => d.severity === 0)).toEqual([])
  expect(document?.version()).toBe('3.0.0')
  expect(document?.channels().all().map((channel) => channel.address())).toEqual(
    expect.arrayContaining(['/ws', '/ws/sub/{topic}']),
  )
})
