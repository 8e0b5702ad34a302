package wire

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// ScramClient is the client's side of one SCRAM exchange: First, Final, Verify.
// It does no I/O.
type ScramClient struct {
	password  string
	keys      ScramKeys
	known     bool // keys are known, no password needs hashing
	binding   []byte
	tlsActive bool

	header          []byte // gs2 header
	nonce           []byte
	authMessage     []byte // grows as the messages pass
	serverSignature []byte
}

// NewScramClient starts an exchange with a server. Keys, where not nil, are
// used instead of password and cost no hashing. Binding is EndPointBinding of
// the server's certificate, nil where it has none; tlsActive says whether the
// connection is in TLS.
func NewScramClient(password string, keys *ScramKeys, binding []byte, tlsActive bool) *ScramClient {
	c := &ScramClient{password: password, binding: binding, tlsActive: tlsActive, nonce: newNonce()}
	if keys != nil {
		c.keys, c.known = *keys, true
	}
	return c
}

// First chooses the best of the mechanisms the server offers and returns its
// name and the client's first message.
func (c *ScramClient) First(offered []string) (mechanism string, message []byte, err error) {
	switch {
	case c.tlsActive && c.binding != nil && slices.Contains(offered, MechanismScramPlus):
		mechanism, c.header = MechanismScramPlus, []byte("p="+bindingName+",,")
	case !slices.Contains(offered, MechanismScram):
		return "", nil, fmt.Errorf("wire: server offers no known SASL mechanism, only %q", offered)
	case c.tlsActive && c.binding != nil:
		mechanism, c.header, c.binding = MechanismScram, []byte("y,,"), nil
	default:
		mechanism, c.header, c.binding = MechanismScram, []byte("n,,"), nil
	}
	// The server takes the user from the StartupMessage; libpq leaves the
	// name empty as well.
	bare := append([]byte("n=,r="), c.nonce...)
	c.authMessage = append(append(make([]byte, 0, 512), bare...), ',')
	return mechanism, slices.Concat(c.header, bare), nil
}

// Final takes the server's first message and returns the client's final one,
// with the proof. Without keys this hashes the password.
func (c *ScramClient) Final(message []byte) ([]byte, error) {
	if c.authMessage == nil {
		panic("wire: ScramClient.Final before a First that succeeded")
	}
	m, err := parseServerFirst(message)
	if err != nil {
		return nil, err
	}
	if len(m.nonce) <= len(c.nonce) || !bytes.HasPrefix(m.nonce, c.nonce) {
		return nil, scramError("server's nonce does not begin with ours")
	}
	if !c.known {
		if c.keys, err = makeKeys(c.password, m.iterations, m.salt); err != nil {
			return nil, err
		}
		c.known = true
	}
	final := base64.StdEncoding.AppendEncode([]byte("c="), slices.Concat(c.header, c.binding))
	final = append(final, ",r="...)
	final = append(final, m.nonce...)

	c.authMessage = append(c.authMessage, message...)
	c.authMessage = append(c.authMessage, ',')
	c.authMessage = append(c.authMessage, final...)

	stored := sha256.Sum256(c.keys.ClientKey)
	proof := hmacSHA256(stored[:], c.authMessage)
	subtle.XORBytes(proof, proof, c.keys.ClientKey)
	c.serverSignature = hmacSHA256(c.keys.ServerKey, c.authMessage)
	return base64.StdEncoding.AppendEncode(append(final, ",p="...), proof), nil
}

// Verify checks the server's final message: a server that does not know the
// verifier is ErrAuthentication. Until Verify succeeds nothing the server says
// may be believed.
func (c *ScramClient) Verify(message []byte) error {
	if c.serverSignature == nil {
		return errors.New("wire: server ends the SCRAM exchange before its time")
	}
	if len(message) > maxScramMessage {
		return scramError("server-final-message is too long")
	}
	if reason, _, err := attribute(message, 'e'); err == nil {
		return fmt.Errorf("%w: server reports %q", ErrAuthentication, reason)
	}
	value, _, err := attribute(message, 'v')
	if err != nil {
		return err
	}
	signature, err := decodeKey(value)
	if err != nil {
		return scramError("server signature is " + err.Error())
	}
	if subtle.ConstantTimeCompare(signature, c.serverSignature) != 1 {
		return fmt.Errorf("%w: the server does not know the password either", ErrAuthentication)
	}
	return nil
}

// Keys returns the keys in use, to save the next login the hashing. They are
// worth keeping only after Verify succeeded.
func (c *ScramClient) Keys() ScramKeys { return c.keys }
