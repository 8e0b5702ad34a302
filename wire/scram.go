package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrAuthentication reports a peer that did not prove to know the secret.
var ErrAuthentication = errors.New("wire: authentication failed")

// Names of the SASL mechanisms (RFC 7677). The second one binds the exchange
// to the TLS connection by the server's certificate (RFC 5929,
// tls-server-end-point).
const (
	MechanismScram     = "SCRAM-SHA-256"
	MechanismScramPlus = "SCRAM-SHA-256-PLUS"
)

// Bounds on what a peer may send in a SCRAM exchange, in bytes. PostgreSQL
// takes no SASL message above 1024 either (PG_MAX_SASL_MESSAGE_LENGTH).
const (
	maxScramMessage = 1024
	maxScramNonce   = 256 // of one side
	maxScramSalt    = 256
)

// MaxScramIterations is the largest iteration count for which a password is
// hashed: about half a second of one core. A server that asks for more is
// refused, as it could keep us busy at will. ScramKeys cost nothing per
// iteration and know no such bound.
const MaxScramIterations = 1_000_000

// scramNonceLen is the length of our nonces before base64, as PostgreSQL's.
const scramNonceLen = 18

// DefaultScramIterations and DefaultScramSaltLen are what PostgreSQL uses for
// new verifiers.
const (
	DefaultScramIterations = 4096
	DefaultScramSaltLen    = 16
)

// Verifier is what a server keeps to check a password without knowing it: the
// form of pg_authid.rolpassword. Treat it as immutable.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  []byte // 32 bytes
	ServerKey  []byte // 32 bytes
}

// ScramKeys is what a client's proof reveals. It is enough to log in, as this
// client, at every server that holds the same verifier, so it is as secret as
// the password.
type ScramKeys struct {
	ClientKey []byte // 32 bytes
	ServerKey []byte // 32 bytes
}

const verifierPrefix = MechanismScram + "$"

// NewScramKeys returns random keys, which belong to no password: only who has
// them can log in at a server that holds their Verifier.
func NewScramKeys() ScramKeys {
	k := ScramKeys{ClientKey: make([]byte, sha256.Size), ServerKey: make([]byte, sha256.Size)}
	rand.Read(k.ClientKey)
	rand.Read(k.ServerKey)
	return k
}

// Verifier returns what a server has to hold so that k logs in. It has a salt
// of its own each time.
func (k ScramKeys) Verifier() *Verifier {
	salt := make([]byte, DefaultScramSaltLen)
	rand.Read(salt)
	return k.verifier(DefaultScramIterations, salt)
}

func (k ScramKeys) verifier(iterations int, salt []byte) *Verifier {
	stored := sha256.Sum256(k.ClientKey)
	return &Verifier{Iterations: iterations, Salt: salt, StoredKey: stored[:], ServerKey: k.ServerKey}
}

// String hides the keys from logs and errors.
func (ScramKeys) String() string { return "(SCRAM keys)" }

// GoString is String.
func (k ScramKeys) GoString() string { return k.String() }

