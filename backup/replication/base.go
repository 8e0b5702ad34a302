package replication

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// BaseOptions are those of a base backup.
type BaseOptions struct {
	Label   string
	Spread  bool // the checkpoint takes its time; else it is made at once
	MaxRate int  // kB a second, 32 to 1048576; 0 is as fast as it goes
	// Incremental has only what has changed since the backup be sent whose manifest was
	// uploaded; PostgreSQL 17 and later.
	Incremental bool
}

func (o *BaseOptions) command() string {
	options := []string{
		"LABEL " + literal(o.Label), "PROGRESS", "WAIT false", "TABLESPACE_MAP", "MANIFEST 'yes'", "MANIFEST_CHECKSUMS 'CRC32C'",
	}
	checkpoint := "fast"
	if o.Spread {
		checkpoint = "spread"
	}
	options = append(options, "CHECKPOINT "+literal(checkpoint))
	if o.MaxRate > 0 {
		options = append(options, fmt.Sprintf("MAX_RATE %d", o.MaxRate))
	}
	if o.Incremental {
		options = append(options, "INCREMENTAL")
	}
	return "BASE_BACKUP (" + strings.Join(options, ", ") + ")"
}

// Base is a base backup that is being received.
type Base struct {
	Start       Position
	Tablespaces []Tablespace
	Stop        Position // known when Next has returned nil

	c *Conn
}

// Position is where on which timeline.
type Position struct {
	LSN      LSN
	Timeline uint32
}

// Tablespace is one of those that have an archive. The data directory has OID 0, and no
// location.
type Tablespace struct {
	OID      uint32
	Location string
	Size     int64 // bytes, as the server guesses
}

// Part is one of what a base backup comes in: the beginning of an archive or of the
// manifest, data of it, or how far the server is.
type Part struct {
	Kind PartKind
	// Archive and Location are of an archive's beginning: the file's name that it would
	// have (base.tar, 16400.tar), and the tablespace's folder, "" for the data directory.
	Archive, Location string
	Data              []byte // valid until the next Next
	Done              int64  // bytes that the server has read
}

// PartKind is what a Part is.
type PartKind byte

// The kinds of parts, by their letters in the protocol.
const (
	PartArchive  PartKind = 'n'
	PartManifest PartKind = 'm'
	PartData     PartKind = 'd'
	PartProgress PartKind = 'p'
)

// UploadManifest sends PostgreSQL's own manifest of a base backup, for an incremental one;
// PostgreSQL 17 and later.
func (c *Conn) UploadManifest(ctx context.Context, manifest io.Reader) error {
	if err := c.send("UPLOAD_MANIFEST"); err != nil {
		return err
	}
	m, err := c.receive(ctx)
	if err != nil {
		return fmt.Errorf("UPLOAD_MANIFEST: %w", err)
	}
	if _, ok := m.(*pgproto3.CopyInResponse); !ok {
		return fmt.Errorf("UPLOAD_MANIFEST: unexpected %T", m)
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := manifest.Read(buffer)
		if n > 0 {
			c.pg.Frontend().Send(&pgproto3.CopyData{Data: buffer[:n]})
			if err := c.pg.Frontend().Flush(); err != nil {
				return fmt.Errorf("UPLOAD_MANIFEST: %w", err)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read the manifest to be uploaded: %w", err)
		}
	}
	c.pg.Frontend().Send(&pgproto3.CopyDone{})
	if err := c.pg.Frontend().Flush(); err != nil {
		return fmt.Errorf("UPLOAD_MANIFEST: %w", err)
	}
	for {
		m, err := c.receive(ctx)
		if err != nil {
			return fmt.Errorf("UPLOAD_MANIFEST: %w", err)
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			return nil
		}
	}
}

// BaseBackup begins a base backup.
func (c *Conn) BaseBackup(ctx context.Context, o BaseOptions) (*Base, error) {
	if err := c.send(o.command()); err != nil {
		return nil, err
	}
	b := &Base{c: c}
	err := b.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("BASE_BACKUP: %w", err)
	}
	return b, nil
}

// begin reads the two results in front of the data: where it starts, and what there is.
func (b *Base) begin(ctx context.Context) error {
	results := 0
	for {
		m, err := b.c.receive(ctx)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.RowDescription:
			results++
		case *pgproto3.DataRow:
			if results == 1 {
				b.Start, err = position(m.Values)
			} else {
				err = b.addTablespace(m.Values)
			}
			if err != nil {
				return err
			}
		case *pgproto3.CommandComplete:
		case *pgproto3.CopyOutResponse:
			if b.Start.Timeline == 0 {
				return errors.New("it does not say where it starts")
			}
			return nil
		default:
			return fmt.Errorf("unexpected %T", m)
		}
	}
}

func position(row [][]byte) (p Position, err error) {
	if len(row) != 2 {
		return p, errors.New("a position has another form")
	}
	if p.LSN, err = ParseLSN(string(row[0])); err != nil {
		return p, err
	}
	p.Timeline, err = timeline(string(row[1]))
	return p, err
}

func (b *Base) addTablespace(row [][]byte) error {
	if len(row) != 3 {
		return errors.New("a tablespace has another form")
	}
	t := Tablespace{Location: string(row[1])}
	if row[0] != nil {
		if _, err := fmt.Sscan(string(row[0]), &t.OID); err != nil {
			return fmt.Errorf("a tablespace's OID is %.40q", row[0])
		}
	}
	if row[2] != nil {
		var kilobytes int64
		if _, err := fmt.Sscan(string(row[2]), &kilobytes); err != nil {
			return fmt.Errorf("a tablespace's size is %.40q", row[2])
		}
		t.Size = kilobytes << 10
	}
	b.Tablespaces = append(b.Tablespaces, t)
	return nil
}

// Next returns the next part; nil, once, when all has come and the server says that it is
// good. Not before then may the backup be taken for one: what is wrong with a page that
// was sent is told at the very end.
func (b *Base) Next(ctx context.Context) (*Part, error) {
	p, err := b.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("BASE_BACKUP: %w", err)
	}
	return p, nil
}

func (b *Base) next(ctx context.Context) (*Part, error) {
	for {
		m, err := b.c.receive(ctx)
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.CopyData:
			return parsePart(m.Data)
		case *pgproto3.DataRow:
			if b.Stop, err = position(m.Values); err != nil {
				return nil, err
			}
		case *pgproto3.ReadyForQuery:
			if b.Stop.Timeline == 0 {
				return nil, errors.New("it does not say where it stops")
			}
			return nil, nil
		case *pgproto3.CopyDone, *pgproto3.RowDescription, *pgproto3.CommandComplete:
		default:
			return nil, fmt.Errorf("unexpected %T", m)
		}
	}
}

func parsePart(b []byte) (*Part, error) {
	if len(b) > 0 {
		p := &Part{Kind: PartKind(b[0])}
		switch rest := b[1:]; p.Kind {
		case PartArchive:
			texts := bytes.Split(rest, []byte{0})
			if len(texts) == 3 && len(texts[0]) > 0 && len(texts[2]) == 0 {
				p.Archive, p.Location = string(texts[0]), string(texts[1])
				return p, nil
			}
		case PartManifest:
			if len(rest) == 0 {
				return p, nil
			}
		case PartData:
			p.Data = rest
			return p, nil
		case PartProgress:
			if len(rest) == 8 {
				p.Done = int64(binary.BigEndian.Uint64(rest))
				return p, nil
			}
		}
	}
	return nil, fmt.Errorf("a message of %d bytes, that begins with %.4q, has another form", len(b), b)
}
