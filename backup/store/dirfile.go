package store

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// The file of an object has its bytes, so that ranges are where they are, then a
// JSON text with their number, a random version and the metadata, then a line that says how long
// that text is. So metadata is there exactly when the object is, and a file that
// was cut short, grew or is none of ours is found out.

const (
	tailMark = "\nhowdah object 1 "
	tailLine = len(tailMark) + 8 + len("\n") // with eight hexadecimal digits
	maxTail  = 64 << 10                      // of JSON; it escapes metadata to six times its size at most
)

type dirTail struct {
	Size    int64             `json:"size"`
	Version string            `json:"version"`
	Meta    map[string]string `json:"meta,omitempty"`
}

// tailOf returns what follows an object's bytes.
func tailOf(tail dirTail) []byte {
	text, err := json.Marshal(tail)
	if err != nil {
		panic(err) // a number and strings always can be
	}
	return fmt.Appendf(text, "%s%08x\n", tailMark, len(text))
}

// readTail describes the object in a file. It has no key.
func readTail(f *os.File) (Info, error) {
	stat, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	if stat.IsDir() {
		return Info{}, ErrNotFound
	}
	if !stat.Mode().IsRegular() {
		return Info{}, fmt.Errorf("%w: it is no file", ErrDamaged)
	}
	end := stat.Size() - int64(tailLine)
	line := make([]byte, tailLine)
	if end < 0 {
		return Info{}, fmt.Errorf("%w: the file has %d bytes", ErrDamaged, stat.Size())
	}
	if _, err := f.ReadAt(line, end); err != nil {
		return Info{}, unlessCut(err)
	}
	digits, ok := strings.CutPrefix(string(line), tailMark)
	n, err := strconv.ParseInt(strings.TrimSuffix(digits, "\n"), 16, 64)
	if !ok || err != nil || n < 0 || n > min(maxTail, end) {
		return Info{}, fmt.Errorf("%w: the file does not end as an object does", ErrDamaged)
	}
	text := make([]byte, n)
	if _, err := f.ReadAt(text, end-n); err != nil {
		return Info{}, unlessCut(err)
	}
	var tail dirTail
	if err := json.Unmarshal(text, &tail); err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if tail.Size != end-n {
		return Info{}, fmt.Errorf("%w: %d bytes are there of %d", ErrDamaged, end-n, tail.Size)
	}
	return Info{Size: tail.Size, Time: stat.ModTime(), Version: tail.Version, Meta: tail.Meta}, nil
}

// unlessCut names the error of a file that is shorter than it was just now.
func unlessCut(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: the file was cut", ErrDamaged)
	}
	return err
}
