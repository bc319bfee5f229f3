// tinysync's structures for Yjs: one `Structure` shows a shared document as plain values, and writes it as Python does.
//
//     import { WebsocketProvider } from 'y-websocket'
//     import { newDoc, Structure } from './tinysync.js'
//
//     const doc = newDoc()
//     const provider = new WebsocketProvider('ws://127.0.0.1:8766', 'todo', doc)
//     const todo = new Structure(doc)
//     todo.on(() => console.log(todo.value))
//     provider.once('sync', () => todo.push(['tasks'], 'buy milk'))
//
// Write only once the provider has synced: before, it is not known which containers there are. From then on it works
// offline, too: what is written is exchanged when the link is up again.
//
// A path is an array of keys and list indices; the empty path is the structure itself. All that one call changes
// arrives in Python as one transaction, and so does what runs inside `todo.transact(() => {...})`. How values are
// mapped says codec.js. The format is a promise of tinysync; only what writes it correctly is served.

import * as Y from 'yjs'
import {
  At,
  Py,
  Reference,
  TOMBSTONE,
  TOMBSTONE_CELL,
  atCell,
  decodeCell,
  dictCell,
  dictEntry,
  encodeCell,
  keyText,
  newClientId,
  nodeId,
  randomNonce,
  referenceCell,
  setCell,
  setElement,
} from './codec.js'

export { Py }

const LAYERS = ['c', 'p', 'd'] // chosen, pinned and default cells, in the order in which they win
const ROOT_ENTRY = '/'
const MAX_DEPTH = 100

/** Return a document for a Structure: a Y.Doc with a client id that is later than those of earlier sessions. */
export function newDoc() {
  const doc = new Y.Doc()
  doc.clientID = newClientId()
  return doc
}

/** A structure that Python tracks; `kind` ('dict', 'list' or 'set') is needed where there is no content yet. */
export class Structure {
  #cells
  #index = null // the key texts of each dict and set node
  #value = undefined

