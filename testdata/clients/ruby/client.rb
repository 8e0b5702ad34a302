# Ruby's pg: libpq underneath. One case per run, named on the command line; one
# line per thing looked at, the same whatever the server's process numbers are.

require "digest"
require "pg"

$stdout.sync = true

def show(label, *values)
  text = values.map { |v| v.is_a?(String) ? v : v.inspect }.join(" ").gsub("\n", "\\n")
  text = "#{text.length} characters, #{Digest::MD5.hexdigest(text)}" if text.length > 300
  puts "#{label}: #{text}"
end

def connect(more = {})
  db = PG.connect(more)
  db.exec("set client_min_messages = warning")
  db.set_notice_receiver { |r| show("notice", r.error_field(PG::PG_DIAG_SQLSTATE), r.error_field(PG::PG_DIAG_MESSAGE_PRIMARY)) }
  db
end

FIELDS = [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_MESSAGE_PRIMARY, PG::PG_DIAG_MESSAGE_DETAIL, PG::PG_DIAG_MESSAGE_HINT,
          PG::PG_DIAG_STATEMENT_POSITION, PG::PG_DIAG_CONTEXT, PG::PG_DIAG_CONSTRAINT_NAME]

def say(error)
  result = error.respond_to?(:result) ? error.result : nil
  result ? FIELDS.map { |f| result.error_field(f) }.compact.join(" | ") : error.class.name
end

# ask uses the extended protocol where there are values, else the simple one.
def ask(db, sql, values = nil)
  result = values ? db.exec_params(sql, values) : db.exec(sql)
  [result.cmd_status, result.values, db.transaction_status].inspect
rescue PG::Error => e
  "#{say(e)} #{db.transaction_status}"
end

def tell(db, *statements)
  statements.each { |sql| show(sql, ask(db, sql)) }
end

def script(path)
  open = {}
  File.foreach(path, chomp: true) do |line|
    letter, sql = line.split(" ", 2)
    if sql == "closes"
      open.delete(letter).close
      next
    end
    open[letter] ||= connect
    show(line, ask(open[letter], sql))
    show("#{line} by extended", ask(open[letter], sql, [])) if sql.start_with?("show", "select current_setting", "fetch")
  end
end

def connecting
  db = connect
  show("tls", db.ssl_in_use?, db.protocol_version, db.server_version)
  %w[client_encoding TimeZone DateStyle is_superuser session_authorization application_name].each { |n| show(n, db.parameter_status(n)) }
  [{ channel_binding: "require" }, { password: "wrong" }, { dbname: "clients_nowhere" }, { user: "nobody" }, { sslmode: "disable" },
   { sslrootcert: "/etc/ssl/certs/ca-certificates.crt" }, { application_name: "mine", options: "-c work_mem=7MB" },
   { options: "-c work_mem=much" }, { client_encoding: "latin1" }].each do |more|
    show(more, ask(connect(more), "select current_setting('application_name'), current_setting('work_mem'), current_setting('client_encoding')"))
  rescue PG::Error => e
    show(more, ["password authentication failed", "does not exist", "certificate verify failed", "invalid value"].find { |w| e.message.include?(w) } || "refused")
  end
  show("ping", PG::Connection.ping == PG::PQPING_OK)
  show("encoding", db.internal_encoding.to_s, ask(db, "select $1::text", ["é"]))
end

def transactions
  db = connect
  tell(db, "drop table if exists tx", "create table tx (n int)")
  db.transaction { |t| t.exec_params("insert into tx values ($1)", [1]) }
  begin
    db.transaction do |t|
      t.exec("insert into tx values (2)")
      raise KeyError
    end
  rescue KeyError
    show("rolled back", db.transaction_status)
  end
  begin
    db.transaction { |t| t.exec("select 1/0") }
  rescue PG::Error => e
    show("rolled back", e.class, db.transaction_status)
  end
  db.transaction {}
  tell(db, "select n from tx")
end

def prepared
  db, other = connect, connect
  tell(db, "drop table if exists prep", "create table prep (n int)")
  db.prepare("p", "select $1::int + 1")
  other.prepare("p", "select 'other'")
  8.times { |n| show("execute", db.exec_prepared("p", [n]).values, other.exec_prepared("p").values) }
  described = db.describe_prepared("p")
  show("described", described.paramtype(0), described.ftype(0))
  try = ->(label, &block) { show(label, (block.call.values rescue say($!)), db.transaction_status) }
  try.call("same name") { db.prepare("p", "select 2") }
  try.call("syntax error") { db.prepare("bad", "selekt") }
  try.call("never made") { db.exec_prepared("bad") }
  300.times { |n| db.prepare("many#{n}", "select $1::int + #{n}") }
  show("300 statements", 299.downto(0).sum { |n| db.exec_prepared("many#{n}", [n]).getvalue(0, 0).to_i })
  db.prepare("all", "select * from prep")
  try.call("select *") { db.exec_prepared("all") }
  tell(other, "alter table prep add column s text")
  try.call("changed under it") { db.exec_prepared("all") }
  tell(db, "deallocate p")
  try.call("gone") { db.exec_prepared("p", [1]) }
  db.reset
  try.call("after reconnect") { db.exec_prepared("many1", [1]) }
  try.call("made anew") { db.prepare("p", "select 5") && db.exec_prepared("p") }
end

