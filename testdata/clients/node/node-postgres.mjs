// node-postgres (pg): simple protocol without parameters, extended with them,
// named statements, cursors and COPY streams by its sister packages.

import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline as flow } from 'node:stream/promises'
import pg from 'pg'
import copyStreams from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { digest, run, say, show, soon, until } from './cases.mjs'

const verified = { ca: readFileSync(process.env.PGSSLROOTCERT) }

async function connect(more) {
  const db = new pg.Client({ ssl: verified, ...more })
  db.on('error', (e) => show('lost', e.code))
  await db.connect()
  await db.query('set client_min_messages = warning')
  db.on('notice', (n) => show('notice', n.code, n.message))
  return db
}

async function ask(db, sql, values) {
  try {
    const result = await db.query(sql, values)
    return [result].flat().map((r) => `${r.command} ${r.rowCount} ${JSON.stringify(r.rows)}`).join('; ')
  } catch (e) {
    return say(e)
  }
}

async function tell(db, ...statements) {
  for (const sql of statements) show(sql, await ask(db, sql))
}

async function connecting() {
  for (const more of [
    {}, { enableChannelBinding: true }, { password: 'wrong' }, { database: 'clients_nowhere' }, { user: 'nobody' }, { ssl: false },
    { ssl: true }, { application_name: 'mine', options: '-c work_mem=7MB' }, { options: '-c work_mem=much' },
    { statement_timeout: 50 }, { client_encoding: 'latin1' },
  ]) {
    const label = Object.entries(more).flat().join(' ').slice(0, 60)
    try {
      const db = await connect(more)
      show(label, await ask(db, "select current_user, current_setting('application_name'), current_setting('work_mem'), current_setting('statement_timeout')"))
      await db.end()
    } catch (e) {
      show(label, /^[0-9A-Z]{5}$/.test(e.code) ? e.code : 'refused')
    }
  }
  const pool = new pg.Pool({ ssl: verified, max: 5 })
  const answers = await Promise.all([...Array(100).keys()].map((n) => pool.query('select $1::int as n', [n])))
  show('pool', answers.reduce((sum, a) => sum + a.rows[0].n, 0))
  await pool.end()
}

async function prepared() {
  const [db, other] = [await connect(), await connect()]
  await tell(db, 'drop table if exists prep', 'create table prep (n int)')
  for (let n = 0; n < 8; n++) {
    show('execute', await ask(db, { name: 'p', text: 'select $1::int + 1 as m', values: [n] }))
    show("other's", await ask(other, { name: 'p', text: "select 'other' as s" }))
  }
  show('another text', await ask(db, { name: 'p', text: 'select 2' }))
  show('syntax error', await ask(db, { name: 'bad', text: 'selekt' }))
  show('again', await ask(db, { name: 'bad', text: 'selekt' }))
  const all = { name: 'all', text: 'select * from prep' }
  show('select *', await ask(db, all))
  show('change', await ask(other, 'alter table prep add column s text'))
  show('changed under it', await ask(db, all), await ask(db, all))
  let sum = 0
  for (let n = 0; n < 600; n++) {
    const k = n % 300
    sum += (await db.query({ name: `many${k}`, text: `select $1::int + ${k} as m`, values: [n] })).rows[0].m
  }
  show('300 statements', sum)
  await tell(db, 'deallocate all')
  show('gone', await ask(db, { name: 'p', text: 'select $1::int + 1 as m', values: [1] }))
  const again = await connect()
  show('after reconnect', await ask(again, { name: 'p', text: 'select $1::int + 1 as m', values: [41] }))
}

// Queries are queued by the client, and sent one after the other; with
// pipelining, where this version has it, together.
async function pipeline() {
  for (const options of [{}, { pipelineMode: true }]) {
    const db = await connect(options)
    await tell(db, 'drop table if exists pipe', 'create table pipe (n int primary key)')
    const together = await Promise.all([
      ask(db, 'insert into pipe values (1)'), ask(db, 'insert into pipe values ($1)', [1]), ask(db, 'insert into pipe values ($1)', [2]),
      ask(db, 'begin'), ask(db, 'insert into pipe values (3)'), ask(db, 'select 1/0'), ask(db, 'select 1'), ask(db, 'rollback'), ask(db, 'select n from pipe'),
    ])
    show('together', together.join('\n'))
    const many = await Promise.all([...Array(2000).keys()].map((n) => ask(db, 'select 1000 / ($1::int % 100) as n', [n])))
    show('2000', digest(many.join()))
    await tell(db, 'select 1 as a; select 2 as b', 'insert into pipe values (5); select 1/0', 'select n from pipe order by n',
      'begin; select 1/0; commit', 'select 1', 'rollback', 'begin; insert into pipe values (6); commit; select 1/0', 'select n from pipe order by n',
      "set work_mem = '9MB'; select 1/0", 'show work_mem', '')
  }
}

