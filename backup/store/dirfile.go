package store

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"
)

// The file of an object has its bytes, so that ranges are where they are, then a
// JSON text with their number, a random version and the metadata, then a line that says how
// long that text is, and its CRC-32C. So metadata is there exactly when the object is, and a
// file that was cut short, grew or is none of ours is found out.

const (
	tailMark = "\nhowdah object 2 "
	tailLine = len(tailMark) + 8 + len(" ") + 8 + len("\n") // hexadecimal digits
	oldMark  = "\nhowdah object 1 "                         // of files of before, without the sum
	oldLine  = len(oldMark) + 8 + len("\n")
	maxTail  = 64 << 10 // of JSON; it escapes metadata to six times its size at most
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
	return fmt.Appendf(text, "%s%08x %08x\n", tailMark, len(text), crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
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
	line := make([]byte, min(stat.Size(), int64(tailLine)))
	if _, err := f.ReadAt(line, stat.Size()-int64(len(line))); err != nil {
		return Info{}, unlessCut(err)
	}
	n, sum, length, err := parseTailLine(string(line))
	if err != nil {
		return Info{}, err
	}
	end := stat.Size() - int64(length)
	if n > min(maxTail, end) {
		return Info{}, errTail
	}
	text := make([]byte, n)
	if _, err := f.ReadAt(text, end-n); err != nil {
		return Info{}, unlessCut(err)
	}
	if is := crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)); length == tailLine && is != sum {
		return Info{}, fmt.Errorf("%w: its metadata are not what was stored", ErrDamaged)
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

var errTail = fmt.Errorf("%w: the file does not end as an object does", ErrDamaged)

// parseTailLine reads the line at the end of what it is given: how long the text in front of
// it is, the sum of that, and how long the line is itself.
func parseTailLine(line string) (n int64, sum uint32, length int, err error) {
	if digits, ok := strings.CutPrefix(line, tailMark); ok && len(line) == tailLine {
		length, err := strconv.ParseUint(digits[:8], 16, 32)
		is, errSum := strconv.ParseUint(digits[9:17], 16, 32)
		if err != nil || errSum != nil || digits != fmt.Sprintf("%08x %08x\n", length, is) { // in capitals it is damaged too
			return 0, 0, 0, errTail
		}
		return int64(length), uint32(is), tailLine, nil
	}
	digits, ok := strings.CutPrefix(line[max(0, len(line)-oldLine):], oldMark)
	n, err = strconv.ParseInt(strings.TrimSuffix(digits, "\n"), 16, 64)
	if !ok || err != nil || n < 0 {
		return 0, 0, 0, errTail
	}
	return n, 0, oldLine, nil
}

// unlessCut names the error of a file that is shorter than it was just now.
func unlessCut(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: the file was cut", ErrDamaged)
	}
	return err
}
