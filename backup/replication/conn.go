package replication

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Conn is a connection to a server's walsender, for one goroutine.
type Conn struct {
	pg     *pgconn.PgConn
	read   *bufio.Reader // what pg reads from
	server Server
}

// readAhead is how much is read from the server at once: small pieces of WAL come by the
// thousand in a second.
const readAhead = 64 << 10

// Server is what a walsender says of its server.
type Server struct {
	System   string // system identifier: the same for a primary and its standbys
	Timeline uint32
	Written  LSN // where its WAL ends
	Major    int // version
	Segment  LSN // size of WAL segments, in bytes
}

// Oldest is the oldest major version whose protocol is spoken here: BASE_BACKUP and
// READ_REPLICATION_SLOT have had their form since then.
const Oldest = 15

// Connect logs in to a member of a cluster as a role that may replicate, and asks what it
// is. If the URL names several hosts, the first that answers; with
// target_session_attrs=primary the first that is no standby. The attribute's other values
// are good for nothing here.
func Connect(ctx context.Context, url string) (*Conn, error) {
	if url == "" { // which would be whatever server the environment means
		return nil, errors.New("there is no replication_url")
	}
	config, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read replication_url: %w", withoutURL(err))
	}
	config.RuntimeParams["replication"] = "true"
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "howdah"
	}
	if validate := config.ValidateConnect; validate != nil {
		config.ValidateConnect = func(ctx context.Context, pg *pgconn.PgConn) error { return primary(pg, validate(ctx, pg)) }
	}
	c := &Conn{}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend { // of each host that is tried
		c.read = bufio.NewReaderSize(r, readAhead)
		return pgproto3.NewFrontend(c.read, w)
	}
	if c.pg, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("log in for replication: %w", err)
	}
	if err := c.identify(ctx); err != nil {
		c.Close(ctx)
		return nil, err
	}
	return c, nil
}

// primary answers for target_session_attrs=primary, which is asked by a query that a
// walsender does not answer. What the server has said at the beginning tells it too.
func primary(pg *pgconn.PgConn, err error) error {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) { // it was no query, or the connection is broken
		return err
	}
	if pg.ParameterStatus("in_hot_standby") != "off" {
		return errors.New("it is a standby")
	}
	return nil
}

// withoutURL keeps a password out of what is told of a URL that cannot be read.
func withoutURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("it is no PostgreSQL URL")
	}
	return err
}

// Close ends the connection.
func (c *Conn) Close(ctx context.Context) {
	_ = c.pg.Close(ctx)
}

// Server returns what the server was when the connection was made.
func (c *Conn) Server() Server { return c.server }

func (c *Conn) identify(ctx context.Context) error {
	row, err := c.row(ctx, "IDENTIFY_SYSTEM", 3)
	if err != nil {
		return err
	}
	s := &c.server
	s.System = row[0]
	if s.Timeline, err = timeline(row[1]); err != nil {
		return err
	}
	if s.Written, err = ParseLSN(row[2]); err != nil {
		return err
	}
	version, err := c.show(ctx, "server_version_num")
	if err != nil {
		return err
	}
	if s.Major = version / 10000; s.Major < Oldest {
		return fmt.Errorf("PostgreSQL %d is not backed up: %d is the oldest version that is", s.Major, Oldest)
	}
	// SHOW would give it with a unit; a walsender without a database has no other query.
	text, err := c.row(ctx, "SHOW wal_segment_size", 1)
	if err != nil {
		return err
	}
	if s.Segment, err = parseSize(text[0]); err != nil {
		return fmt.Errorf("wal_segment_size: %w", err)
	}
	return nil
}

// parseSize reads a size as SHOW writes it: 16MB.
func parseSize(s string) (LSN, error) {
	for unit, factor := range map[string]uint64{"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			n, err := strconv.ParseUint(digits, 10, 20)
			if err == nil && n > 0 {
				return LSN(n * factor), nil
			}
		}
	}
	return 0, fmt.Errorf("%.40q is no size", s)
}

func (c *Conn) show(ctx context.Context, setting string) (int, error) {
	row, err := c.row(ctx, "SHOW "+setting, 1)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(row[0])
	if err != nil {
		return 0, fmt.Errorf("%s is %.40q, no number", setting, row[0])
	}
	return n, nil
}

func timeline(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%.40q is no timeline", s)
	}
	return uint32(n), nil
}

// row runs a command that has one row, of so many columns or more. NULL is "".
func (c *Conn) row(ctx context.Context, command string, columns int) ([]string, error) {
	word, _, _ := strings.Cut(command, " ")
	results, err := c.pg.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", word, err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) < columns {
		return nil, fmt.Errorf("%s: the answer has another form", word)
	}
	var row []string
	for _, column := range results[0].Rows[0] {
		row = append(row, string(column))
	}
	return row, nil
}

// History returns the history file of a timeline: from which timelines it comes, and where
// it left them.
func (c *Conn) History(ctx context.Context, timeline uint32) ([]byte, error) {
	row, err := c.row(ctx, fmt.Sprintf("TIMELINE_HISTORY %d", timeline), 2)
	if err != nil {
		return nil, err
	}
	if row[0] != HistoryName(timeline) {
		return nil, fmt.Errorf("TIMELINE_HISTORY: the file of timeline %d is called %.60q", timeline, row[0])
	}
	return []byte(row[1]), nil
}

// receive returns the next message. After an error that was not the context's end of time
// the connection is of no use.
func (c *Conn) receive(ctx context.Context) (pgproto3.BackendMessage, error) {
	for {
		m, err := c.pg.ReceiveMessage(ctx)
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		case *pgproto3.ErrorResponse:
			return nil, pgconn.ErrorResponseToPgError(m)
		default:
			return m, nil
		}
	}
}

// send starts a command whose answer is read with receive.
func (c *Conn) send(command string) error {
	c.pg.Frontend().SendQuery(&pgproto3.Query{String: command})
	return c.pg.Frontend().Flush()
}

// quote makes s a name in a replication command.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// literal makes s a string in a replication command.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
