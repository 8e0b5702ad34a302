package wal

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"

	"howdah/backup/store"
)

// inMemory is how large a segment may be that is put together in memory; larger ones are
// in a temporary file.
const inMemory = 64 << 20

// memories are those of spools that are closed, to be used again. What is in them is of no
// account: a spool is read up to its end.
var memories sync.Pool

// spool is where a segment is put together, and checked, before any of it is given away.
type spool struct {
	size int64 // of the segment
	end  int64 // what is behind is zeros

	memory []byte
	file   *os.File
}

func (s *spool) open() (err error) {
	if s.memory != nil || s.file != nil {
		return nil
	}
	if s.size <= inMemory {
		if m, _ := memories.Get().(*[]byte); m != nil && int64(cap(*m)) >= s.size {
			s.memory = (*m)[:s.size]
		} else {
			s.memory = make([]byte, s.size)
		}
		return nil
	}
	s.file, err = os.CreateTemp("", "howdah-wal-")
	if err == nil { // nothing is left of it, however this process ends
		err = os.Remove(s.file.Name())
	}
	if err == nil {
		err = s.file.Truncate(s.size)
	}
	return err
}

// writeAt writes behind what is there, or again what is there.
func (s *spool) writeAt(p []byte, at int64) error {
	if err := s.open(); err != nil {
		return err
	}
	if old := min(int64(len(p)), s.end-at); old > 0 {
		there := make([]byte, old)
		if _, err := s.readAt(there, at); err != nil {
			return err
		}
		if !bytes.Equal(there, p[:old]) {
			return fmt.Errorf("%w: it says something else of the same WAL than another part, from byte %d on", store.ErrDamaged, at)
		}
		p, at = p[old:], at+old
	}
	if len(p) == 0 {
		return nil
	}
	if s.memory != nil && at > s.end {
		clear(s.memory[s.end:at])
	}
	s.end = at + int64(len(p))
	if s.memory != nil {
		copy(s.memory[at:], p)
		return nil
	}
	_, err := s.file.WriteAt(p, at)
	return err
}

func (s *spool) readAt(p []byte, at int64) (int, error) {
	if s.memory != nil {
		return copy(p, s.memory[at:]), nil
	}
	return s.file.ReadAt(p, at)
}

// writeTo writes all of the segment, with zeros from a position on.
func (s *spool) writeTo(into io.Writer, until int64) error {
	until = min(until, s.end)
	for buffer, at := make([]byte, 256<<10), int64(0); at < s.size; {
		part := buffer[:min(int64(len(buffer)), s.size-at)]
		if _, err := s.readAt(part, at); err != nil {
			return err
		}
		if at+int64(len(part)) > until {
			clear(part[max(0, until-at):])
		}
		if _, err := into.Write(part); err != nil {
			return err
		}
		at += int64(len(part))
	}
	return nil
}

func (s *spool) close() {
	if s.memory != nil {
		m := s.memory
		s.memory = nil
		memories.Put(&m)
	}
	if s.file != nil {
		s.file.Close()
	}
}
