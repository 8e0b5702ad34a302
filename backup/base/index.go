package base

import (
	"encoding/hex"
	"encoding/json"
)

// indexed is a line of the list of a base backup's files: which object has it, and where.
type indexed struct {
	Path   string `json:"path"` // in the data directory
	Object int    `json:"object"`
	Offset int64  `json:"offset"` // of the file's bytes in the object's plaintext
	Size   int64  `json:"size"`
	CRC32C string `json:"crc32c"` // as in PostgreSQL's manifest
}

// indexLine returns the line of a file.
func indexLine(path string, object int, offset, size int64, sum []byte) ([]byte, error) {
	text, err := json.Marshal(indexed{path, object, offset, size, hex.EncodeToString(sum)})
	return append(text, '\n'), err
}