async function copy() {
  const db = await connect()
  await tell(db, 'drop table if exists copied', 'create table copied (n int primary key, s text)')
  const rows = [...Array(20000).keys()].map((n) => `${n}\trow ${n}\n`)
  async function* givingUp() {
    yield '30000\tx\n'
    throw new Error('no more')
  }
  for (const [label, source] of Object.entries({ in: rows, duplicate: ['1\tx\n'], bad: ['30000\tx\n', 'nonsense\tx\n'], 'given up': givingUp() })) {
    try {
      const stream = db.query(copyStreams.from('copy copied from stdin'))
      await flow(Readable.from(source), stream)
      show(label, stream.rowCount)
    } catch (e) {
      show(label, say(e))
    }
    show('rows', await ask(db, 'select count(*) from copied'))
  }
  for (const sql of ['copy (select * from copied order by n) to stdout', 'copy (select 1/(500-n) from copied order by n) to stdout']) {
    const parts = []
    try {
      for await (const part of db.query(copyStreams.to(sql))) parts.push(part)
      show(sql, digest(Buffer.concat(parts)))
    } catch (e) {
      show(sql, say(e))
    }
  }
  await tell(db, "select 'alive'")
}

async function notify() {
  const [db, other] = [await connect(), await connect()]
  const heard = []
  db.on('notification', (n) => heard.push(`${n.channel} ${n.payload} own=${n.processId === db.processID}`))
  const expect = async (label, count) => {
    if (count === 0) await soon(300)
    await until(() => heard.length >= count)
    show(label, heard.splice(0))
  }
  await tell(db, 'listen ch', 'listen "Ch 2"')
  await tell(other, "notify ch, 'hello'", `notify "Ch 2"`)
  await expect('from other', 2)
  await tell(db, "select pg_notify('ch', 'own')")
  await expect('own', 1)
  await tell(db, 'begin', "notify ch, 'in a transaction'", 'select 1')
  await expect('not yet', 0)
  await tell(db, 'commit')
  await expect('committed', 1)
  await tell(other, 'begin', "notify ch, 'never'", 'rollback')
  await expect('rolled back', 0)
  for (let n = 0; n < 300; n++) await other.query('select pg_notify($1, $2)', ['ch', String(n)])
  await expect('300', 300)
  await tell(db, 'unlisten *')
  await tell(other, "notify ch, 'not heard'")
  await expect('nothing', 0)
}

async function cancel() {
  const [db, other] = [await connect(), await connect()]
  for (let n = 0; n < 5; n++) {
    const query = new pg.Query('select pg_sleep(30)')
    const ended = new Promise((done) => {
      query.on('error', (e) => done(e.code))
      query.on('end', () => done('not cancelled'))
    })
    db.query(query)
    await soon(100)
    const canceller = new pg.Client({ ssl: verified })
    canceller.cancel(db, query)
    show('cancelled', await ended)
    show('alive', await ask(db, 'select $1::int as n', [n]))
  }
  show('timeout', await ask(await connect({ statement_timeout: 50 }), 'select pg_sleep(30)'))
  show('other', await ask(other, 'select 1'))
}

async function large() {
  const db = await connect()
  const text = 'x'.repeat(10 << 20)
  show('text', digest((await db.query('select $1::text as v', [text])).rows[0].v))
  show('bytea', digest((await db.query('select $1::bytea as v', [Buffer.from(text)])).rows[0].v))
  show('simple', digest((await db.query(`select '${text}' as v`)).rows[0].v))
  const { rows } = await db.query("select n, repeat('y', 1000) as y from generate_series(1, 20000) n")
  show('rows', digest(JSON.stringify(rows)))
}

async function cursors() {
  const db = await connect()
  const cursor = db.query(new Cursor('select n from generate_series(1, $1::int) n', [1000]))
  show('portal', await cursor.read(3), (await cursor.read(100)).length)
  await cursor.close()
  show('closed', await ask(db, 'select 1'))
  let sum = 0
  for await (const row of db.query(new QueryStream('select n from generate_series(1, 5000) n', [], { batchSize: 7 }))) sum += row.n
  show('stream', sum)
  try {
    for await (const row of db.query(new QueryStream('select 1/(50-n) from generate_series(1, 5000) n', [], { batchSize: 7 }))) sum += row.n
  } catch (e) {
    show('stream fails', e.code)
  }
  show('alive', await ask(db, 'select 1'))
}

await run({ connect: connecting, prepared, pipeline, copy, notify, cancel, large, cursors }, connect, ask, (db) => db.end())
