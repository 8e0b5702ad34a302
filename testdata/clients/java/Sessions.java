import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** COPY, notifications, cancelling, large values and cursors. */
final class Sessions {
    private Sessions() {}

    static void copy() throws Exception {
        Connection db = Client.open();
        Client.ask(db, "drop table if exists copied");
        Client.ask(db, "create table copied (n int primary key, s text)");
        CopyManager copy = db.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder rows = new StringBuilder();
        for (int n = 0; n < 20000; n++) {
            rows.append(n).append("\trow ").append(n).append('\n');
        }
        for (String text : new String[] {rows.toString(), "1\tx\n", "30000\tx\nnonsense\tx\n", ""}) {
            try {
                Client.show("in", copy.copyIn("copy copied from stdin", new StringReader(text)));
            } catch (SQLException e) {
                Client.show("in", Client.say(e));
            }
        }
        CopyIn in = copy.copyIn("copy copied from stdin");
        in.writeToCopy("40000\tx\n".getBytes(), 0, 8);
        in.cancelCopy();
        Client.show("given up", Client.ask(db, "select count(*) from copied"));
        for (String sql : new String[] {
            "copy (select * from copied order by n) to stdout", "copy (select * from copied order by n) to stdout (format binary)",
            "copy (select 1/(500-n) from copied order by n) to stdout",
        }) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            try {
                Client.show(sql, copy.copyOut(sql, out), java.util.Arrays.hashCode(out.toByteArray()));
            } catch (SQLException e) {
                Client.show(sql, Client.say(e));
            }
        }
        Client.show("alive", Client.ask(db, "select 1"));
    }

    private static String heard(Connection db, int milliseconds) throws SQLException {
        PGConnection pg = db.unwrap(PGConnection.class);
        PGNotification[] all = pg.getNotifications(milliseconds);
        StringBuilder text = new StringBuilder();
        for (int i = 0; all != null && i < all.length; i++) {
            text.append(all[i].getName()).append(' ').append(all[i].getParameter())
                    .append(" own=").append(all[i].getPID() == pg.getBackendPID()).append("; ");
        }
        return text.toString();
    }

    static void listen() throws Exception {
        Connection db = Client.open();
        Connection other = Client.open();
        Client.show("listen", Client.ask(db, "listen ch"));
        Client.ask(other, "notify ch, 'hello'");
        Client.show("from other", heard(db, 5000));
        Client.ask(db, "notify ch, 'own'");
        Client.show("own", heard(db, 5000));
        db.setAutoCommit(false);
        Client.ask(db, "notify ch, 'in a transaction'");
        Client.show("not yet", heard(db, 200));
        db.commit();
        Client.show("committed", heard(db, 5000));
        db.setAutoCommit(true);
        for (int i = 0; i < 300; i++) {
            Client.ask(other, "notify ch, '" + i + "'");
        }
        StringBuilder text = new StringBuilder();
        for (int tries = 0; tries < 300 && !text.toString().contains(" 299 "); tries++) {
            text.append(heard(db, 1000));
        }
        Client.show("300", text);
        Client.ask(db, "unlisten ch");
        Client.ask(other, "notify ch, 'not heard'");
        Client.show("unlistened", heard(db, 300));
    }

    static void cancel() throws Exception {
        Connection db = Client.open();
        for (int i = 0; i < 5; i++) {
            Statement s = db.createStatement();
            Thread t = new Thread(() -> {
                try {
                    Thread.sleep(150);
                    s.cancel();
                } catch (Exception e) {
                    Client.show("cancel", e);
                }
            });
            t.start();
            try {
                s.execute("select pg_sleep(30)");
            } catch (SQLException e) {
                Client.show("cancelled", e.getSQLState());
            }
            t.join();
            Client.show("alive", Client.ask(db, "select " + i));
        }
        try (Statement s = db.createStatement()) {
            s.setQueryTimeout(1);
            s.execute("select pg_sleep(30)");
        } catch (SQLException e) {
            Client.show("query timeout", e.getSQLState());
        }
        Client.show("alive", Client.ask(db, "select 'alive'"));
    }

    static void large() throws Exception {
        Connection db = Client.open();
        String text = "x".repeat(10 << 20);
        byte[] data = text.getBytes();
        for (int i = 0; i < 7; i++) {
            try (PreparedStatement p = db.prepareStatement("select ?::text, ?::bytea")) {
                p.setString(1, text);
                p.setBytes(2, data);
                ResultSet r = p.executeQuery();
                r.next();
                Client.show("there and back", r.getString(1).equals(text), java.util.Arrays.equals(r.getBytes(2), data));
            }
        }
        Client.show("simple", Client.ask(db, "select '" + text + "'"));
        Client.show("rows", Client.ask(db, "select n, repeat('y', 1000) from generate_series(1, 20000) n"));
        db.setAutoCommit(false);
        LargeObjectManager objects = db.unwrap(PGConnection.class).getLargeObjectAPI();
        long oid = objects.createLO();
        LargeObject object = objects.open(oid);
        object.write(data);
        object.seek(0);
        Client.show("large object", java.util.Arrays.equals(object.read(data.length), data));
        object.close();
        objects.delete(oid);
        db.commit();
    }

    static void cursors() throws Exception {
        Connection db = Client.open();
        for (boolean autoCommit : new boolean[] {false, true}) {
            db.setAutoCommit(autoCommit);
            try (Statement s = db.createStatement()) {
                s.setFetchSize(7);
                long sum = 0;
                ResultSet r = s.executeQuery("select n from generate_series(1, 1000) n");
                while (r.next()) {
                    sum += r.getLong(1);
                    if (r.getRow() == 100) {
                        Client.show("between", Client.ask(db, "select 1"));
                    }
                }
                Client.show("portal", sum);
                r = s.executeQuery("select 1/(50-n) from generate_series(1, 1000) n");
                while (r.next()) {
                    sum++;
                }
            } catch (SQLException e) {
                Client.show("fails", Client.say(e));
            }
            if (!autoCommit) {
                db.rollback();
            }
        }
        db.setAutoCommit(false);
        try (Statement s = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            Client.ask(db, "create temp table updated as select n from generate_series(1, 5) n");
            Client.ask(db, "alter table updated add primary key (n)");
            ResultSet r = s.executeQuery("select n from updated order by n");
            r.absolute(3);
            r.updateInt(1, 30);
            r.updateRow();
            Client.show("updated", Client.ask(db, "select n from updated order by n"));
        }
        db.commit();
        try (Statement s = db.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, ResultSet.HOLD_CURSORS_OVER_COMMIT)) {
            s.setFetchSize(7);
            ResultSet r = s.executeQuery("select n from generate_series(1, 1000) n");
            r.next();
            db.commit();
            int n = 1;
            while (r.next()) {
                n++;
            }
            Client.show("held over a commit", n);
        } catch (SQLException e) {
            Client.show("held over a commit", Client.say(e));
        }
        db.close();
    }
}
