package catalog

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// exported is a line of the export. The record's text is not touched: it is what was
// hashed.
type exported struct {
	Record   json.RawMessage `json:"record"`
	Previous string          `json:"previous"` // hash of the line before, in hexadecimal
	Hash     string          `json:"hash"`
	Broken   bool            `json:"broken,omitempty"`
}

// Export writes the line as JSON, on one line.
func (l *AuditLine) Export(w io.Writer) error {
	broken := ""
	if l.Broken {
		broken = `,"broken":true`
	}
	_, err := fmt.Fprintf(w, `{"record":%s,"previous":"%x","hash":"%x"%s}`+"\n", l.Text, l.Previous, l.Hash, broken)
	return err
}

// ErrBroken is of an export whose lines are not what was written, in the order in which
// it was.
var ErrBroken = errors.New("catalog: the audit log is broken")

// Verified is an export that holds together: whoever keeps its last hash can prove later
// that the log still begins with it.
type Verified struct {
	First    int64  `json:"first"`    // number of the first line, 0 for no lines
	Previous string `json:"previous"` // hash of the line before that, "" for none
	Last     int64  `json:"last"`
	Hash     string `json:"hash"` // of the last line
}

// maxExported bounds a line.
const maxExported = 64 << 20

// Verify checks an export with nothing but itself, and calls each for every line. Of an
// export that begins with line 1, nothing is missing at its beginning; what is missing at
// its end only a hash that was kept can tell.
func Verify(r io.Reader, each func(seq int64, hash string)) (*Verified, error) {
	var v Verified
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxExported)
	for n := 1; lines.Scan(); n++ {
		l, err := imported(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%w: line %d of the export: %w", ErrBroken, n, err)
		}
		previous := l.Previous // of the first line it is not known
		if n > 1 {
			previous, _ = hex.DecodeString(v.Hash) // it was made here
		} else {
			v.First, v.Previous = l.Seq, hex.EncodeToString(l.Previous)
		}
		switch {
		case n == 1 && l.Seq == 1 && len(l.Previous) > 0:
			return nil, fmt.Errorf("%w: something was before record 1", ErrBroken)
		case n > 1 && l.Seq != v.Last+1:
			return nil, fmt.Errorf("%w: record %d is behind record %d", ErrBroken, l.Seq, v.Last)
		case !l.follows(previous):
			return nil, fmt.Errorf("%w: record %d is not what was written", ErrBroken, l.Seq)
		}
		v.Last, v.Hash = l.Seq, hex.EncodeToString(l.Hash)
		each(v.Last, v.Hash)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	return &v, nil
}

// imported reads what Export wrote.
func imported(text []byte) (*AuditLine, error) {
	var e exported
	var record struct{ Seq int64 }
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(e.Record, &record); err != nil {
		return nil, err
	}
	l := AuditLine{Seq: record.Seq, Text: e.Record}
	var err error
	if l.Previous, err = hex.DecodeString(e.Previous); err == nil {
		l.Hash, err = hex.DecodeString(e.Hash)
	}
	return &l, err
}