  constructor(doc, { kind = 'dict' } = {}) {
    this.doc = doc
    this.defaultKind = kind
    this.#cells = Object.fromEntries(['c', 'p', 'd', 'g', 'o', 'meta'].map((name) => [name, doc.getMap(name)]))
    doc.on('beforeObserverCalls', () => this.#forget())
  }

  /** The whole structure as plain values: read only, and the same object until something changes. */
  get value() {
    if (this.doc._transaction !== null) return this.get([]) // what is written now is not noted yet
    this.#value ??= this.get([])
    return this.#value
  }

  /** Return what a path leads to, as plain values; undefined if there is nothing. */
  get(path) {
    const found = this.#find(path)
    return found instanceof Node ? this.#plain(found.kind, found.id, path.length + 1) : found
  }

  /** Call back when something has changed, here or elsewhere; returns a function that ends it. */
  on(callback) {
    const heard = (_, origin) => callback({ structure: this, isLocal: origin === this })
    this.doc.on('update', heard)
    return () => this.doc.off('update', heard)
  }

  /** Make several changes one. There is no way back: changes made before an error stay. */
  transact(changes) {
    return this.doc.transact(changes, this)
  }

  /** Assign to a dict's key or a list's element. What differs inside a container of the same kind is changed. */
  set(path, value) {
    checkValue(value, path.length + 1)
    this.transact(() => {
      if (path.length === 0) {
        const root = this.#root()
        if (kindOf(value) !== root.kind) throw new TypeError(`the structure is a ${root.kind}, and stays one`)
        this.#reconcile(root, value)
        return
      }
      const [node, last] = this.#parent(path)
      if (node.kind === 'dict') this.#put(node, last, value)
      else if (node.kind === 'list') this.#assign(node, this.#slot(node, last), value)
      else throw new TypeError('a set has no keys: add and discard elements')
    })
  }

  /** Delete a dict's key or a list's element. */
  delete(path) {
    this.transact(() => {
      const [node, last] = this.#parent(path)
      if (node.kind === 'list') {
        this.#deleteElement(node, this.#slot(node, last))
      } else if (node.kind === 'dict') {
        if (this.#entry(node, keyText(last)).value === undefined) throw new RangeError(`there is no ${path.join('/')}`)
        this.#deleteKey(node, keyText(last))
      } else {
        throw new TypeError('a set has no keys: discard the element')
      }
    })
  }

  /** Insert elements into the list at a path, before the one at an index. */
  insert(path, index, ...values) {
    for (const value of values) checkValue(value, path.length + 2)
    this.transact(() => {
      const node = this.#container(path, 'list')
      this.#insert(node, normal(index, this.#shown(node.id).length), values)
    })
  }

  /** Append elements to the list at a path. */
  push(path, ...values) {
    for (const value of values) checkValue(value, path.length + 2)
    this.transact(() => {
      const node = this.#container(path, 'list')
      this.#insert(node, this.#shown(node.id).length, values)
    })
  }

  /** Move an element of the list at a path; it ends up at the index `to`, and stays the element it is. */
  move(path, from, to) {
    this.transact(() => {
      const node = this.#container(path, 'list')
      const shown = this.#shown(node.id)
      const [start, end] = [from, to].map((index) => (index < 0 ? index + shown.length : index))
      if (!(start in shown && end in shown)) throw new RangeError(`the list has no elements ${from} and ${to}`)
      const [slot] = shown.splice(start, 1)
      const behind = shown[end]
      const { array, slots } = this.#slots(node.id)
      this.#pin(node)
      const time = slots.reduce((latest, { at }) => Math.max(latest, (at?.stamp[0] ?? 0) + 1), Date.now())
      const stamp = [time, this.doc.clientID]
      array.insert(behind ? behind.position : slots.length, [atCell(new At(slot.identity, stamp))])
      this.#deleteSlots(node.id, ({ at }) => at?.identity === slot.identity && at.stamp[0] !== stamp[0])
    })
  }

  /** Add an element to the set at a path. */
  add(path, element) {
    checkValue(element, path.length + 2)
    this.transact(() => this.#add(this.#container(path, 'set'), element))
  }

  /** Take an element out of the set at a path, if it is there. */
  discard(path, element) {
    this.transact(() => {
      const node = this.#container(path, 'set')
      if (this.#entry(node, keyText(element)).value !== undefined) this.#deleteEntry(node, keyText(element))
    })
  }

  // --- reading ------------------------------------------------------------------------------------------

  #forget() {
    this.#index = null
    this.#value = undefined
  }

  /** The key texts of all cells of a dict or set node, whether they show or not. */
  #texts(id) {
    if (this.#index === null) {
      this.#index = new Map()
      for (const layer of LAYERS) for (const entry of this.#cells[layer].keys()) this.#note(entry)
    }
    return this.#index.get(id) ?? new Set()
  }

  #note(entry) {
    const slash = entry.indexOf('/')
    const id = entry.slice(0, slash)
    if (!this.#index.has(id)) this.#index.set(id, new Set())
    this.#index.get(id).add(entry.slice(slash + 1))
  }

  /** What an entry shows: its chosen cell, else its pinned, else its default cell. */
  #entry({ id }, text) {
    const entry = `${id}/${text}`
    for (const layer of LAYERS) {
      if (!this.#cells[layer].has(entry)) continue
      const value = decodeCell(this.#cells[layer].get(entry))
      return value === TOMBSTONE ? { entry } : { entry, layer, value }
    }
    return { entry }
  }

  #root() {
    const kind = this.#cells.meta.get('kind') ?? this.defaultKind
    for (const layer of kind === 'list' ? ['p', 'd'] : []) {
      const cell = this.#cells[layer].get(ROOT_ENTRY)
      const reference = cell === undefined ? undefined : decodeCell(cell)
      if (reference instanceof Reference && reference.kind === kind) {
        return new Node(kind, nodeId('', '', reference), null, layer === 'd' ? [ROOT_ENTRY, cell] : null)
      }
    }
    return new Node(kind, nodeId('', '', new Reference(kind, 0)), null, null)
  }

  /** Return the Node or the value that a path leads to. */
  #find(path) {
    let found = this.#root()
    for (const step of path) {
      if (!(found instanceof Node) || found.kind === 'set') return undefined
      found = found.kind === 'dict' ? this.#inDict(found, step) : this.#inList(found, step)
    }
    return found
  }

  #inDict(node, key) {
    const text = keyText(key)
    const { entry, layer, value } = this.#entry(node, text)
    if (value === undefined) return undefined
    const [, shown] = dictEntry(value, text)
    if (!(shown instanceof Reference)) return shown
    const isDefaultList = shown.kind === 'list' && layer === 'd'
    return new Node(shown.kind, nodeId(node.id, text, shown), node, isDefaultList ? [entry, this.#cells.d.get(entry)] : null)
  }

  #inList(node, index) {
    const slot = this.#shown(node.id).at(index)
    if (slot === undefined) return undefined
    return slot.value instanceof Reference ? this.#childOf(node, slot.value) : slot.value
  }

  #childOf(list, reference) {
    return new Node(reference.kind, nodeId(list.id, '', reference), list, null)
  }

  #parent(path) {
    if (path.length === 0) throw new TypeError('the structure itself cannot be deleted')
    return [this.#container(path.slice(0, -1)), path.at(-1)]
  }

  #container(path, kind) {
    const node = this.#find(path)
    if (!(node instanceof Node)) throw new RangeError(`${path.join('/')} is no container`)
    if (kind !== undefined && node.kind !== kind) throw new TypeError(`${path.join('/')} is a ${node.kind}, not a ${kind}`)
    return node
  }

