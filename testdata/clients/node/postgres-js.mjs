// postgres.js: pipelines what it can, prepares everything, listens on a
// connection of its own.

import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline as flow } from 'node:stream/promises'
import postgres from 'postgres'
import { digest, run, say, show, soon, until } from './cases.mjs'

const verified = { ca: readFileSync(process.env.PGSSLROOTCERT) }

async function connect(more) {
  const sql = postgres({ ssl: verified, max: 1, max_lifetime: null, onnotice: (n) => n.severity === 'WARNING' && show('notice', n.code, n.message), ...more })
  await sql.unsafe('select 1')
  return sql
}

async function ask(sql, text, values) {
  try {
    const got = await sql.unsafe(text, values)
    const one = (r) => `${r.command ?? ''} ${r.count ?? ''} ${JSON.stringify([...r])}`
    return Array.isArray(got[0]) && got.command === undefined ? got.map(one).join('; ') : one(got)
  } catch (e) {
    return say(e)
  }
}

async function tell(sql, ...statements) {
  for (const s of statements) show(s, await ask(sql, s))
}

async function connecting() {
  for (const more of [
    {}, { password: 'wrong' }, { database: 'clients_nowhere' }, { user: 'nobody' }, { ssl: false }, { ssl: true },
    { connection: { application_name: 'mine', work_mem: '7MB' } }, { connection: { work_mem: 'much' } }, { target_session_attrs: 'read-write' },
  ]) {
    const label = JSON.stringify(more).slice(0, 60)
    try {
      const sql = await connect(more)
      show(label, await ask(sql, "select current_user, current_setting('application_name'), current_setting('work_mem')"))
      show('parameters', ['server_version', 'client_encoding', 'TimeZone', 'DateStyle'].map((n) => sql.parameters[n]))
      await sql.end()
    } catch (e) {
      show(label, /^[0-9A-Z]{5}$/.test(e.code) ? e.code : 'refused')
    }
  }
  const pool = await connect({ max: 6 })
  const answers = await Promise.all([...Array(300).keys()].map((n) => pool`select ${n}::int as n`))
  show('pool', answers.reduce((sum, a) => sum + a[0].n, 0))
}

async function transactions() {
  const sql = await connect({ max: 2 })
  await tell(sql, 'drop table if exists tx', 'create table tx (n int)')
  await sql.begin(async (tx) => {
    await tx`insert into tx values (${1})`
    await tx.savepoint(async (sp) => {
      await sp`insert into tx values (2)`
      await sp`select 1/0`
    }).catch((e) => show('savepoint', e.code))
    await tx`insert into tx values (3)`
  })
  await sql.begin('isolation level serializable read only', (tx) => [tx`show transaction_isolation`, tx`select n from tx`]).then((r) => show('pipelined', r))
  await sql.begin((tx) => [tx`insert into tx values (4)`, tx`select 1/0`, tx`insert into tx values (5)`]).catch((e) => show('rolled back', e.code))
  await sql.begin(async () => 0).then((r) => show('empty', r))
  await tell(sql, 'select n from tx order by n')
  await sql.end()
}

async function prepared() {
  const [sql, other] = [await connect(), await connect()]
  await tell(sql, 'drop table if exists prep', 'create table prep (n int)')
  for (let n = 0; n < 8; n++) show('execute', await sql`select ${n}::int + 1 as m`, await other`select ${n}::int + 1 as m`)
  show('described', (await sql`select ${1}::int as a, 'x' as b`.describe()).columns.map((c) => [c.name, c.type]))
  const everything = () => sql`select * from prep`.catch(say)
  show('select *', await everything())
  show('change', await ask(other, 'alter table prep add column s text'))
  show('changed under it', await everything(), await everything())
  let sum = 0
  for (let n = 0; n < 600; n++) sum += (await sql.unsafe(`select $1::int + ${n % 300} as m`, [n], { prepare: true }))[0].m
  show('300 statements', sum)
  await tell(sql, 'deallocate all')
  show('gone', await sql`select ${7}::int + 1 as m`.catch(say), await sql`select ${8}::int + 1 as m`.catch(say))
  await sql.end()
  const again = await connect()
  show('after reconnect', await again`select ${41}::int + 1 as m`)
  const bare = await connect({ prepare: false })
  show('unnamed', await Promise.all([1, 2, 3].map((n) => bare`select ${n}::int + 1 as m`)))
}

