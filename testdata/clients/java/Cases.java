import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Arrays;

/** Connecting, transactions, prepared statements and batches. */
final class Cases {
    private Cases() {}

    static void connect() throws Exception {
        String[][] all = {
            {}, {"password", "wrong"}, {"database", "clients_nowhere"}, {"user", "nobody"}, {"sslmode", "disable"},
            {"sslrootcert", "/etc/ssl/certs/ca-certificates.crt"}, {"channelBinding", "require"},
            {"ApplicationName", "mine", "options", "-c work_mem=7MB"}, {"options", "-c work_mem=much"},
            {"currentSchema", "pg_catalog"}, {"readOnly", "true"}, {"readOnly", "true", "readOnlyMode", "always"},
            {"targetServerType", "primary"}, {"targetServerType", "secondary"}, {"assumeMinServerVersion", "9.0"},
            {"preferQueryMode", "simple"}, {"preferQueryMode", "extendedForPrepared"}, {"binaryTransfer", "false"},
        };
        for (String[] options : all) {
            String label = String.join(" ", options);
            try (Connection db = Client.open(options)) {
                Client.show(label, db.getMetaData().getDatabaseProductVersion(), db.isReadOnly(), db.getSchema(), db.isValid(5),
                        Client.ask(db, "select current_user, current_setting('application_name'), current_setting('work_mem'), current_setting('extra_float_digits')"));
            } catch (SQLException e) {
                Client.show(label, e.getSQLState());
            }
        }
    }

    static void transactions() throws Exception {
        Connection db = Client.open();
        Client.ask(db, "drop table if exists tx");
        Client.ask(db, "create table tx (n int)");
        db.setAutoCommit(false);
        int[] levels = {Connection.TRANSACTION_SERIALIZABLE, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_READ_COMMITTED};
        for (int level : levels) {
            db.setTransactionIsolation(level);
            Client.show("isolation", Client.ask(db, "show transaction_isolation"), db.getTransactionIsolation());
            Client.show("insert", Client.ask(db, "insert into tx values (1)"));
            Savepoint s = db.setSavepoint();
            Client.show("fails", Client.ask(db, "select 1/0"));
            Client.show("in failed", Client.ask(db, "select 1"));
            db.rollback(s);
            Client.show("back", Client.ask(db, "select count(*) from tx"));
            db.commit();
            db.setReadOnly(true);
            Client.show("read only", Client.ask(db, "insert into tx values (2)"));
            db.rollback();
            db.setReadOnly(false);
        }
        Client.show("fails", Client.ask(db, "select 1/0"));
        try {
            db.commit();
            Client.show("commit of a failed one", "done");
        } catch (SQLException e) {
            Client.show("commit of a failed one", e.getSQLState());
        }
        db.commit();
        db.rollback();
        db.close();
        autosave();
    }

    private static void autosave() throws Exception {
        Connection db = Client.open("autosave", "always");
        db.setAutoCommit(false);
        Client.show("insert", Client.ask(db, "insert into tx values (7)"));
        Client.show("fails", Client.ask(db, "select 1/0"));
        Client.show("goes on", Client.ask(db, "select n from tx where n = 7"));
        db.commit();
        db.close();
    }

    static String execute(PreparedStatement p, Object... values) {
        try {
            for (int i = 0; i < values.length; i++) {
                p.setObject(i + 1, values[i]);
            }
            return Client.read(p, p.execute());
        } catch (SQLException e) {
            return Client.say(e);
        }
    }

