import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.postgresql.util.DriverInfo;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * pgjdbc: extended protocol, named statements from their fifth use, batches. One case per run, named
 * on the command line; the cases themselves are in Cases.
 */
public final class Client {
    private Client() {}

    interface Case {
        void run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        Map<String, Case> cases = new HashMap<>();
        cases.put("connect", Cases::connect);
        cases.put("transactions", Cases::transactions);
        cases.put("prepared", Cases::prepared);
        cases.put("pipeline", Cases::batches);
        cases.put("copy", Sessions::copy);
        cases.put("notify", Sessions::listen);
        cases.put("cancel", Sessions::cancel);
        cases.put("large", Sessions::large);
        cases.put("cursors", Sessions::cursors);
        cases.put("version", () -> System.out.println(DriverInfo.DRIVER_VERSION));
        String name = args[0];
        if (cases.containsKey(name)) {
            cases.get(name).run();
        }
        Path script = Path.of(System.getenv("CLIENTS_SCRIPTS"), name + ".txt");
        if (Files.exists(script)) {
            script(script);
        } else if (!cases.containsKey(name)) {
            System.out.println("not in this client");
        }
    }

    /** Sends the statements that all clients have in common. */
    private static void script(Path path) throws Exception {
        Map<Character, Connection> open = new HashMap<>();
        for (String line : Files.readAllLines(path)) {
            char letter = line.charAt(0);
            String sql = line.substring(2);
            if (sql.equals("closes")) {
                open.remove(letter).close();
                continue;
            }
            if (!open.containsKey(letter)) {
                open.put(letter, open());
            }
            show(line, ask(open.get(letter), sql));
        }
    }

    /** Opens a connection by the PG… variables; options are name, value, name, value. */
    static Connection open(String... options) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("password", System.getenv("PGPASSWORD"));
        p.setProperty("sslmode", "verify-full");
        p.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        String database = System.getenv("PGDATABASE");
        for (int i = 0; i < options.length; i += 2) {
            if (options[i].equals("database")) {
                database = options[i + 1];
            } else {
                p.setProperty(options[i], options[i + 1]);
            }
        }
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + database;
        return DriverManager.getConnection(url, p);
    }

    static void show(String label, Object... values) {
        StringBuilder text = new StringBuilder();
        for (Object v : values) {
            text.append(' ').append(v);
        }
        String line = text.toString().replace("\n", "\\n");
        if (line.length() > 400) {
            line = " " + line.length() + " characters, " + line.hashCode();
        }
        System.out.println(label + ":" + line);
    }

    /** Runs the statement and returns everything that came back. */
    static String ask(Connection db, String sql) {
        try (Statement s = db.createStatement()) {
            return read(s, s.execute(sql));
        } catch (SQLException e) {
            return say(e);
        }
    }

    static String read(Statement s, boolean rows) throws SQLException {
        StringBuilder text = new StringBuilder();
        for (; rows || s.getUpdateCount() != -1; rows = s.getMoreResults()) {
            if (!rows) {
                text.append(s.getUpdateCount()).append("; ");
                continue;
            }
            ResultSet r = s.getResultSet();
            int columns = r.getMetaData().getColumnCount();
            while (r.next()) {
                for (int i = 1; i <= columns; i++) {
                    text.append(r.getString(i)).append(' ');
                }
            }
            text.append("; ");
        }
        for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) {
            if (!w.getSQLState().equals("00000")) {
                text.append(w.getSQLState()).append(' ').append(w.getMessage());
            }
        }
        return text.toString();
    }

    static String say(SQLException e) {
        ServerErrorMessage m = e instanceof PSQLException ? ((PSQLException) e).getServerErrorMessage() : null;
        if (m == null) {
            return e.getSQLState();
        }
        return String.join(" | ", m.getSQLState(), m.getMessage(), m.getDetail(), m.getHint(), m.getWhere(),
                m.getConstraint(), m.getTable(), Integer.toString(m.getPosition()));
    }
}
