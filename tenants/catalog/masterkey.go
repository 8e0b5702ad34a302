package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"filippo.io/age"

	"howdah/wire"
)

// MasterKey seals the keys with which users log in to servers, so that the catalog's
// database, its backups and its cache alone let nobody in. Its nodes have it, in a file.
// It may be used by any number of goroutines.
//
// A key that is sealed is text: which identity opens it, a colon, and base64 of a file of
// age (age-encryption.org/v1) with the client key and the server key, 32 bytes each.
type MasterKey struct {
	identities []identity // the first seals

	mu     sync.Mutex
	opened map[string]wire.ScramKeys
}

type identity struct {
	*age.X25519Identity
	name string // tells identities apart and says nothing about them
}

// ErrNoIdentity is of a key that was sealed with an identity that the node does not have.
var ErrNoIdentity = errors.New("catalog: no identity of the master key opens it")

// maxMasterKeyFile is far above what identities take, in bytes.
const maxMasterKeyFile = 1 << 16

// maxOpened bounds the keys that are kept open, since to open one takes a millisecond.
const maxOpened = 1 << 17

// ReadMasterKey reads an identity file of age, which nobody but its owner may read. With
// several identities the first one seals, and all open.
func ReadMasterKey(path string) (*MasterKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read master key: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, ErrReadable
	case info.Size() > maxMasterKeyFile:
		return nil, fmt.Errorf("read master key: the file is longer than %d bytes", maxMasterKeyFile)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	return ParseMasterKey(string(text))
}

// ErrReadable is of a file with a master key that others than its owner may use.
var ErrReadable = errors.New("catalog: others than its owner may use the file")

// ParseMasterKey reads the text of an identity file. Its errors do not repeat it.
func ParseMasterKey(text string) (*MasterKey, error) {
	k := &MasterKey{opened: make(map[string]wire.ScramKeys)}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := age.ParseX25519Identity(line)
		if err != nil {
			return nil, fmt.Errorf("read master key: line %d is no X25519 identity of age (AGE-SECRET-KEY-1…)", i+1)
		}
		name := sha256.Sum256([]byte(id.Recipient().String()))
		k.identities = append(k.identities, identity{id, hex.EncodeToString(name[:4])})
	}
	if len(k.identities) == 0 {
		return nil, errors.New("read master key: there is no identity in it")
	}
	return k, nil
}

// NewMasterKeyText makes a master key: the text of its file.
func NewMasterKeyText() (string, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("make master key: %w", err)
	}
	return "# Howdah's master key: every node needs it, and without it managed tenants cannot be served.\n" + id.String() + "\n", nil
}

// String hides the key from logs and errors.
func (k *MasterKey) String() string { return "(master key)" }

// GoString is String.
func (k *MasterKey) GoString() string { return k.String() }

// Is reports whether both are of the same identities in the same order. Nil is none.
func (k *MasterKey) Is(other *MasterKey) bool {
	if k == nil || other == nil || len(k.identities) != len(other.identities) {
		return k == other
	}
	for i := range k.identities {
		if k.identities[i].String() != other.identities[i].String() {
			return false
		}
	}
	return true
}

// Seal seals a user's keys with the first identity.
func (k *MasterKey) Seal(keys wire.ScramKeys) (string, error) {
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, k.identities[0].Recipient())
	if err == nil {
		_, err = w.Write(append(bytes.Clone(keys.ClientKey), keys.ServerKey...))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", fmt.Errorf("seal a server key: %w", err)
	}
	return k.identities[0].name + ":" + base64.StdEncoding.EncodeToString(sealed.Bytes()), nil
}

// identity returns the one that opens sealed, nil where the node does not have it.
func (k *MasterKey) identity(sealed string) *identity {
	if k == nil {
		return nil
	}
	name, _, _ := strings.Cut(sealed, ":")
	for i := range k.identities {
		if k.identities[i].name == name {
			return &k.identities[i]
		}
	}
	return nil
}

// Opens reports whether an identity is there that sealed was sealed with. A nil master
// key opens nothing.
func (k *MasterKey) Opens(sealed string) bool { return k.identity(sealed) != nil }

// Seals reports whether sealed was sealed with the identity that seals now.
func (k *MasterKey) Seals(sealed string) bool {
	return strings.HasPrefix(sealed, k.identities[0].name+":")
}

// Open opens what Seal has sealed. The keys must not be changed.
func (k *MasterKey) Open(sealed string) (wire.ScramKeys, error) {
	id := k.identity(sealed)
	if id == nil {
		return wire.ScramKeys{}, ErrNoIdentity
	}
	k.mu.Lock()
	keys, ok := k.opened[sealed]
	k.mu.Unlock()
	if ok {
		return keys, nil
	}
	keys, err := id.open(sealed)
	if err != nil {
		return wire.ScramKeys{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for other := range k.opened {
		if len(k.opened) < maxOpened {
			break
		}
		delete(k.opened, other)
	}
	k.opened[sealed] = keys
	return keys, nil
}

func (i *identity) open(sealed string) (wire.ScramKeys, error) {
	_, text, _ := strings.Cut(sealed, ":")
	file, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return wire.ScramKeys{}, errors.New("open a server key: it is not base64")
	}
	r, err := age.Decrypt(bytes.NewReader(file), i.X25519Identity)
	if err != nil {
		return wire.ScramKeys{}, fmt.Errorf("open a server key: %w", err)
	}
	both, err := io.ReadAll(io.LimitReader(r, 3*sha256.Size))
	if err != nil {
		return wire.ScramKeys{}, fmt.Errorf("open a server key: %w", err)
	}
	if len(both) != 2*sha256.Size {
		return wire.ScramKeys{}, fmt.Errorf("open a server key: it has %d bytes", len(both))
	}
	return wire.ScramKeys{ClientKey: both[:sha256.Size:sha256.Size], ServerKey: both[sha256.Size:]}, nil
}
