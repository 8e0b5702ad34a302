package wire

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strconv"
)

// bindingName is the only channel binding PostgreSQL knows.
const bindingName = "tls-server-end-point"

// ScramServer is the server's side of one SCRAM exchange: First, then Final.
// It does no I/O.
type ScramServer struct {
	verifiers []*Verifier
	binding   []byte

	plus        bool
	header      []byte // client's gs2 header
	nonce       []byte // ours; from First on the client's in front of it
	authMessage []byte // grows as the messages pass
}

// NewScramServer starts an exchange with a client who should know the password
// behind one of verifiers, of which there is at least one, and which must be
// Kin. Binding is EndPointBinding of the certificate that this client was shown;
// nil means that -PLUS is not offered.
func NewScramServer(verifiers []*Verifier, binding []byte) *ScramServer {
	mustBeKin(verifiers)
	return &ScramServer{verifiers: verifiers, binding: binding, nonce: newNonce()}
}

// Mechanisms returns the names to offer, best first.
func (s *ScramServer) Mechanisms() []string {
	if s.binding == nil {
		return []string{MechanismScram}
	}
	return []string{MechanismScramPlus, MechanismScram}
}

// First takes the mechanism the client chose and its first message, and
// returns the server's. It copies what it keeps. The error wraps ErrMalformed,
// or is an *Error where the client's channel binding does not fit.
func (s *ScramServer) First(mechanism string, message []byte) ([]byte, error) {
	switch {
	case mechanism == MechanismScram:
	case mechanism == MechanismScramPlus && s.binding != nil:
		s.plus = true
	default:
		return nil, scramError("the client chose a mechanism that was not offered")
	}
	if s.authMessage != nil {
		panic("wire: ScramServer.First called twice")
	}
	m, err := parseClientFirst(message)
	if err != nil {
		return nil, err
	}
	if err := s.checkFlag(m); err != nil {
		return nil, err
	}
	s.header = bytes.Clone(m.header)
	s.nonce = slices.Concat(m.nonce, s.nonce)

	first := make([]byte, 0, 128)
	first = append(first, "r="...)
	first = append(first, s.nonce...)
	first = append(first, ",s="...)
	first = base64.StdEncoding.AppendEncode(first, s.verifiers[0].Salt)
	first = append(first, ",i="...)
	first = strconv.AppendInt(first, int64(s.verifiers[0].Iterations), 10)

	s.authMessage = make([]byte, 0, 512)
	s.authMessage = append(s.authMessage, m.bare...)
	s.authMessage = append(s.authMessage, ',')
	s.authMessage = append(s.authMessage, first...)
	s.authMessage = append(s.authMessage, ',')
	return first, nil
}

// checkFlag compares the client's binding flag with the mechanism. A client
// that would bind but believes that we do not offer it was lied to by someone
// between us.
func (s *ScramServer) checkFlag(m clientFirst) error {
	switch {
	case s.plus && m.flag != 'p', !s.plus && m.flag == 'p':
		return scramError("channel binding flag and mechanism disagree")
	case s.plus && string(m.name) != bindingName:
		return Fatal(CodeProtocolViolation, "unsupported SCRAM channel-binding type", "Use "+bindingName+".")
	case m.flag == 'y' && s.binding != nil:
		return Fatal(CodeInvalidAuthorization, "SCRAM channel binding negotiation error",
			"The client supports SCRAM channel binding but thinks the server does not. However, this server does support channel binding.")
	}
	return nil
}

// Final checks the client's final message. It returns the server's final
// message and the keys that the proof revealed. The error is ErrAuthentication
// for a wrong proof; otherwise it wraps ErrMalformed.
func (s *ScramServer) Final(message []byte) ([]byte, ScramKeys, error) {
	if s.authMessage == nil {
		panic("wire: ScramServer.Final before a First that succeeded")
	}
	m, err := parseClientFinal(message)
	if err != nil {
		return nil, ScramKeys{}, err
	}
	if subtle.ConstantTimeCompare(m.nonce, s.nonce) != 1 {
		return nil, ScramKeys{}, scramError("nonce does not match")
	}
	if !s.bindingMatches(m.binding) {
		return nil, ScramKeys{}, Fatal(CodeInvalidAuthorization, "SCRAM channel binding check failed", "")
	}
	s.authMessage = append(s.authMessage, m.withoutProof...)

	keys, ok := s.keysBehind(m.proof)
	if !ok {
		return nil, ScramKeys{}, ErrAuthentication
	}
	signature := hmacSHA256(keys.ServerKey, s.authMessage)
	return base64.StdEncoding.AppendEncode([]byte("v="), signature), keys, nil
}

// keysBehind returns the keys of the verifier that the proof is for. It looks at
// all of them whichever it is.
func (s *ScramServer) keysBehind(proof []byte) (keys ScramKeys, ok bool) {
	for _, v := range s.verifiers {
		k := ScramKeys{ClientKey: make([]byte, sha256.Size), ServerKey: v.ServerKey}
		subtle.XORBytes(k.ClientKey, proof, hmacSHA256(v.StoredKey, s.authMessage))
		if v.holds(k) {
			keys, ok = k, true
		}
	}
	return keys, ok
}

func (s *ScramServer) bindingMatches(sent []byte) bool {
	want := s.header
	if s.plus {
		want = append(bytes.Clone(want), s.binding...)
	}
	encoded := base64.StdEncoding.AppendEncode(nil, want)
	return subtle.ConstantTimeCompare(encoded, sent) == 1
}