// ParseVerifier decodes "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey".
// Its errors do not repeat s, which is a secret.
func ParseVerifier(s string) (*Verifier, error) {
	rest, ok := strings.CutPrefix(s, verifierPrefix)
	if !ok {
		return nil, errors.New("parse verifier: it does not begin with " + verifierPrefix)
	}
	params, keys, ok := strings.Cut(rest, "$")
	iterations, salt, ok2 := strings.Cut(params, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 {
		return nil, errors.New("parse verifier: want iterations:salt$StoredKey:ServerKey")
	}
	v := &Verifier{}
	var err error
	if v.Iterations, err = parseIterations(iterations); err != nil {
		return nil, fmt.Errorf("parse verifier: %w", err)
	}
	if v.Salt, err = decodeBase64([]byte(salt), maxScramSalt); err != nil || len(v.Salt) == 0 {
		return nil, errors.New("parse verifier: salt is not base64 of 1 to 256 bytes")
	}
	if v.StoredKey, err = decodeKey([]byte(stored)); err != nil {
		return nil, fmt.Errorf("parse verifier: StoredKey: %w", err)
	}
	if v.ServerKey, err = decodeKey([]byte(server)); err != nil {
		return nil, fmt.Errorf("parse verifier: ServerKey: %w", err)
	}
	return v, nil
}

// String returns the form that ParseVerifier reads.
func (v *Verifier) String() string {
	b := make([]byte, 0, 160)
	b = append(b, verifierPrefix...)
	b = strconv.AppendInt(b, int64(v.Iterations), 10)
	b = append(b, ':')
	b = base64.StdEncoding.AppendEncode(b, v.Salt)
	b = append(b, '$')
	b = base64.StdEncoding.AppendEncode(b, v.StoredKey)
	b = append(b, ':')
	b = base64.StdEncoding.AppendEncode(b, v.ServerKey)
	return string(b)
}

// MakeVerifier hashes password as PostgreSQL's CREATE ROLE would. A salt of
// nil means a new random one, iterations of 0 DefaultScramIterations. It
// panics where iterations is negative or above MaxScramIterations.
func MakeVerifier(password string, iterations int, salt []byte) *Verifier {
	if iterations == 0 {
		iterations = DefaultScramIterations
	}
	if salt == nil {
		salt = make([]byte, DefaultScramSaltLen)
		rand.Read(salt)
	}
	k, err := makeKeys(password, iterations, salt)
	if err != nil {
		panic(err)
	}
	return k.verifier(iterations, salt)
}

// MockVerifier returns the verifier to run the exchange with for a user who
// does not exist. It is the same for the same user and secret each time and
// looks like a real one, so that a stranger learns nothing; no password
// matches it.
func MockVerifier(user string, nodeSecret []byte) *Verifier {
	derive := func(purpose string) []byte {
		return hmacSHA256(nodeSecret, []byte(purpose), []byte{0}, []byte(user))
	}
	return &Verifier{
		Iterations: DefaultScramIterations,
		Salt:       derive("mock salt")[:DefaultScramSaltLen],
		StoredKey:  derive("mock stored key"),
		ServerKey:  derive("mock server key"),
	}
}

// Kin reports whether v and other are of one salt and iteration count, so that
// one exchange can be checked against both.
func (v *Verifier) Kin(other *Verifier) bool {
	return v.Iterations == other.Iterations && bytes.Equal(v.Salt, other.Salt)
}

// holds reports whether v is the verifier of the password behind k.
func (v *Verifier) holds(k ScramKeys) bool {
	stored := sha256.Sum256(k.ClientKey)
	return subtle.ConstantTimeCompare(stored[:], v.StoredKey) == 1
}

// Matches reports whether password is the one behind v. It costs as much as a
// login; keep it off the loops.
func (v *Verifier) Matches(password string) bool {
	_, ok := v.KeysOf(password)
	return ok
}

// KeysOf is Matches that also returns the keys for logging in at servers.
func (v *Verifier) KeysOf(password string) (keys ScramKeys, ok bool) {
	return KeysOf(password, []*Verifier{v})
}

// KeysOf is Verifier.KeysOf for a password that may be behind any of some
// verifiers, which must be Kin. It hashes once, and looks at all of them
// whichever it is.
func KeysOf(password string, verifiers []*Verifier) (keys ScramKeys, ok bool) {
	mustBeKin(verifiers)
	k, err := makeKeys(password, verifiers[0].Iterations, verifiers[0].Salt)
	if err != nil {
		return ScramKeys{}, false
	}
	for _, v := range verifiers {
		if v.holds(k) {
			keys, ok = k, true
		}
	}
	return keys, ok
}

// mustBeKin panics where an exchange cannot be checked against all of verifiers.
func mustBeKin(verifiers []*Verifier) {
	for _, v := range verifiers {
		if !v.Kin(verifiers[0]) {
			panic("wire: verifiers of different salts in one exchange")
		}
	}
}

// makeKeys derives both keys from a password (RFC 5802, section 3).
func makeKeys(password string, iterations int, salt []byte) (ScramKeys, error) {
	if iterations < 1 || iterations > MaxScramIterations {
		return ScramKeys{}, fmt.Errorf("wire: %d SCRAM iterations, want 1 to %d", iterations, MaxScramIterations)
	}
	salted, err := pbkdf2.Key(sha256.New, saslPrep(password), salt, iterations, sha256.Size)
	if err != nil {
		return ScramKeys{}, fmt.Errorf("hash password: %w", err)
	}
	return ScramKeys{
		ClientKey: hmacSHA256(salted, []byte("Client Key")),
		ServerKey: hmacSHA256(salted, []byte("Server Key")),
	}, nil
}

func hmacSHA256(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// newNonce returns 24 random printable characters without a comma.
func newNonce() []byte {
	var raw [scramNonceLen]byte
	rand.Read(raw[:])
	return base64.StdEncoding.AppendEncode(nil, raw[:])
}

// decodeBase64 decodes padded base64 of at most limit bytes. Go's decoder
// passes over line ends, which RFC 5802 does not allow.
func decodeBase64(text []byte, limit int) ([]byte, error) {
	for _, c := range text {
		if c == '\r' || c == '\n' {
			return nil, errors.New("line end in base64")
		}
	}
	if base64.StdEncoding.DecodedLen(len(text)) > limit+2 {
		return nil, errors.New("too long")
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err == nil && len(b) > limit {
		err = errors.New("too long")
	}
	return b, err
}

func decodeKey(text []byte) ([]byte, error) {
	b, err := decodeBase64(text, sha256.Size)
	if err != nil || len(b) != sha256.Size {
		return nil, errors.New("not base64 of 32 bytes")
	}
	return b, nil
}

func parseIterations(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 || s[0] == '+' {
		return 0, errors.New("iteration count is not a positive number")
	}
	return int(n), nil
}
