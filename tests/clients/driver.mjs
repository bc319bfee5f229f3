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

const kindOf = (value) => (Array.isArray(value) ? 'list' : value instanceof Set ? 'set' : isDict(value) ? 'dict' : '')
const isDict = (value) => value instanceof Map || (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype)
const entries = (dict) => (dict instanceof Map ? [...dict] : Object.entries(dict))
function walk(value, path, found) {
  if (kindOf(value)) found.push([path, value])
  const inside = Array.isArray(value) ? [...value.entries()] : isDict(value) ? entries(value) : []
  for (const [key, item] of inside) walk(item, [...path, key], found)
  return found
}

/** Make an edit that numbers choose among all that are possible. */
function edit({ where, what, which, key, element, value }) {
  const found = walk(structure.value, [], [])
  const [path, target] = found[where % found.length]
  if (kindOf(target) === 'dict') {
    const there = entries(target).map(([known]) => known)
    if (what % 4 === 0 && there.length) structure.delete([...path, there[which % there.length]])
    else if (what % 4 === 1 && there.length) structure.set(path, new Map([...entries(target).slice(1), [key, value]]))
    else structure.set([...path, key], value)
  } else if (kindOf(target) === 'set') {
    const there = [...target]
    if (what % 4 === 0 && there.length) structure.discard(path, there[which % there.length])
    else if (what % 4 === 1) structure.set(path, new Set([...there.slice(1), element]))
    else structure.add(path, element)
  } else {
    const size = target.length
    if (what % 6 === 0 || size === 0) structure.insert(path, which % (size + 1), value, element)
    else if (what % 6 === 1) structure.delete([...path, which % size])
    else if (what % 6 === 2) structure.move(path, which % size, what % size)
    else if (what % 6 === 3) structure.set(path, [...target.slice(0, which % size), value, ...target.slice(which % size)])
    else if (what % 6 === 4) structure.push(path, value)
    else structure.set([...path, which % size], value)
  }
}

const methods = {
  edit: (edits) => edits.forEach(edit),
  vector: () => [...Y.decodeStateVector(Y.encodeStateVector(doc))],
  open(url, name, { token, kind } = {}) {
    doc = newDoc()
    provider = new WebsocketProvider(url, encodeURIComponent(name), doc, {
      WebSocketPolyfill: WebSocket, disableBc: true, params: token ? { token } : {}, connect: true, maxBackoffTime: 300,
    })
    structure = new Structure(doc, kind ? { kind } : {})
  },
  online: () => provider.connect(),
  offline: () => provider.disconnect(),
  end: () => provider.destroy(),
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
