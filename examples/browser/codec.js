// The cells of a tinysync document: how values and keys of Python stand in it. See `tinysync/crdt/values.py`.
//
//     Python                                    JavaScript
//     None, bool, str                           null, boolean, string
//     int                                       number, or BigInt beyond 2**53
//     float                                     number; to write 1.0 rather than 1: new Py('float', 1)
//     bytes                                     Uint8Array
//     dict                                      object; a Map if not all keys are texts
//     list, set                                 Array, Set
//     tuple, frozenset                          Py of an array
//     date, time, datetime, Decimal, UUID       Py of its text (a Date can be written: it is a datetime in UTC)
//     timedelta, complex                        Py of [days, seconds, microseconds], of [real, imaginary]

import { decode, encode, ExtData } from '@msgpack/msgpack'
import { blake2b } from '@noble/hashes/blake2.js'

const BIG_INT = 1, KEYED = 16, REFERENCE = 17, TOMBSTONE_TYPE = 18, AT = 19, CANONICAL = 20
const TYPES = { tuple: 2, frozenset: 3, date: 4, time: 5, datetime: 6, timedelta: 7, Decimal: 8, UUID: 9, complex: 10 }
const NAMES = Object.fromEntries(Object.entries(TYPES).map(([name, type]) => [type, name]))
export const KINDS = ['dict', 'list', 'set']

/** What Python has and JavaScript has not: `type` is the name of the Python type, `value` as in the table above. */
export class Py {
  constructor(type, value) {
    if (type !== 'float' && !(type in TYPES)) throw new TypeError(`there is no Py of type ${type}`)
    this.type = type
    this.value = value
  }

  toString() {
    return `${this.type}(${this.value})`
  }
}

/** A cell that shows a container: with its place it gives the container's node id. */
export class Reference {
  constructor(kind, nonce) {
    this.kind = kind
    this.nonce = nonce
  }
}

/** A list position: the element `identity` shows here, unless one with a later `stamp` says otherwise. */
export class At {
  constructor(identity, stamp) {
    this.identity = identity
    this.stamp = stamp
  }
}

/** A dict's cell that keeps a key which is no text. */
export class Keyed {
  constructor(key, value) {
    this.key = key
    this.value = value
  }
}

/** The chosen cell of an entry that was deleted although a default is below it. */
export const TOMBSTONE = Symbol('tombstone')

const utf8 = new TextEncoder()
const text = (bytes) => new TextDecoder('utf-8', { fatal: true }).decode(bytes)
const ext = (type, data) => encode(new ExtData(type, data))

// --- values ---------------------------------------------------------------------------------------------

/** Return what a cell means: a value, Reference, At, Keyed or TOMBSTONE. */
export function decodeCell(cell) {
  if (cell instanceof Uint8Array) return unpack(cell)
  return typeof cell === 'bigint' ? asInt(cell) : cell
}

function unpack(bytes) {
  return fromPacked(decode(bytes, { useBigInt64: true }))
}

function fromPacked(value) {
  if (typeof value === 'bigint') return asInt(value)
  if (value instanceof Uint8Array) return value.slice()
  return value instanceof ExtData ? fromExt(value.type, value.data) : value
}

const unpackAll = (bytes) => decode(bytes, { useBigInt64: true }).map(fromPacked)

