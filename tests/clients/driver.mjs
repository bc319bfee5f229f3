// A Yjs client that does what it is told: one JSON object a line, [id, method, ...arguments]; answers with [id, result].
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const folder = process.argv[2]
const { default: WebSocket } = await import(pathToFileURL(`${folder}/node_modules/ws/wrapper.mjs`))
const { Structure, newDoc, Py } = await import(pathToFileURL(`${folder}/tinysync.js`))
const { WebsocketProvider } = await import(pathToFileURL(`${folder}/node_modules/y-websocket/src/y-websocket.js`))
const Y = await import(pathToFileURL(`${folder}/node_modules/yjs/dist/yjs.mjs`))

let doc, provider, structure
const denials = []
console.warn = (text) => denials.push(String(text))

const wrap = (value) => {
  if (typeof value === 'bigint') return { $: 'bigint', v: String(value) }
  if (typeof value === 'number' && !Number.isFinite(value)) return { $: 'number', v: String(value) }
  if (value instanceof Uint8Array) return { $: 'bytes', v: [...value] }
  if (value instanceof Py) return { $: value.type, v: wrap(value.value) }
  if (Array.isArray(value)) return value.map(wrap)
  if (value instanceof Set) return { $: 'set', v: [...value].map(wrap) }
  if (value instanceof Map) return { $: 'map', v: [...value].map((pair) => pair.map(wrap)) }
  if (value === undefined) return { $: 'undefined' }
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, wrap(item)]))
}
const unwrap = (value) => {
  if (Array.isArray(value)) return value.map(unwrap)
  if (value === null || typeof value !== 'object') return value
  if (!('$' in value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unwrap(item)]))
  const inside = unwrap(value.v)
  switch (value.$) {
    case 'bigint': return BigInt(inside)
    case 'number': return Number(inside)
    case 'bytes': return Uint8Array.from(inside)
    case 'set': return new Set(inside)
    case 'map': return new Map(inside)
    case 'undefined': return undefined
  }
  return new Py(value.$, inside)
}

const methods = {
  open(url, name, { token, kind } = {}) {
    doc = newDoc()
    provider = new WebsocketProvider(url, encodeURIComponent(name), doc, {
      WebSocketPolyfill: WebSocket, disableBc: true, params: token ? { token } : {}, connect: true, maxBackoffTime: 300,
    })
    structure = new Structure(doc, kind ? { kind } : {})
  },
  online: () => provider.connect(),
  offline: () => provider.disconnect(),
  isSynced: () => provider.synced,
  value: () => structure.value,
  write: (method, ...args) => structure[method](...args),
  all: (calls) => structure.transact(() => calls.forEach(([method, ...args]) => structure[method](...args))),
  show: (state) => provider.awareness.setLocalState(state),
  present: () => [...provider.awareness.getStates()].filter(([client]) => client !== doc.clientID).map(([, state]) => state),
  client: () => doc.clientID,
  denials: () => denials,
  nested: () => void doc.getMap('c').set('x/y', new Y.Map()),
  foreign: () => void doc.getMap('mine').set('x', 1),
}

for await (const line of createInterface({ input: process.stdin })) {
  const [id, method, ...args] = JSON.parse(line)
  try {
    process.stdout.write(`${JSON.stringify([id, wrap(await methods[method](...args.map(unwrap)))])}\n`)
  } catch (error) {
    process.stdout.write(`${JSON.stringify([id, null, String(error)])}\n`)
  }
}
process.exit(0)