def pipeline
  db = connect
  tell(db, "drop table if exists pipe", "create table pipe (n int primary key)")
  batches = [["insert into pipe values (1)", "insert into pipe values (1)", "select 1"], ["begin", "insert into pipe values (2)", "commit", "select 1/0"],
             ["begin", "commit", "select n from pipe"], ["begin", "select 1/0"], ["select 1"], ["rollback"], ["set work_mem = '9MB'", "select 1/0"], ["show work_mem"]]
  db.enter_pipeline_mode
  batches.each do |statements|
    statements.each { |sql| db.send_query_params(sql, []) }
    db.pipeline_sync
    (statements.length * 2 + 1).times do
      result = db.get_result
      show(statements.inspect, result ? [result.res_status(result.result_status), result.cmd_status, result.error_field(PG::PG_DIAG_SQLSTATE)] : "end")
    end
  end
  2000.times { |n| db.send_query_params("select 1000 / ($1::int - 1500)", [n.to_s]); db.pipeline_sync if n % 100 == 99 }
  counts = Hash.new(0)
  until counts["PGRES_PIPELINE_SYNC"] == 20
    result = db.get_result
    counts[result.res_status(result.result_status)] += 1 if result
  end
  show("2000", counts.sort)
  db.exit_pipeline_mode
  tell(db, "select 1; select 2", "insert into pipe values (5); select 1/0", "select n from pipe order by n", "begin; select 1; commit", "")
end

def copy
  db = connect
  tell(db, "drop table if exists copied", "create table copied (n int primary key, s text)")
  rows = Array.new(20000) { |n| "#{n}\trow #{n}\n" }
  [rows, ["1\tx\n"], ["30000\tx\n", "nonsense\tx\n"], ["40000\tx\n", nil]].each do |all|
    result = db.copy_data("copy copied from stdin") { all.each { |row| row ? db.put_copy_data(row) : raise(KeyError) } }
    show("in", result.cmd_status)
  rescue PG::Error, KeyError => e
    show("in", say(e), db.transaction_status)
  end
  ["copy (select * from copied order by n) to stdout", "copy (select 1/(500-n) from copied order by n) to stdout"].each do |sql|
    out = +""
    result = db.copy_data(sql) { while (row = db.get_copy_data) do out << row end }
    show(sql, result.cmd_status, Digest::MD5.hexdigest(out))
  rescue PG::Error => e
    show(sql, say(e), db.transaction_status)
  end
  tell(db, "select count(*) from copied")
end

def heard(db, seconds = 5)
  got = "nothing"
  db.wait_for_notify(seconds) { |channel, pid, payload| got = [channel, payload, pid == db.backend_pid] }
  got
end

def notify
  db, other = connect, connect
  tell(db, "listen ch")
  tell(other, "notify ch, 'hello'")
  show("from other", heard(db))
  tell(db, "notify ch, 'own'")
  show("own", heard(db))
  tell(db, "begin", "notify ch, 'a'", "notify ch, 'b'", "commit")
  show("committed", heard(db), heard(db))
  tell(other, "begin", "notify ch, 'later'")
  show("not yet", heard(db, 0.3))
  tell(other, "commit")
  show("later", heard(db))
  300.times { |n| other.exec_params("select pg_notify('ch', $1)", [n]) }
  show("300", Array.new(300) { heard(db) })
  tell(db, "unlisten ch")
  tell(other, "notify ch, 'not heard'")
  show("unlistened", heard(db, 0.3))
end

def cancel
  db = connect
  5.times do |n|
    db.send_query("select pg_sleep(30)")
    sleep 0.1
    show("cancel", db.cancel)
    begin
      show("answer", db.get_last_result.values)
    rescue PG::Error => e
      show("cancelled", say(e))
    end
    show("alive", ask(db, "select $1::int", [n]))
  end
  tell(db, "begin", "set local statement_timeout = 50", "select pg_sleep(30)", "select 1", "rollback", "show statement_timeout")
end

def large
  db = connect
  text = "x" * (10 << 20)
  show("text", Digest::MD5.hexdigest(db.exec_params("select $1::text", [text]).getvalue(0, 0)))
  bytea = db.exec_params("select $1::bytea", [{ value: text, format: 1, type: 17 }], 1)
  show("bytea", Digest::MD5.hexdigest(bytea.getvalue(0, 0)))
  show("rows", ask(db, "select n, repeat('y', 1000) from generate_series(1, 20000) n"))
  db.send_query("select n from generate_series(1, 20000) n")
  db.set_single_row_mode
  show("row by row", db.get_result.stream_each.sum { |r| r["n"].to_i })
  db.get_last_result
  db.transaction do
    oid = db.lo_creat
    fd = db.lo_open(oid, PG::INV_READ | PG::INV_WRITE)
    show("large object", db.lo_write(fd, text[0, 1 << 20]), db.lo_lseek(fd, 0, PG::SEEK_SET), db.lo_read(fd, 1 << 20).length, db.lo_unlink(oid))
  end
end

cases = { "connect" => :connecting, "transactions" => :transactions, "prepared" => :prepared, "pipeline" => :pipeline, "copy" => :copy,
          "notify" => :notify, "cancel" => :cancel, "large" => :large }
name = ARGV.fetch(0)
path = File.join(ENV.fetch("CLIENTS_SCRIPTS"), "#{name}.txt")
puts "not in this client" unless cases[name] || File.exist?(path)
send(cases[name]) if cases[name]
script(path) if File.exist?(path)
