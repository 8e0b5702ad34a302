package wire

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
)

// maxPasswordLen is the longest password message a client may send, in bytes,
// as PostgreSQL has it (PG_MAX_AUTH_TOKEN_LENGTH).
const maxPasswordLen = 65535

// AuthenticateSCRAM lets the client on rw prove that it knows the password
// behind one of verifiers. They and binding are as for NewScramServer. It reads no byte past the
// client's last message.
//
// On success it returns the closing AuthenticationSASLFinal and
// AuthenticationOk unsent, so that they can leave in one write with what
// follows, and the keys for logging in at servers. The error is
// ErrAuthentication for a wrong proof, an *Error or a wrapped ErrMalformed for
// a client that breaks the protocol, or rw's own.
func AuthenticateSCRAM(rw io.ReadWriter, verifiers []*Verifier, binding []byte) (final []byte, keys ScramKeys, err error) {
	s := NewScramServer(verifiers, binding)
	var offer []byte
	for _, m := range s.Mechanisms() {
		offer = append(append(offer, m...), 0)
	}
	if _, err := rw.Write(AppendAuthentication(nil, AuthSASL, append(offer, 0))); err != nil {
		return nil, keys, fmt.Errorf("offer SASL: %w", err)
	}
	body, err := readPassword(rw, maxScramMessage+len(MechanismScramPlus)+5)
	if err != nil {
		return nil, keys, err
	}
	mechanism, first, err := parseSASLInitial(body)
	if err != nil {
		return nil, keys, err
	}
	reply, err := s.First(mechanism, first)
	if err != nil {
		return nil, keys, err
	}
	if _, err := rw.Write(AppendAuthentication(nil, AuthSASLContinue, reply)); err != nil {
		return nil, keys, fmt.Errorf("continue SASL: %w", err)
	}
	if body, err = readPassword(rw, maxScramMessage); err != nil {
		return nil, keys, err
	}
	reply, keys, err = s.Final(body)
	if err != nil {
		return nil, ScramKeys{}, err
	}
	final = AppendAuthentication(make([]byte, 0, 512), AuthSASLFinal, reply)
	return AppendAuthentication(final, AuthOK, nil), keys, nil
}

// parseSASLInitial decodes a SASLInitialResponse body. All clients known to us
// send their first message with it, so one without is malformed.
func parseSASLInitial(body []byte) (mechanism string, first []byte, err error) {
	name, rest, ok := cstring(body)
	if !ok || len(rest) < 4 {
		return "", nil, ErrMalformed
	}
	if first = rest[4:]; uint64(len(first)) != uint64(binary.BigEndian.Uint32(rest)) {
		return "", nil, ErrMalformed
	}
	return string(name), first, nil
}

// AuthenticateMD5 lets the client on rw prove that it knows the password
// behind verifier ("md5" and 32 hex digits). It reads no byte past the
// client's answer and leaves sending AuthenticationOk to the caller. Errors
// are AuthenticateSCRAM's.
func AuthenticateMD5(rw io.ReadWriter, user, verifier string) error {
	var salt [4]byte
	rand.Read(salt[:])
	if _, err := rw.Write(AppendAuthentication(nil, AuthMD5, salt[:])); err != nil {
		return fmt.Errorf("ask %q for md5: %w", user, err)
	}
	body, err := readPassword(rw, maxPasswordLen)
	if err != nil {
		return err
	}
	answer, rest, ok := cstring(body)
	if !ok || len(rest) != 0 {
		return ErrMalformed
	}
	if !IsMD5(verifier) || subtle.ConstantTimeCompare(answer, []byte(answerMD5(verifier, salt[:]))) != 1 {
		return ErrAuthentication
	}
	return nil
}

// AskPassword has the client on rw send its password in clear text, for which
// the caller has made sure that nobody listens. It reads no byte past it and
// leaves checking it and sending AuthenticationOk to the caller.
func AskPassword(rw io.ReadWriter) (string, error) {
	if _, err := rw.Write(AppendAuthentication(nil, AuthCleartext, nil)); err != nil {
		return "", fmt.Errorf("ask for a password: %w", err)
	}
	body, err := readPassword(rw, maxPasswordLen)
	if err != nil {
		return "", err
	}
	password, rest, ok := cstring(body)
	if !ok || len(rest) != 0 {
		return "", ErrMalformed
	}
	return string(password), nil
}

// readPassword reads one message of type Password whose body has at most limit
// bytes, and nothing behind it.
func readPassword(r io.Reader, limit int) ([]byte, error) {
	var head [HeaderLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read password message: %w", err)
	}
	h, _, err := ParseHeader(head[:])
	if err != nil {
		return nil, err
	}
	if h.Type != Password {
		return nil, fmt.Errorf("%w: message of type %q while a password was expected", ErrMalformed, h.Type)
	}
	if h.Len-HeaderLen > limit {
		return nil, fmt.Errorf("read password message: %w: %d", ErrLength, h.Len)
	}
	body := make([]byte, h.Len-HeaderLen)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("read password message: %w", err)
	}
	return body, nil
}

// saslMechanisms decodes the data of an AuthenticationSASL.
func saslMechanisms(data []byte) ([]string, error) {
	var names []string
	for len(data) > 0 && data[0] != 0 {
		i := bytes.IndexByte(data, 0)
		if i < 0 || len(names) == 16 {
			return nil, ErrMalformed
		}
		names = append(names, string(data[:i]))
		data = data[i+1:]
	}
	if len(data) != 1 {
		return nil, ErrMalformed
	}
	return names, nil
}
