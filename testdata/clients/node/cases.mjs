// What the JavaScript programs share: how a case is chosen, how a result is
// printed (one line per thing looked at, the same in every run), and the
// statements that all clients have in common.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

export function show(label, ...values) {
  let text = values.map((v) => (typeof v === 'string' ? v : JSON.stringify(v))).join(' ')
  if (text.length > 300) text = `${text.length} characters, ${digest(text)}`
  console.log(`${label}: ${text.replaceAll('\n', '\\n')}`)
}

export function digest(text) {
  return createHash('md5').update(text).digest('hex')
}

export const soon = (ms) => new Promise((done) => setTimeout(done, ms))

/** until waits for condition, for some seconds at most. */
export async function until(condition) {
  for (let i = 0; i < 500 && !condition(); i++) await soon(10)
}

/** say makes of an error what does not change from run to run. */
export function say(e) {
  const fields = [e.code, e.message, e.detail, e.hint, e.position, e.where, e.table_name ?? e.table, e.constraint_name ?? e.constraint]
  return fields.filter((f) => f !== undefined).join(' | ')
}

export async function script(name, connect, ask, close) {
  const open = {}
  for (const line of readFileSync(`${process.env.CLIENTS_SCRIPTS}/${name}.txt`, 'utf8').trimEnd().split('\n')) {
    const [letter, sql] = [line[0], line.slice(2)]
    if (sql === 'closes') {
      await close(open[letter])
      delete open[letter]
      continue
    }
    open[letter] ??= await connect()
    show(line, await ask(open[letter], sql))
  }
}

/** run runs the case of the command line, and the common script of that name. */
export async function run(cases, connect, ask, close) {
  const name = process.argv[2]
  const scripts = ['transactions', 'errors', 'cursors', 'settings', 'temporary', 'locks']
  if (!cases[name] && !scripts.includes(name)) console.log('not in this client')
  if (cases[name]) await cases[name]()
  if (scripts.includes(name)) await script(name, connect, ask, close)
  process.exit(0)
}