function fromExt(type, data) {
  switch (type) {
    case BIG_INT: {
      const hex = Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('')
      return asInt(BigInt.asIntN(8 * data.length, BigInt(`0x${hex}`)))
    }
    case KEYED: {
      const [key, value] = unpackAll(data)
      return new Keyed(unpack(key), unpack(value))
    }
    case REFERENCE: {
      const [kind, nonce] = unpackAll(data)
      return new Reference(KINDS[kind], nonce)
    }
    case TOMBSTONE_TYPE:
      return TOMBSTONE
    case AT: {
      const [client, clock, time, by] = unpackAll(data)
      return new At(`${client}:${clock}`, [time, by])
    }
  }
  const name = NAMES[type]
  if (name === undefined) throw new TypeError(`a cell of unknown type ${type}`)
  if (['tuple', 'frozenset', 'timedelta', 'complex'].includes(name)) return new Py(name, unpackAll(data))
  if (name === 'UUID') {
    const hex = Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('')
    return new Py(name, hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'))
  }
  return new Py(name, text(data))
}

function asInt(value) {
  return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value
}

/** Return the cell of a value that is no container; throws a TypeError for what Python could not hold. */
export function encodeCell(value) {
  if (typeof value === 'bigint') value = asInt(value)
  if (typeof value === 'number') {
    const isNatural = Number.isInteger(value) ? Math.abs(value) <= 2 ** 53 : Number.isFinite(value)
    return isNatural ? value + 0 : pack(value)
  }
  if (value === null || typeof value === 'boolean') return value
  return typeof value === 'string' ? checkedText(value) : pack(value)
}

/** Return the bytes of a value that is no container, as MessagePack with tinysync's extension types. */
function pack(value) {
  if (value === null || typeof value === 'boolean') return encode(value)
  if (typeof value === 'string') return encode(checkedText(value))
  if (value instanceof Uint8Array) return encode(value)
  if (typeof value === 'bigint') return packInt(value)
  if (typeof value === 'number') {
    return Number.isInteger(value) && Math.abs(value) <= 2 ** 53 ? packInt(BigInt(value)) : packFloat(value)
  }
  if (value instanceof Date) value = new Py('datetime', value.toISOString().replace('Z', '+00:00'))
  if (!(value instanceof Py)) throw new TypeError(`a value of type ${typeof value} cannot be held: ${String(value)}`)
  const inside = value.value
  switch (value.type) {
    case 'float':
      return packFloat(inside)
    case 'tuple':
      return ext(TYPES.tuple, packArray(inside.map(pack)))
    case 'frozenset':
      return ext(TYPES.frozenset, packArray(Array.from(inside, pack).sort(compareBytes)))
    case 'timedelta':
      return ext(TYPES.timedelta, packArray(inside.map(pack)))
    case 'complex':
      return ext(TYPES.complex, packArray(inside.map(packFloat)))
    case 'UUID':
      return ext(TYPES.UUID, Uint8Array.from(inside.replaceAll('-', '').match(/../g), (hex) => parseInt(hex, 16)))
  }
  return ext(TYPES[value.type], utf8.encode(inside))
}

function checkedText(value) {
  if (!value.isWellFormed()) throw new TypeError('a text has a lone surrogate: it cannot be stored as UTF-8')
  return value
}

function packInt(value) {
  if (value >= -(2n ** 31n) && value < 2n ** 32n) return encode(Number(value))
  if (value >= -(2n ** 63n) && value < 2n ** 64n) return encode(value, { useBigInt64: true })
  const size = Math.floor((value < 0n ? -value : value).toString(2).length / 8) + 1
  const hex = BigInt.asUintN(8 * size, value).toString(16).padStart(2 * size, '0')
  return ext(BIG_INT, Uint8Array.from(hex.match(/../g), (byte) => parseInt(byte, 16)))
}

function packFloat(value) {
  const bytes = new Uint8Array(9)
  bytes[0] = 0xcb
  new DataView(bytes.buffer).setFloat64(1, value)
  return bytes
}

function packArray(parts) {
  const size = parts.length
  const head = size < 16 ? [0x90 | size] : size < 65536 ? [0xdc, size >> 8, size & 255] : null
  if (head === null) throw new TypeError(`a tuple or frozenset of ${size} values is too large to be written here`)
  return concat([Uint8Array.from(head), ...parts])
}

function concat(parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let position = 0
  for (const part of parts) {
    all.set(part, position)
    position += part.length
  }
  return all
}

function compareBytes(one, other) {
  for (let i = 0; i < one.length && i < other.length; i++) if (one[i] !== other[i]) return one[i] - other[i]
  return one.length - other.length
}

/** Return the cell that shows a container. */
export function referenceCell({ kind, nonce }) {
  const number = typeof nonce === 'number'
  return ext(REFERENCE, packArray([encode(KINDS.indexOf(kind)), number ? packInt(BigInt(nonce)) : encode(nonce)]))
}

/** Return the list element that moves another one. */
export function atCell({ identity, stamp }) {
  return ext(AT, packArray([...identity.split(':').map(BigInt), ...stamp.map(BigInt)].map(packInt)))
}

export const TOMBSTONE_CELL = ext(TOMBSTONE_TYPE, new Uint8Array(0))

/** Return the cell of a dict's entry: a key that is no text is kept in it as it was typed. */
export function dictCell(key, cell) {
  if (typeof key === 'string') return cell
  const inner = cell instanceof Uint8Array ? cell : pack(cell)
  return ext(KEYED, packArray([encode(pack(key)), encode(inner)]))
}

/** Return the cell of a set's element. */
export function setCell(element) {
  return typeof element === 'string' ? true : encodeCell(element)
}

// --- keys -----------------------------------------------------------------------------------------------

const texts = new WeakMap()

/** Return the text that stands for a key; keys that are equal in Python (1, 1.0, True) have one text. */
export function keyText(key) {
  if (typeof key === 'string') return checkedText(key).startsWith('~') ? `~${key}` : key
  return texts.get(key) ?? `~${base64(packKey(key))}`
}

function packKey(key) {
  if (key instanceof Py && key.type === 'float') key = key.value
  if (typeof key === 'boolean') return packInt(BigInt(key))
  if (typeof key === 'number' && Number.isFinite(key)) {
    if (Number.isInteger(key)) return packInt(BigInt(key))
    const [above, below] = ratio(key)
    return ext(CANONICAL, packArray(['ratio', `${above}`, `${below}`].map((part) => encode(part))))
  }
  if (Number.isNaN(key)) throw new TypeError('NaN cannot be a key: it is not equal to itself')
  if (key instanceof Py && key.type === 'tuple') return ext(TYPES.tuple, packArray(key.value.map(packKey)))
  if (key instanceof Date || (key instanceof Py && !['date', 'timedelta', 'UUID'].includes(key.type))) {
    throw new TypeError(`a ${key.type ?? 'Date'} that was not read from the structure cannot be a key here`)
  }
  return pack(key)
}

/** Return a number that is no integer as a fraction in lowest terms. */
function ratio(number) {
  let below = 1n
  while (!Number.isInteger(number)) {
    number *= 2
    below *= 2n
  }
  return [BigInt(number), below]
}

/** Return [key, value] of a dict's entry. */
export function dictEntry(value, text) {
  if (!(value instanceof Keyed)) return [plainKey(text), value]
  return [readKey(value.key, text), value.value]
}

/** Return the element of a set's entry. */
export function setElement(value, text) {
  return text.startsWith('~') && !text.startsWith('~~') ? readKey(value, text) : plainKey(text)
}

function plainKey(text) {
  return text.startsWith('~') ? text.slice(1) : text
}

function readKey(key, text) {
  if (key !== null && typeof key === 'object') texts.set(key, text)
  return key
}

const base64 = (bytes) =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

// --- ids ------------------------------------------------------------------------------------------------

/** Return the id of the container that a reference shows at a place. */
export function nodeId(parent, text, { kind, nonce }) {
  const number = typeof nonce === 'number'
  const parts = [parent, text, kind, number ? 'int' : 'bytes'].map((part) => utf8.encode(part))
  parts.push(number ? utf8.encode(`${nonce}`) : nonce)
  const sized = parts.flatMap((part) => {
    const size = new Uint8Array(8)
    new DataView(size.buffer).setBigUint64(0, BigInt(part.length))
    return [size, part]
  })
  return base64(blake2b(concat(sized), { dkLen: 8 }))
}

/** Return a nonce that no other container has. */
export function randomNonce() {
  return crypto.getRandomValues(new Uint8Array(8))
}

/** Return a client id as tinysync makes them: of two writes made while apart, the later session's wins. */
export function newClientId() {
  const hours = Math.floor((Date.now() / 1000 - 1_577_836_800) / 3600)
  const [high, low] = crypto.getRandomValues(new Uint32Array(2))
  return hours * 2 ** 33 + (high % 2) * 2 ** 32 + low
}
