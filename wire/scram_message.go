package wire

import (
	"bytes"
	"fmt"
)

// The messages of RFC 5802, section 7, as attributes one letter wide. What the
// parsers return points into the message.

// clientFirst is the client's first message.
type clientFirst struct {
	flag   byte   // n: no binding, y: would bind, server did not offer it, p: binds
	name   []byte // of the binding, flag p
	header []byte // everything in front of bare, which the final message repeats
	bare   []byte
	nonce  []byte
}

func parseClientFirst(b []byte) (m clientFirst, err error) {
	if len(b) > maxScramMessage {
		return m, scramError("client-first-message is too long")
	}
	flag, rest, ok := bytes.Cut(b, []byte{','})
	if !ok || len(flag) == 0 {
		return m, scramError("no channel binding flag")
	}
	m.flag = flag[0]
	switch {
	case m.flag == 'p' && len(flag) > 2 && flag[1] == '=':
		m.name = flag[2:]
	case (m.flag == 'n' || m.flag == 'y') && len(flag) == 1:
	default:
		return m, scramError("malformed channel binding flag")
	}
	// PostgreSQL, too, knows no authorization identity and no extensions.
	if len(rest) == 0 || rest[0] != ',' {
		return m, scramError("an authorization identity is not supported")
	}
	m.bare = rest[1:]
	m.header = b[:len(b)-len(m.bare)]
	// The name is not looked at: the user is the StartupMessage's.
	if _, rest, err = attribute(m.bare, 'n'); err != nil {
		return m, err
	}
	if m.nonce, _, err = attribute(rest, 'r'); err != nil {
		return m, err
	}
	return m, checkNonce(m.nonce, maxScramNonce)
}

// serverFirst is the server's first message.
type serverFirst struct {
	nonce      []byte // the client's and the server's
	salt       []byte // decoded
	iterations int
}

func parseServerFirst(b []byte) (m serverFirst, err error) {
	if len(b) > maxScramMessage {
		return m, scramError("server-first-message is too long")
	}
	var rest, value []byte
	if m.nonce, rest, err = attribute(b, 'r'); err != nil {
		return m, err
	}
	if err = checkNonce(m.nonce, 2*maxScramNonce); err != nil {
		return m, err
	}
	if value, rest, err = attribute(rest, 's'); err != nil {
		return m, err
	}
	if m.salt, err = decodeBase64(value, maxScramSalt); err != nil || len(m.salt) == 0 {
		return m, scramError("salt is not base64 of 1 to 256 bytes")
	}
	if value, _, err = attribute(rest, 'i'); err != nil {
		return m, err
	}
	if m.iterations, err = parseIterations(string(value)); err != nil {
		return m, scramError(err.Error())
	}
	return m, nil
}

// clientFinal is the client's final message.
type clientFinal struct {
	binding      []byte // base64, as sent
	nonce        []byte
	proof        []byte // decoded, 32 bytes
	withoutProof []byte
}

func parseClientFinal(b []byte) (m clientFinal, err error) {
	if len(b) > maxScramMessage {
		return m, scramError("client-final-message is too long")
	}
	var rest []byte
	if m.binding, rest, err = attribute(b, 'c'); err != nil {
		return m, err
	}
	if m.nonce, _, err = attribute(rest, 'r'); err != nil {
		return m, err
	}
	// Extensions may stand between; the proof is always last.
	i := bytes.LastIndexByte(b, ',')
	proof, rest, err := attribute(b[i+1:], 'p')
	if err != nil || len(rest) != 0 {
		return m, scramError("no proof at the end")
	}
	if m.proof, err = decodeKey(proof); err != nil {
		return m, scramError("proof is " + err.Error())
	}
	m.withoutProof = b[:i]
	return m, nil
}

// attribute returns the value of the attribute that b must begin with, and
// what stands behind its comma.
func attribute(b []byte, name byte) (value, rest []byte, err error) {
	if len(b) < 2 || b[0] != name || b[1] != '=' {
		return nil, nil, scramError(fmt.Sprintf("attribute %q is missing", name))
	}
	value, rest, _ = bytes.Cut(b[2:], []byte{','})
	return value, rest, nil
}

func checkNonce(nonce []byte, limit int) error {
	if len(nonce) == 0 || len(nonce) > limit {
		return scramError("nonce is empty or too long")
	}
	for _, c := range nonce {
		if c < 0x21 || c > 0x7e {
			return scramError("nonce is not printable")
		}
	}
	return nil
}

func scramError(what string) error {
	return fmt.Errorf("%w: SCRAM: %s", ErrMalformed, what)
}
