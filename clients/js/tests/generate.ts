// The types of the frames, from the AsyncAPI document of the gateway, which makes it from its own types. Pure.

interface Schema {
  $ref?: string
  const?: unknown
  enum?: unknown[]
  type?: string
  description?: string
  items?: Schema
  properties?: Record<string, Schema>
  additionalProperties?: Schema
  required?: string[]
}

export interface Document {
  operations: Record<string, { action: string; messages: { $ref: string }[] }>
  components: { messages: Record<string, { name: string; summary: string; payload: Schema }>; schemas: Record<string, Schema> }
}

/** The last part of a reference. */
const target = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)

/** `Error` would hide the language's own. */
const typeName = (key: string): string => (key === 'error' ? 'ErrorFrame' : key[0]!.toUpperCase() + key.slice(1))

export function generate({ operations, components: { messages, schemas } }: Document): string {
  const isAny = ({ $ref }: Schema): boolean => !!$ref && !schemas[target($ref)]!.type

  function type(schema: Schema): string {
    if (schema.$ref) {
      const named = schemas[target(schema.$ref)]!
      if (isAny(schema)) return 'T'
      return named.enum ? target(schema.$ref) : type(named)
    }
    if (schema.const !== undefined) return `'${schema.const}'`
    if (schema.enum) return schema.enum.map((value) => `'${value}'`).join(' | ')
    if (schema.type === 'integer') return 'number'
    if (schema.type === 'array') return `${type(schema.items!)}[]`
    if (schema.additionalProperties) return `Record<string, ${type(schema.additionalProperties)}>`
    if (['string', 'number', 'boolean'].includes(schema.type ?? '')) return schema.type!
    throw new Error(`no type for ${JSON.stringify(schema)}`)
  }

  const generic = ({ properties = {} }: Schema): boolean => Object.values(properties).some(isAny)

  const enums = Object.entries(schemas)
    .filter(([, schema]) => schema.enum)
    .map(([name, schema]) => (schema.description ? `/** ${schema.description} */\n` : '') + `export type ${name} = ${type(schema)}\n`)

  const frames = Object.entries(messages).map(([key, { summary, payload }]) => {
    const { properties = {}, required = [] } = payload
    // In the order of the wire: `type` first, then what must be there.
    const names = [...required, ...Object.keys(properties).filter((name) => !required.includes(name))]
    const fields = names.map((name) => {
      const { description } = properties[name]!
      const optional = required.includes(name) ? '' : '?'
      const value = type(properties[name]!) + (optional ? ' | undefined' : '')
      return (description ? `  /** ${description} */\n` : '') + `  ${name}${optional}: ${value}\n`
    })
    return `/** ${summary} */\nexport interface ${typeName(key)}${generic(payload) ? '<T = unknown>' : ''} {\n${fields.join('')}}\n`
  })

  /** Every frame of a direction, as the gateway sees it. */
  const union = (name: string, action: string): string => {
    const operation = Object.values(operations).find((candidate) => candidate.action === action)!
    const keys = operation.messages.map(({ $ref }) => target($ref))
    const members = keys.map((key) => typeName(key) + (generic(messages[key]!.payload) ? '<T>' : ''))
    return `export type ${name}<T = unknown> = ${members.join(' | ')}\n`
  }

  return [
    "// The frames of the protocol, made from the gateway's own types. Not to be edited: UPDATE=1 npm test frames\n",
    ...enums,
    ...frames,
    '/** What a client sends. */\n' + union('ClientFrame', 'receive'),
    '/** What the gateway sends. */\n' + union('ServerFrame', 'send'),
  ].join('\n')
}