async function pipeline() {
  const sql = await connect()
  await tell(sql, 'drop table if exists pipe', 'create table pipe (n int primary key)')
  const settled = await Promise.allSettled([
    sql`insert into pipe values (1)`, sql`insert into pipe values (${1})`, sql`insert into pipe values (${2})`, sql`selekt`, sql`select n from pipe`,
    sql.unsafe('select 1/0'), sql`select 1/(${1}::int - 1)`, sql`select 'last' as s`,
  ])
  show('together', settled.map((s) => (s.reason ? say(s.reason) : s.value)))
  const many = await Promise.allSettled([...Array(2000).keys()].map((n) => sql`select 1000 / (${n}::int % 100) as n`))
  show('2000', digest(JSON.stringify(many.map((m) => m.reason?.code ?? m.value[0].n))))
  await tell(sql, 'select 1 as a; select 2 as b', 'insert into pipe values (5); select 1/0', 'select n from pipe order by n',
    'begin; select 1/0; commit', 'select 1', 'rollback', "set work_mem = '9MB'; select 1/0", 'show work_mem')
}

async function copy() {
  const sql = await connect()
  await tell(sql, 'drop table if exists copied', 'create table copied (n int primary key, s text)')
  const rows = [...Array(20000).keys()].map((n) => `${n}\trow ${n}\n`)
  // What the server refuses ends no stream of this version: only what works.
  await flow(Readable.from(rows), await sql`copy copied from stdin`.writable())
  show('rows', await ask(sql, 'select count(*) from copied'))
  const parts = []
  for await (const part of await sql`copy (select * from copied order by n) to stdout`.readable()) parts.push(part)
  show('out', digest(Buffer.concat(parts)))
  await tell(sql, "select 'alive'")
}

async function notify() {
  const sql = await connect({ max: 2 })
  const heard = []
  const { unlisten } = await sql.listen('one', (payload) => heard.push(`one ${payload}`))
  await sql.listen('two', (payload) => heard.push(`two ${payload}`))
  const expect = async (label, count) => {
    if (count === 0) await soon(300)
    await until(() => heard.length >= count)
    show(label, heard.splice(0))
  }
  await sql.notify('one', 'hello')
  await expect('from other', 1)
  await sql.begin(async (tx) => {
    await tx.notify('one', 'a')
    await tx`select pg_notify('two', 'b')`
    await expect('not yet', 0)
  })
  await expect('committed', 2)
  await sql.begin(async (tx) => {
    await tx.notify('one', 'never')
    throw new Error('changed my mind')
  }).catch((e) => show('rolled back', e.message))
  await Promise.all([...Array(300).keys()].map((n) => sql.notify('two', String(n))))
  await until(() => heard.length >= 300)
  show('300', heard.splice(0).sort())
  await unlisten()
  await sql.notify('one', 'not heard')
  await sql.notify('two', 'heard')
  await expect('one left', 1)
}

async function cancel() {
  const sql = await connect()
  for (let n = 0; n < 5; n++) {
    const query = sql`select pg_sleep(30)`
    const ended = query.catch((e) => e.code)
    await soon(150)
    query.cancel()
    show('cancelled', await ended)
    show('alive', await sql`select ${n}::int as n`)
  }
  await tell(sql, 'set statement_timeout = 50', 'select pg_sleep(30)', 'reset statement_timeout')
}

async function large() {
  const sql = await connect()
  const text = 'x'.repeat(10 << 20)
  show('text', digest((await sql`select ${text}::text as v`)[0].v))
  show('bytea', digest((await sql`select ${Buffer.from(text)}::bytea as v`)[0].v))
  show('simple', digest((await sql.unsafe(`select '${text}' as v`))[0].v))
  show('rows', digest(JSON.stringify(await sql`select n, repeat('y', 1000) as y from generate_series(1, 20000) n`)))
  let bytes = 0
  await sql`select repeat('y', 1000) as y from generate_series(1, 20000) n`.forEach((row) => (bytes += row.y.length))
  show('row by row', bytes)
}

async function cursors() {
  const sql = await connect()
  let sum = 0
  await sql`select n from generate_series(1, 1000) n`.cursor(7, (rows) => rows.forEach((r) => (sum += r.n)))
  show('sum', sum)
  for await (const [row] of sql`select n from generate_series(1, 1000) n`.cursor()) if (row.n === 5) break
  show('left early', await ask(sql, 'select 1'))
  await sql`select 1/(50-n) from generate_series(1, 1000) n`.cursor(7, () => {}).catch((e) => show('fails', e.code))
  show('alive', await ask(sql, 'select 1'))
}

await run({ connect: connecting, transactions, prepared, pipeline, copy, notify, cancel, large, cursors }, connect, ask, (sql) => sql.end())
