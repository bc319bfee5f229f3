// A browser that does what it is told: one JSON object a line, [id, method, ...arguments]; answers with [id, result].
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const [folder, executablePath, profile] = process.argv.slice(2)
const { chromium } = createRequire(`${folder}/package.json`)('playwright-core')
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  chromiumSandbox: false, // of a process that may be root
  args: [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP *.test 127.0.0.1',
  ],
})
context.setDefaultTimeout(20_000)
const pages = []
const complaints = []

const methods = {
  async open(url) {
    const page = await context.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    pages.push(page)
    await page.goto(url)
    return pages.length - 1
  },
  text: (page, selector) => pages[page].locator(selector).innerText(),
  values: (page, selector) => pages[page].locator(selector).evaluateAll((found) => found.map((one) => one.value)),
  fill: (page, selector, text) => pages[page].locator(selector).fill(text),
  press: (page, selector, key) => pages[page].locator(selector).press(key),
  click: (page, selector) => pages[page].locator(selector).click(),
  check: (page, selector, wanted) => pages[page].locator(selector).setChecked(wanted),
  run: (page, code) => pages[page].evaluate(code),
  screenshot: (page, path) => void pages[page].screenshot({ path }),
  complaints: () => complaints,
}

for await (const line of createInterface({ input: process.stdin })) {
  const [id, method, ...args] = JSON.parse(line)
  try {
    process.stdout.write(`${JSON.stringify([id, (await methods[method](...args)) ?? null])}\n`)
  } catch (error) {
    process.stdout.write(`${JSON.stringify([id, null, String(error)])}\n`)
  }
}
await context.close()
process.exit(0)
