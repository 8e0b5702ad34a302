package base

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"

	"howdah/backup/store"
)

// fileSet is a sum of files, with their names, sizes and contents, in any order: two that
// are the same are of the same files. So millions are compared in no memory.
type fileSet struct {
	files int
	sum   [sha256.Size]byte
}

// add adds a file, which must not be in it already.
func (s *fileSet) add(path string, size int64, sum []byte) {
	one := sha256.New()
	one.Write(binary.BigEndian.AppendUint64(nil, uint64(size)))
	one.Write(sum)
	one.Write([]byte(path))
	s.files++
	for i, b := range one.Sum(nil) {
		s.sum[i] ^= b
	}
}

// fileAlgorithm names the sums that PostgreSQL makes of files unless told otherwise. They
// cost a base backup much less time than SHA-256, which the objects have that files are in.
const fileAlgorithm = "CRC32C"

// newFileSum makes a file's sum as PostgreSQL's manifest has it: the lowest byte first, as
// it is in the memory of the processors that PostgreSQL is run on.
func newFileSum() hash.Hash { return fileSum{crc32.New(crc32.MakeTable(crc32.Castagnoli))} }

type fileSum struct{ hash.Hash32 }

func (s fileSum) Sum(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, s.Sum32()) }

// serverFile is a file as PostgreSQL's backup_manifest has it.
type serverFile struct {
	Path         string `json:"Path"`
	EncodedPath  string `json:"Encoded-Path"` // in hex, where Path cannot have it
	Size         int64  `json:"Size"`
	LastModified string `json:"Last-Modified"`
	Algorithm    string `json:"Checksum-Algorithm"`
	Checksum     string `json:"Checksum"` // hex
}

// serverManifest reads PostgreSQL's backup_manifest, which comes in pieces: JSON, in which
// each file has a line of its own (PostgreSQL manual, chapter "Backup Manifest Format").
type serverManifest struct {
	// line, if not nil, is told each line but that of the manifest's own sum, with the end of
	// the line; f is nil where it is of no file.
	line func(text []byte, f *serverFile) error

	files fileSet
	part  []byte // of a line
	sum   hash.Hash
	ended bool
}

// longestLine is more than a line has bytes.
const longestLine = 1 << 20

var (
	sumLine  = []byte(`"Manifest-Checksum": "`)
	pathKeys = [][]byte{[]byte(`{ "Path": `), []byte(`{ "Encoded-Path": `)}
)

// Write reads the next piece.
func (s *serverManifest) Write(p []byte) (int, error) {
	s.part = append(s.part, p...)
	rest := s.part
	for {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			break
		}
		if err := s.read(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	if len(rest) > longestLine {
		return 0, fmt.Errorf("%w: PostgreSQL's manifest has a line of more than %d bytes", store.ErrDamaged, longestLine)
	}
	s.part = append(s.part[:0], rest...)
	return len(p), nil
}

func (s *serverManifest) read(text []byte) error {
	if s.sum == nil {
		s.sum = sha256.New()
	}
	if want, is := bytes.CutPrefix(text, sumLine); is && !s.ended {
		if s.ended = true; string(want) != hex.EncodeToString(s.sum.Sum(nil))+"\"}\n" {
			return fmt.Errorf("%w: PostgreSQL's manifest is not what its own sum is of", store.ErrDamaged)
		}
		return nil
	}
	if s.ended {
		return fmt.Errorf("%w: PostgreSQL's manifest goes on behind its end", store.ErrDamaged)
	}
	s.sum.Write(text)
	f, err := parseFile(text)
	if err != nil {
		return err
	}
	if f != nil {
		sum, err := hex.DecodeString(f.Checksum)
		if err != nil || f.Algorithm != fileAlgorithm {
			return fmt.Errorf("%w: PostgreSQL's manifest has no CRC-32C of file %q", store.ErrDamaged, f.Path)
		}
		s.files.add(f.Path, f.Size, sum)
	}
	if s.line == nil {
		return nil
	}
	return s.line(text, f)
}

// parseFile reads a file's line, and is nil for others.
func parseFile(text []byte) (*serverFile, error) {
	if !bytes.HasPrefix(text, pathKeys[0]) && !bytes.HasPrefix(text, pathKeys[1]) {
		return nil, nil
	}
	f := &serverFile{}
	if err := json.Unmarshal(withoutComma(text), f); err != nil {
		return nil, fmt.Errorf("%w: PostgreSQL's manifest has a line of another form: %w", store.ErrDamaged, err)
	}
	if f.EncodedPath != "" {
		name, err := hex.DecodeString(f.EncodedPath)
		if err != nil {
			return nil, fmt.Errorf("%w: PostgreSQL's manifest has a name that cannot be read: %w", store.ErrDamaged, err)
		}
		f.Path = string(name)
	}
	return f, nil
}

func withoutComma(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte(","))
}

// close is to be called behind the last piece.
func (s *serverManifest) close() error {
	if !s.ended || len(s.part) > 0 {
		return fmt.Errorf("%w: PostgreSQL's manifest breaks off", store.ErrDamaged)
	}
	return nil
}
