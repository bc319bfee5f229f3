// Show a structure of a tinysync Peer and follow its changes, or write to it, from Node.js:
//
//     node node.js ws://127.0.0.1:8766 todo
//     node node.js ws://127.0.0.1:8766 todo set tasks/0 '"buy oat milk"'
//     node node.js ws://127.0.0.1:8766 todo push tasks '"call Ann"'
//     node node.js ws://127.0.0.1:8766 todo delete tasks/0
//
// Values are JSON. A token (yjs_token=) is taken from the environment variable TINYSYNC_YJS_TOKEN.

import { inspect } from 'node:util'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import { Structure, newDoc } from './tinysync.js'

const [url, name, command, path = '', json] = process.argv.slice(2)
if (name === undefined) {
  console.error('usage: node node.js URL NAME [set PATH JSON | push PATH JSON | delete PATH]')
  process.exit(2)
}
const token = process.env.TINYSYNC_YJS_TOKEN
const doc = newDoc()
const provider = new WebsocketProvider(url, encodeURIComponent(name), doc, {
  WebSocketPolyfill: WebSocket,
  disableBc: true, // else two scripts on one machine talk past the Peer
  params: token ? { token } : {},
})
const structure = new Structure(doc)
const steps = path.split('/').filter(Boolean).map((step) => (/^-?\d+$/.test(step) ? Number(step) : step))
const show = () => console.log(inspect(structure.value, { depth: null }))

provider.on('connection-error', ({ message }) => console.error(`cannot connect to ${url}: ${message}`))
provider.once('sync', () => {
  if (command === undefined) {
    show()
    structure.on(show)
    return
  }
  if (command === 'delete') structure.delete(steps)
  else if (command === 'set' || command === 'push') structure[command](steps, JSON.parse(json))
  else throw new Error(`there is no command ${command}`)
  show()
  // What was sent before the closing handshake has arrived when that is over.
  provider.ws.addEventListener('close', () => process.exit(0))
  provider.disconnect()
})