  /** The elements of a list's array: anchors, and ats, which say where an anchor shows. */
  #slots(id) {
    const array = this.doc.getArray(`l:${id}`)
    const slots = []
    // An element is known by the id of its item, which Yjs has no other way to tell for all elements at once.
    for (let item = array._start; item !== null; item = item.right) {
      if (item.deleted || !item.countable) continue
      item.content.getContent().forEach((cell, offset) => {
        const raw = decodeCell(cell)
        const identity = `${item.id.client}:${item.id.clock + offset}`
        slots.push({ identity, position: slots.length, ...(raw instanceof At ? { at: raw } : { raw }) })
      })
    }
    return { array, slots }
  }

  /** The elements of a list in the order in which they show, each with its value and its array position. */
  #shown(id) {
    const { slots } = this.#slots(id)
    const best = new Map()
    const anchors = new Map()
    for (const slot of slots) {
      if (slot.at === undefined) anchors.set(slot.identity, slot)
      else if (!best.has(slot.at.identity) || !isLater(best.get(slot.at.identity).at, slot.at)) best.set(slot.at.identity, slot)
    }
    const shown = []
    for (const slot of slots) {
      const anchor = slot.at === undefined ? slot : anchors.get(slot.at.identity)
      if (anchor === undefined || (best.get(anchor.identity) ?? slot) !== slot) continue
      const override = this.#cells.o.get(`${id}/${anchor.identity}`)
      const value = override === undefined ? anchor.raw : decodeCell(override)
      shown.push({ identity: anchor.identity, position: slot.position, value })
    }
    return shown
  }

  #slot(node, index) {
    const slot = this.#shown(node.id).at(index)
    if (slot === undefined) throw new RangeError(`the list has no element ${index}`)
    return slot
  }

  #plain(kind, id, depth) {
    if (kind === 'list') {
      return this.#shown(id).map(({ value }) => this.#plainValue(value, id, '', depth) ?? null)
    }
    const node = new Node(kind, id, null, null)
    const entries = []
    for (const text of [...this.#texts(id)].sort()) {
      const { value } = this.#entry(node, text)
      if (value === undefined) continue
      if (kind === 'set') {
        entries.push(setElement(value, text))
      } else {
        const [key, shown] = dictEntry(value, text)
        const plain = this.#plainValue(shown, id, text, depth)
        if (plain !== undefined) entries.push([key, plain])
      }
    }
    if (kind === 'set') return new Set(entries)
    return entries.every(([key]) => typeof key === 'string') ? Object.fromEntries(entries) : new Map(entries)
  }

  #plainValue(value, parent, text, depth) {
    if (!(value instanceof Reference)) return value
    return depth >= MAX_DEPTH ? undefined : this.#plain(value.kind, nodeId(parent, text, value), depth + 1)
  }

  // --- writing ------------------------------------------------------------------------------------------

  #write(layer, entry, cell) {
    this.#cells[layer].set(entry, cell)
    if (LAYERS.includes(layer) && this.#index !== null) this.#note(entry)
  }

  /** Write the reference of every default list around an edit as a pinned cell: the edit keeps the list. */
  #pin(node) {
    for (; node !== null; node = node.parent) if (node.pin !== null) this.#write('p', ...node.pin)
  }

  #put(node, key, value) {
    const text = keyText(key)
    const { entry, value: cell } = this.#entry(node, text)
    const old = cell === undefined ? undefined : dictEntry(cell, text)[1]
    const kind = kindOf(value)
    if (old instanceof Reference && old.kind === kind) {
      this.#reconcile(this.#inDict(node, key), value)
      return
    }
    this.#pin(node)
    if (old instanceof Reference) this.#removeChild(node, entry, text, old)
    if (kind === undefined) this.#write('c', entry, dictCell(key, encodeCell(value)))
    else this.#writeChild(node, key, text, kind, value)
  }

  /** Write a container under a dict's key. Dicts, sets and empty lists that are created there twice are one. */
  #writeChild(node, key, text, kind, value) {
    const entry = `${node.id}/${text}`
    const hasOwnId = kind === 'list' && value.length > 0
    const reference = new Reference(kind, hasOwnId ? randomNonce() : this.#freeGeneration(node, text, kind))
    this.#write('c', entry, dictCell(key, referenceCell(reference)))
    this.#fill(new Node(kind, nodeId(node.id, text, reference), node, null), value)
  }

  #generation(entry) {
    const generation = this.#cells.g.get(entry)
    return Number.isInteger(generation) && generation >= 0 ? generation : 0
  }

  /** Return the generation under which a container that is created now is really empty. */
  #freeGeneration(node, text, kind) {
    const entry = `${node.id}/${text}`
    const first = this.#generation(entry)
    let generation = first
    const isUsed = () => {
      const id = nodeId(node.id, text, new Reference(kind, generation))
      return kind === 'list' ? this.doc.getArray(`l:${id}`).length > 0 : this.#hasCells(id)
    }
    while (isUsed()) generation++
    if (generation !== first) this.#write('g', entry, generation)
    return generation
  }

  #hasCells(id) {
    return [...this.#texts(id)].some((text) => LAYERS.some((layer) => this.#cells[layer].has(`${id}/${text}`)))
  }

  /** Note that a container under a key is gone, so that a new one is really empty, and clear its cells. */
  #removeChild(node, entry, text, reference) {
    const after = typeof reference.nonce === 'number' ? reference.nonce + 1 : 0
    this.#write('g', entry, Math.max(this.#generation(entry) + 1, after))
    this.#clear(reference.kind, nodeId(node.id, text, reference))
  }

  #clear(kind, id) {
    if (kind === 'list') {
      for (const { value } of this.#shown(id)) {
        if (value instanceof Reference) this.#clear(value.kind, nodeId(id, '', value))
      }
      for (const key of [...this.#cells.o.keys()]) if (key.startsWith(`${id}/`)) this.#cells.o.delete(key)
      this.#deleteSlots(id, () => true)
      return
    }
    const node = new Node(kind, id, null, null)
    for (const text of this.#texts(id)) {
      const { entry, value } = this.#entry(node, text)
      const inside = kind === 'dict' && value !== undefined ? dictEntry(value, text)[1] : undefined
      if (inside instanceof Reference) this.#clear(inside.kind, nodeId(id, text, inside))
      for (const layer of LAYERS) this.#cells[layer].delete(entry)
    }
  }

  #deleteKey(node, text) {
    const { entry, value } = this.#entry(node, text)
    const old = dictEntry(value, text)[1]
    if (old instanceof Reference) this.#removeChild(node, entry, text, old)
    this.#deleteEntry(node, text)
  }

  #deleteEntry(node, text) {
    const entry = `${node.id}/${text}`
    this.#pin(node)
    if (this.#cells.d.has(entry) || this.#cells.p.has(entry)) this.#write('c', entry, TOMBSTONE_CELL)
    else this.#cells.c.delete(entry)
  }

  #add(node, element) {
    if (this.#entry(node, keyText(element)).value !== undefined) return
    this.#pin(node)
    this.#write('c', `${node.id}/${keyText(element)}`, setCell(element))
  }

  /** Write the content of a container that was created just now. */
  #fill(node, value) {
    if (node.kind === 'list') {
      this.#insert(node, 0, value)
    } else if (node.kind === 'set') {
      for (const element of value) this.#write('c', `${node.id}/${keyText(element)}`, setCell(element))
    } else {
      for (const [key, item] of entriesOf(value)) {
        const kind = kindOf(item)
        if (kind === undefined) this.#write('c', `${node.id}/${keyText(key)}`, dictCell(key, encodeCell(item)))
        else this.#writeChild(node, key, keyText(key), kind, item)
      }
    }
  }

  #insert(node, index, values) {
    this.#pin(node)
    const { array, slots } = this.#slots(node.id)
    const behind = this.#shown(node.id)[index]
    const children = []
    const cells = values.map((value) => {
      const kind = kindOf(value)
      if (kind === undefined) return encodeCell(value)
      const reference = new Reference(kind, randomNonce())
      children.push([this.#childOf(node, reference), value])
      return referenceCell(reference)
    })
    array.insert(behind ? behind.position : slots.length, cells)
    for (const [child, value] of children) this.#fill(child, value)
  }

  /** Give an element a value; it stays the element it is, so that others who do so too mean the same one. */
  #assign(node, slot, value) {
    const old = slot.value
    const kind = kindOf(value)
    if (old instanceof Reference && old.kind === kind) {
      this.#reconcile(this.#childOf(node, old), value)
      return
    }
    this.#pin(node)
    if (old instanceof Reference) this.#clear(old.kind, nodeId(node.id, '', old))
    const reference = kind && new Reference(kind, randomNonce())
    this.#write('o', `${node.id}/${slot.identity}`, reference ? referenceCell(reference) : encodeCell(value))
    if (reference) this.#fill(this.#childOf(node, reference), value)
  }

  #deleteElement(node, { identity, value }) {
    this.#pin(node)
    if (value instanceof Reference) this.#clear(value.kind, nodeId(node.id, '', value))
    this.#deleteSlots(node.id, (slot) => (slot.at?.identity ?? slot.identity) === identity)
    this.#cells.o.delete(`${node.id}/${identity}`)
  }

  #deleteSlots(id, isDoomed) {
    const { array, slots } = this.#slots(id)
    for (const slot of slots.reverse()) if (isDoomed(slot)) array.delete(slot.position, 1)
  }

  /** Change what differs, so that what others change elsewhere inside stays. */
  #reconcile(node, value) {
    if (node.kind === 'list') this.#reconcileList(node, value)
    else if (node.kind === 'set') this.#reconcileSet(node, value)
    else this.#reconcileDict(node, value)
  }

  #reconcileDict(node, value) {
    const entries = entriesOf(value)
    const wanted = new Set(entries.map(([key]) => keyText(key)))
    for (const text of [...this.#texts(node.id)]) {
      if (!wanted.has(text) && this.#entry(node, text).value !== undefined) this.#deleteKey(node, text)
    }
    for (const [key, item] of entries) {
      if (kindOf(item) !== undefined || !isSame(this.#inDict(node, key), item)) this.#put(node, key, item)
    }
  }

  #reconcileSet(node, value) {
    const wanted = new Set(Array.from(value, keyText))
    for (const text of [...this.#texts(node.id)]) {
      if (!wanted.has(text) && this.#entry(node, text).value !== undefined) this.#deleteEntry(node, text)
    }
    for (const element of value) this.#add(node, element)
  }

  #reconcileList(node, value) {
    const before = this.#plain('list', node.id, 0)
    let start = 0
    while (start < before.length && start < value.length && isSame(before[start], value[start])) start++
    let [end, stop] = [before.length, value.length]
    while (end > start && stop > start && isSame(before[end - 1], value[stop - 1])) [end, stop] = [end - 1, stop - 1]
    if (end - start === stop - start) {
      for (let i = start; i < end; i++) {
        if (!isSame(before[i], value[i])) this.#assign(node, this.#slot(node, i), value[i])
      }
      return
    }
    for (let i = end - 1; i >= start; i--) this.#deleteElement(node, this.#slot(node, i))
    if (stop > start) this.#insert(node, start, value.slice(start, stop))
  }
}

/** A container that shows; `pin` is the cell that keeps it if it is a default list, [entry, cell]. */
class Node {
  constructor(kind, id, parent, pin) {
    this.kind = kind
    this.id = id
    this.parent = parent
    this.pin = pin
  }
}

/** Return the kind of a container; undefined: it is a value. */
function kindOf(value) {
  if (Array.isArray(value)) return 'list'
  if (value instanceof Set) return 'set'
  if (value instanceof Map) return 'dict'
  if (value === null || typeof value !== 'object') return undefined
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? 'dict' : undefined
}

const entriesOf = (dict) => (dict instanceof Map ? [...dict] : Object.entries(dict))

/** Throw for what cannot be held, before anything is changed. */
function checkValue(value, depth) {
  const kind = kindOf(value)
  if (kind === undefined) {
    encodeCell(value)
    return
  }
  if (depth > MAX_DEPTH) throw new TypeError(`containers are nested more than ${MAX_DEPTH} deep`)
  if (kind === 'dict') for (const [key] of entriesOf(value)) keyText(key)
  if (kind === 'set') for (const element of value) keyText(element)
  for (const item of kind === 'dict' ? entriesOf(value).map(([, item]) => item) : value) checkValue(item, depth + 1)
}

function isLater(one, other) {
  return one.stamp[0] !== other.stamp[0] ? one.stamp[0] > other.stamp[0] : one.stamp[1] > other.stamp[1]
}

/** Return a list index as one from 0 to `length`, as Python counts from the end. */
function normal(index, length) {
  return Math.max(0, Math.min(index < 0 ? index + length : index, length))
}

function isSame(one, other) {
  const kind = kindOf(one)
  if (kind !== kindOf(other)) return false
  if (kind === 'list') return one.length === other.length && one.every((item, i) => isSame(item, other[i]))
  if (kind === 'set') {
    const texts = new Set(Array.from(one, keyText))
    return one.size === other.size && [...other].every((element) => texts.has(keyText(element)))
  }
  if (kind === 'dict') {
    const [ones, others] = [entriesOf(one), new Map(entriesOf(other).map(([key, item]) => [keyText(key), item]))]
    return ones.length === others.size && ones.every(([key, item]) => others.has(keyText(key)) && isSame(item, others.get(keyText(key))))
  }
  if (one instanceof Py && other instanceof Py) return one.type === other.type && String(one.value) === String(other.value)
  if (one instanceof Uint8Array && other instanceof Uint8Array) return one.length === other.length && one.every((byte, i) => byte === other[i])
  return one === other || (Number.isNaN(one) && Number.isNaN(other))
}
