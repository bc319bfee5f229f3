// A page that shows a structure of a tinysync Peer, whatever is in it, and edits it.

import { WebsocketProvider } from 'y-websocket'
import { Structure, newDoc } from './tinysync.js'

const $ = (id) => document.getElementById(id)
const form = $('connect')

/** Make an element; texts of others only ever become text nodes. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

// What is behind the # stays in the browser, the token too: #server=ws://127.0.0.1:8766&name=todo&token=...
for (const [field, value] of new URLSearchParams(location.hash.slice(1))) {
  if (field in form.elements) form.elements[field].value = value
}
form.addEventListener('submit', (event) => {
  event.preventDefault()
  const { server, name, token } = Object.fromEntries(new FormData(form))
  open(server, name, token)
})
if (location.hash.includes('name=')) form.requestSubmit()

function open(server, name, token) {
  const doc = newDoc()
  const provider = new WebsocketProvider(server, encodeURIComponent(name), doc, { params: token ? { token } : {} })
  const structure = new Structure(doc)
  form.hidden = true
  document.querySelector('main').hidden = false
  document.title = name

  const showStatus = () => {
    $('status').textContent = provider.synced ? 'in step' : provider.shouldConnect ? 'connecting…' : 'offline'
  }
  provider.on('status', showStatus)
  provider.on('sync', showStatus)
  showStatus()
  $('offline').addEventListener('change', ({ target }) => (target.checked ? provider.disconnect() : provider.connect()))

  provider.awareness.setLocalState({ device: 'a browser' })
  provider.awareness.on('change', () => {
    const others = [...provider.awareness.getStates()].filter(([client]) => client !== doc.clientID)
    const names = others.map(([, state]) => state.device).filter(Boolean)
    $('present').textContent = names.length ? `also here: ${names.join(', ')}` : ''
  })

  const show = () => draw(structure)
  structure.on(show)
  provider.on('sync', show)
}

/** Show the structure anew; what somebody is typing stays as it is. */
function draw(structure) {
  const typing = document.activeElement
  const tree = branch(structure, [], structure.value)
  $('structure').replaceChildren(tree)
  if (typing?.dataset.path === undefined) return
  const again = [...tree.querySelectorAll('input')].find((input) => input.dataset.path === typing.dataset.path)
  if (again === undefined) return
  again.value = typing.value
  again.focus()
  again.setSelectionRange(typing.selectionStart, typing.selectionEnd)
}

function attempt(change) {
  try {
    $('problem').textContent = ''
    change()
  } catch (error) {
    $('problem').textContent = error.message
  }
}

/** Return the list that shows a container. */
function branch(structure, path, value) {
  const list = element('ul')
  const isSet = value instanceof Set
  const entries = Array.isArray(value) || isSet ? [...value].entries() : value instanceof Map ? value : Object.entries(value)
  for (const [key, item] of entries) {
    const label = element('span', { textContent: isSet ? '' : `${String(key)}:` })
    const shown = isSet ? element('span', { textContent: format(item) ?? String(item) }) : leafOrBranch(structure, [...path, key], item)
    const remove = () => attempt(() => (isSet ? structure.discard(path, item) : structure.delete([...path, key])))
    const button = element('button', { type: 'button', textContent: '✕', title: 'delete', onclick: remove })
    const row = element('li', {}, label, ...(isContainer(item) ? [button, shown] : [shown, button]))
    list.append(row)
  }
  list.append(element('li', {}, adder(structure, path, value)))
  return list
}

function leafOrBranch(structure, path, value) {
  if (isContainer(value)) return branch(structure, path, value)
  const text = format(value)
  if (text === undefined) return element('span', { textContent: String(value) })
  const input = element('input', { value: text })
  input.dataset.path = JSON.stringify(path)
  input.addEventListener('change', () => attempt(() => structure.set(path, parse(input.value))))
  return input
}

/** Return the row with which an element, or a key with its value, is added. */
function adder(structure, path, value) {
  const isDict = !Array.isArray(value) && !(value instanceof Set)
  const key = element('input', { placeholder: 'key' })
  const input = element('input', { placeholder: 'new value' })
  key.dataset.path = JSON.stringify([...path, 'new key'])
  input.dataset.path = JSON.stringify([...path, 'new value'])
  const add = element('button', { type: 'button', textContent: '+', title: 'add' })
  add.onclick = () =>
    attempt(() => {
      if (isDict && key.value === '') throw new Error('a new entry needs a key')
      const added = parse(input.value)
      const name = key.value
      key.value = input.value = ''
      if (Array.isArray(value)) structure.push(path, added)
      else if (value instanceof Set) structure.add(path, added)
      else structure.set([...path, name], added)
    })
  return element('span', {}, ...(isDict ? [key] : []), input, add)
}

function isContainer(value) {
  if (value === null || typeof value !== 'object') return false
  return Array.isArray(value) || value instanceof Set || value instanceof Map || Object.getPrototypeOf(value) === Object.prototype
}

/** Return a value as JSON; undefined if JSON cannot say it. */
function format(value) {
  const isPlain = value === null || ['string', 'boolean'].includes(typeof value) || Number.isFinite(value)
  return isPlain ? JSON.stringify(value) : undefined
}

/** What is no JSON is a text. */
function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