    static void prepared() throws Exception {
        Connection db = Client.open();
        Connection other = Client.open("prepareThreshold", "1");
        Client.ask(db, "drop table if exists prep");
        Client.ask(db, "create table prep (n int)");
        PreparedStatement p = db.prepareStatement("select ?::int + 1");
        PreparedStatement q = other.prepareStatement("select ?::int + 2");
        for (int i = 0; i < 12; i++) {
            Client.show("execute", execute(p, i), execute(q, i));
        }
        Client.show("described", p.getMetaData().getColumnTypeName(1), p.getParameterMetaData().getParameterTypeName(1));
        long sum = 0;
        for (int i = 0; i < 600; i++) {
            try (PreparedStatement many = other.prepareStatement("select ?::int + " + i % 300)) {
                sum += Integer.parseInt(execute(many, i).split(" ")[0]);
            }
        }
        Client.show("300 statements", sum);
        PreparedStatement everything = other.prepareStatement("select * from prep");
        Client.show("select *", execute(everything), execute(everything));
        Client.show("change", Client.ask(db, "alter table prep add column s text"));
        Client.show("changed under it", execute(everything), execute(everything));
        other.setAutoCommit(false);
        Client.show("in a transaction", execute(everything));
        other.rollback();
        Client.ask(db, "alter table prep add column t text");
        Client.show("changed again", execute(everything));
        other.rollback();
        other.setAutoCommit(true);
        Client.show("deallocate all", Client.ask(other, "deallocate all"), execute(q, 1), execute(q, 1));
        Client.show("discard all", Client.ask(other, "discard all"), execute(q, 1), execute(q, 1));
        other.close();
        other = Client.open("prepareThreshold", "1");
        q = other.prepareStatement("select ?::int + 2");
        Client.show("after reconnect", execute(q, 1), execute(q, 2));
        Connection forced = Client.open("prepareThreshold", "-1");
        p = forced.prepareStatement("select ?::int + 3");
        Client.show("binary from the start", execute(p, 1), execute(p, 2));
    }

    private static void batch(Connection db, int... numbers) throws SQLException {
        try (PreparedStatement p = db.prepareStatement("insert into pipe values (?)")) {
            for (int n : numbers) {
                p.setInt(1, n);
                p.addBatch();
            }
            int[] counts = p.executeBatch();
            Client.show("batch", counts.length, Arrays.stream(counts).sum());
        } catch (BatchUpdateException e) {
            Client.show("batch", e.getSQLState(), Arrays.toString(e.getUpdateCounts()));
        }
    }

    static void batches() throws Exception {
        for (String rewrite : new String[] {"false", "true"}) {
            Connection db = Client.open("reWriteBatchedInserts", rewrite);
            Client.ask(db, "drop table if exists pipe");
            Client.ask(db, "create table pipe (n int primary key)");
            batch(db, 1, 2, 3);
            batch(db, 4, 1, 5);
            Client.show("rows", Client.ask(db, "select n from pipe order by n"));
            db.setAutoCommit(false);
            batch(db, 10, 11);
            batch(db, 12, 10);
            db.rollback();
            batch(db, java.util.stream.IntStream.range(100, 6000).toArray());
            db.commit();
            Client.show("rows", Client.ask(db, "select count(*), sum(n) from pipe"));
            db.setAutoCommit(true);
            try (Statement s = db.createStatement()) {
                for (String sql : new String[] {"insert into pipe values (7000)", "set work_mem = '9MB'", "select 1/0", "insert into pipe values (7001)"}) {
                    s.addBatch(sql);
                }
                s.executeBatch();
            } catch (BatchUpdateException e) {
                Client.show("statements", e.getSQLState(), Arrays.toString(e.getUpdateCounts()));
            }
            Client.show("after it", Client.ask(db, "show work_mem"), Client.ask(db, "select n from pipe where n >= 7000"));
            for (String sql : new String[] {
                "select 1; select 2", "insert into pipe values (8000); select 1/0", "select n from pipe where n >= 7000",
                "begin; select 1; commit", "begin; select 1/0; commit", "select 1", "rollback", "",
            }) {
                Client.show(sql, Client.ask(db, sql));
            }
            try (PreparedStatement p = db.prepareStatement("insert into pipe values (?)", Statement.RETURN_GENERATED_KEYS)) {
                for (int n = 9000; n < 9500; n++) {
                    p.setInt(1, n);
                    p.addBatch();
                }
                p.executeBatch();
                ResultSet keys = p.getGeneratedKeys();
                long sum = 0;
                while (keys.next()) {
                    sum += keys.getInt(1);
                }
                Client.show("generated keys", sum);
            }
        }
    }
}
