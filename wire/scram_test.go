package wire_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"howdah/wire"
)

// The exchange of RFC 7677, section 3.
const (
	vectorBare        = "n=user,r=rOprNGfwEbeRWgbNEkqO"
	vectorClientNonce = "rOprNGfwEbeRWgbNEkqO"
	vectorServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	vectorSalt        = "W22ZaJ0SNY7soEsUEjb6gQ=="
	vectorServerFirst = "r=" + vectorClientNonce + vectorServerNonce + ",s=" + vectorSalt + ",i=4096"
	vectorClientFinal = "c=biws,r=" + vectorClientNonce + vectorServerNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	vectorServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func vectorVerifier(t testing.TB) *wire.Verifier {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString(vectorSalt)
	if err != nil {
		t.Fatal(err)
	}
	return wire.MakeVerifier("pencil", 4096, salt)
}

func only(v *wire.Verifier) []*wire.Verifier { return []*wire.Verifier{v} }

func TestScramServerFollowsRFC7677(t *testing.T) {
	s := wire.NewScramServer(only(vectorVerifier(t)), nil)
	s.FixNonce(vectorServerNonce)
	first, err := s.First(wire.MechanismScram, []byte("n,,"+vectorBare))
	if err != nil || string(first) != vectorServerFirst {
		t.Fatalf("First = %q, %v; want %q", first, err, vectorServerFirst)
	}
	final, keys, err := s.Final([]byte(vectorClientFinal))
	if err != nil || string(final) != vectorServerFinal {
		t.Fatalf("Final = %q, %v; want %q", final, err, vectorServerFinal)
	}
	if len(keys.ClientKey) != 32 || len(keys.ServerKey) != 32 {
		t.Errorf("keys of %d and %d bytes", len(keys.ClientKey), len(keys.ServerKey))
	}
}

func TestScramClientFollowsRFC7677(t *testing.T) {
	c := wire.NewScramClient("pencil", nil, nil, false)
	if _, _, err := c.First([]string{wire.MechanismScram}); err != nil {
		t.Fatal(err)
	}
	c.FixFirst(vectorBare, vectorClientNonce)
	final, err := c.Final([]byte(vectorServerFirst))
	if err != nil || string(final) != vectorClientFinal {
		t.Fatalf("Final = %q, %v; want %q", final, err, vectorClientFinal)
	}
	if err := c.Verify([]byte(vectorServerFinal)); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if err := c.Verify([]byte(strings.Replace(vectorServerFinal, "6r", "7r", 1))); !errors.Is(err, wire.ErrAuthentication) {
		t.Errorf("Verify of a wrong signature: %v", err)
	}
}

// exchange runs a whole exchange between our two sides.
func exchange(s *wire.ScramServer, c *wire.ScramClient, offered []string) (wire.ScramKeys, error) {
	mechanism, first, err := c.First(offered)
	if err != nil {
		return wire.ScramKeys{}, err
	}
	reply, err := s.First(mechanism, first)
	if err != nil {
		return wire.ScramKeys{}, err
	}
	last, err := c.Final(reply)
	if err != nil {
		return wire.ScramKeys{}, err
	}
	reply, keys, err := s.Final(last)
	if err != nil {
		return wire.ScramKeys{}, err
	}
	return keys, c.Verify(reply)
}

func TestScramKeysLogInLikeThePassword(t *testing.T) {
	v := wire.MakeVerifier("öffne dich", 100, nil)
	s := wire.NewScramServer(only(v), nil)
	keys, err := exchange(s, wire.NewScramClient("öffne dich", nil, nil, false), s.Mechanisms())
	if err != nil {
		t.Fatal(err)
	}
	s = wire.NewScramServer(only(v), nil)
	again, err := exchange(s, wire.NewScramClient("", &keys, nil, false), s.Mechanisms())
	if err != nil {
		t.Fatalf("log in with the keys: %v", err)
	}
	if !bytes.Equal(again.ClientKey, keys.ClientKey) || !bytes.Equal(again.ServerKey, keys.ServerKey) {
		t.Error("the second login revealed other keys")
	}
	other := wire.NewScramServer(only(wire.MakeVerifier("öffne dich", 100, nil)), nil) // another salt
	if _, err := exchange(other, wire.NewScramClient("", &keys, nil, false), other.Mechanisms()); !errors.Is(err, wire.ErrAuthentication) {
		t.Errorf("keys of another verifier: %v", err)
	}
}

// TestScramChecksAllVerifiers has each of three passwords of one user log in, by
// both mechanisms, and no other.
func TestScramChecksAllVerifiers(t *testing.T) {
	certificate := []byte("digest of a certificate")
	var all []*wire.Verifier
	for _, password := range []string{"now", "before", "long before"} {
		salt := []byte("one salt for all")
		all = append(all, wire.MakeVerifier(password, 100, salt))
	}
	for _, binding := range [][]byte{nil, certificate} {
		for i, password := range []string{"now", "before", "long before"} {
			s := wire.NewScramServer(all, binding)
			keys, err := exchange(s, wire.NewScramClient(password, nil, binding, binding != nil), s.Mechanisms())
			if err != nil {
				t.Fatalf("%q: %v", password, err)
			}
			if want, _ := all[i].KeysOf(password); !bytes.Equal(keys.ClientKey, want.ClientKey) || !bytes.Equal(keys.ServerKey, want.ServerKey) {
				t.Errorf("%q reveals another's keys", password)
			}
			if keys, ok := wire.KeysOf(password, all); !ok || !all[i].Kin(all[0]) || len(keys.ClientKey) != 32 {
				t.Errorf("%q in clear text is none of them", password)
			}
		}
		s := wire.NewScramServer(all[:2], binding)
		if _, err := exchange(s, wire.NewScramClient("long before", nil, binding, binding != nil), s.Mechanisms()); !errors.Is(err, wire.ErrAuthentication) {
			t.Errorf("a password that is none of them: %v", err)
		}
	}
	if _, ok := wire.KeysOf("long before", all[:2]); ok {
		t.Error("a password in clear text that is none of them passes")
	}
	defer func() {
		if recover() == nil {
			t.Error("verifiers of different salts make one exchange")
		}
	}()
	wire.NewScramServer([]*wire.Verifier{all[0], wire.MakeVerifier("x", 100, nil)}, nil)
}

// TestScramKeysWithoutPassword logs in with keys that no password has.
func TestScramKeysWithoutPassword(t *testing.T) {
	keys := wire.NewScramKeys()
	v, err := wire.ParseVerifier(keys.Verifier().String())
	if err != nil {
		t.Fatal(err)
	}
	s := wire.NewScramServer(only(v), nil)
	if _, err := exchange(s, wire.NewScramClient("", &keys, nil, false), s.Mechanisms()); err != nil {
		t.Fatal(err)
	}
	others := wire.NewScramKeys()
	s = wire.NewScramServer(only(v), nil)
	if _, err := exchange(s, wire.NewScramClient("", &others, nil, false), s.Mechanisms()); !errors.Is(err, wire.ErrAuthentication) {
		t.Errorf("others' keys: %v", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if said := fmt.Sprintf(format, keys); said != "(SCRAM keys)" {
			t.Errorf("printed by %s they are %s", format, said)
		}
	}
}

func TestScramChannelBinding(t *testing.T) {
	certificate, other := []byte("digest of a certificate"), []byte("digest of a man in the middle")
	plain := []string{wire.MechanismScram}
	both := []string{wire.MechanismScramPlus, wire.MechanismScram}
	for _, c := range []struct {
		name           string
		server, client []byte
		offered        []string // what reaches the client
		want           string   // part of the error, "" for success
	}{
		{"both bind", certificate, certificate, both, ""},
		{"nobody binds", nil, nil, plain, ""},
		{"client cannot bind", certificate, nil, both, ""},
		{"server cannot bind", nil, certificate, plain, ""},
		{"offer of -PLUS was removed on the way", certificate, certificate, plain, "negotiation error"},
		{"client saw another certificate", certificate, other, both, "binding check failed"},
		{"-PLUS was not offered", nil, certificate, both, "not offered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := wire.NewScramServer(only(wire.MakeVerifier("secret", 1, nil)), c.server)
			_, err := exchange(s, wire.NewScramClient("secret", nil, c.client, true), c.offered)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestScramRefusesWrongPasswordAndStranger(t *testing.T) {
	for name, v := range map[string]*wire.Verifier{
		"wrong password": wire.MakeVerifier("right", 1, nil),
		"stranger":       wire.MockVerifier("nobody", []byte("node secret")),
	} {
		s := wire.NewScramServer(only(v), nil)
		if _, err := exchange(s, wire.NewScramClient("wrong", nil, nil, false), s.Mechanisms()); !errors.Is(err, wire.ErrAuthentication) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMockVerifierTellsNothing(t *testing.T) {
	secret := []byte("node secret")
	a := wire.MockVerifier("nobody", secret).String()
	if b := wire.MockVerifier("nobody", secret).String(); a != b {
		t.Errorf("two answers for one user: %q and %q", a, b)
	}
	for _, other := range []*wire.Verifier{wire.MockVerifier("nobody2", secret), wire.MockVerifier("nobody", []byte("other"))} {
		if other.String() == a {
			t.Error("the same verifier for another user or node")
		}
	}
	real := wire.MakeVerifier("x", 0, nil).String()
	if len(a) != len(real) || strings.Index(a, "$") != strings.Index(real, "$") {
		t.Errorf("mock %q does not look like %q", a, real)
	}
}

func TestScramServerRefusesMalformedFirst(t *testing.T) {
	long := strings.Repeat("x", 257)
	for name, m := range map[string]string{
		"empty":               "",
		"unknown flag":        "z,,n=,r=abc",
		"flag with rest":      "nn,,n=,r=abc",
		"binding, not -PLUS":  "p=tls-server-end-point,,n=,r=abc",
		"authorization id":    "n,a=root,n=,r=abc",
		"no name":             "n,,r=abc",
		"mandatory extension": "n,,m=x,n=,r=abc",
		"no nonce":            "n,,n=",
		"empty nonce":         "n,,n=,r=",
		"long nonce":          "n,,n=,r=" + long,
		"nonce with space":    "n,,n=,r=a b",
		"nonce with zero":     "n,,n=,r=a\x00b",
		"nonce beyond ASCII":  "n,,n=,r=aäb",
		"long message":        "n,,n=" + strings.Repeat("u", 1100) + ",r=abc",
	} {
		s := wire.NewScramServer(only(wire.MakeVerifier("x", 1, nil)), nil)
		if _, err := s.First(wire.MechanismScram, []byte(m)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := wire.NewScramServer(only(wire.MakeVerifier("x", 1, nil)), nil)
	if _, err := s.First("PLAIN", []byte("n,,n=,r=abc")); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("mechanism PLAIN: %v", err)
	}
}

func TestScramServerRefusesMalformedFinal(t *testing.T) {
	nonce := vectorClientNonce + vectorServerNonce
	proof := ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	for name, m := range map[string]string{
		"empty":           "",
		"no binding":      "r=" + nonce + proof,
		"no nonce":        "c=biws" + proof,
		"no proof":        "c=biws,r=" + nonce,
		"other nonce":     "c=biws,r=" + nonce + "x" + proof,
		"half a nonce":    "c=biws,r=" + vectorClientNonce + proof,
		"short proof":     "c=biws,r=" + nonce + ",p=dHzb",
		"proof not last":  "c=biws,r=" + nonce + proof + ",x=y",
		"proof with line": "c=biws,r=" + nonce + ",p=dHzbZapWIk4jUhN+Ute9\nytag9zjfMHgsqmmiz7AndVQ=",
		"long":            "c=biws,r=" + nonce + ",x=" + strings.Repeat("x", 1100) + proof,
	} {
		s := wire.NewScramServer(only(vectorVerifier(t)), nil)
		s.FixNonce(vectorServerNonce)
		if _, err := s.First(wire.MechanismScram, []byte("n,,"+vectorBare)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Final([]byte(m)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScramClientRefusesHostileServer(t *testing.T) {
	for name, m := range map[string]string{
		"empty":               "",
		"nonce not ours":      "r=xxxxxxxxxxxxxxxxxxxxxxxxxx,s=" + vectorSalt + ",i=4096",
		"nothing of its own":  "r=" + vectorClientNonce + ",s=" + vectorSalt + ",i=4096",
		"no salt":             "r=" + vectorClientNonce + "x,i=4096",
		"empty salt":          "r=" + vectorClientNonce + "x,s=,i=4096",
		"long salt":           "r=" + vectorClientNonce + "x,s=" + base64.StdEncoding.EncodeToString(make([]byte, 300)) + ",i=4096",
		"zero iterations":     "r=" + vectorClientNonce + "x,s=" + vectorSalt + ",i=0",
		"negative iterations": "r=" + vectorClientNonce + "x,s=" + vectorSalt + ",i=-1",
		"iterations overflow": "r=" + vectorClientNonce + "x,s=" + vectorSalt + ",i=99999999999",
		"endless iterations":  "r=" + vectorClientNonce + "x,s=" + vectorSalt + ",i=1000001",
		"long nonce":          "r=" + vectorClientNonce + strings.Repeat("x", 600) + ",s=" + vectorSalt + ",i=1",
	} {
		c := wire.NewScramClient("pencil", nil, nil, false)
		if _, _, err := c.First([]string{wire.MechanismScram}); err != nil {
			t.Fatal(err)
		}
		c.FixFirst(vectorBare, vectorClientNonce)
		if final, err := c.Final([]byte(m)); err == nil {
			t.Errorf("%s: accepted, answered %q", name, final)
		}
		if err := c.Verify([]byte(vectorServerFinal)); err == nil {
			t.Errorf("%s: verified without a proof of ours", name)
		}
	}
}

func TestVerifierRoundTrip(t *testing.T) {
	v := wire.MakeVerifier("pass", 0, nil)
	parsed, err := wire.ParseVerifier(v.String())
	if err != nil {
		t.Fatal(err)
	}
	if parsed.String() != v.String() || parsed.Iterations != wire.DefaultScramIterations || len(parsed.Salt) != wire.DefaultScramSaltLen {
		t.Errorf("got %q, want %q", parsed, v)
	}
	if !parsed.Matches("pass") || parsed.Matches("Pass") {
		t.Error("Matches is wrong")
	}
}

func TestParseVerifierRefuses(t *testing.T) {
	good := wire.MakeVerifier("pass", 4096, nil).String()
	for name, s := range map[string]string{
		"empty":               "",
		"password":            "secret",
		"md5":                 wire.MakeMD5("a", "b"),
		"cut":                 good[:len(good)-4],
		"no keys":             good[:strings.LastIndex(good, "$")],
		"iterations":          strings.Replace(good, "4096", "0", 1),
		"signed iterations":   strings.Replace(good, "4096", "+1", 1),
		"iterations overflow": strings.Replace(good, "4096", "2147483648", 1),
		"line end":            strings.Replace(good, "$4096", "\n$4096", 1),
		"something behind":    good + "\n",
	} {
		if v, err := wire.ParseVerifier(s); err == nil {
			t.Errorf("%s: accepted as %v", name, v)
		} else if strings.Contains(err.Error(), good[60:]) {
			t.Errorf("%s: error repeats the secret: %v", name, err)
		}
	}
}

func TestSASLPrep(t *testing.T) {
	for in, want := range map[string]string{
		"pencil":             "pencil",
		"a\x07b":             "a\x07b",        // ASCII stays
		"I\u00adX":           "IX",            // soft hyphen goes
		"a\u00a0b":           "a b",           // other spaces become one
		"\u00aa":             "a",             // NFKC
		"\u2168":             "IX",            // NFKC
		"A\u030a":            "\u00c5",        // composed
		"\u00ad":             "\u00ad",        // nothing left: as it is
		"\u2168\u0007":       "\u2168\u0007",  // forbidden: as it is
		"\u2168\u0221":       "\u2168\u0221",  // unassigned in Unicode 3.2: as it is
		"\u06271\u2168":      "\u06271\u2168", // right to left must end so
		"\u0627\u2460\u0628": "\u06271\u0628",
		"\u2168\xff":         "\u2168\xff", // not UTF-8: as it is
	} {
		if got := wire.SASLPrep(in); got != want {
			t.Errorf("SASLPrep(%+q) = %+q, want %+q", in, got, want)
		}
	}
}

func TestMD5Form(t *testing.T) {
	// select 'md5' || md5('secret' || 'anna')
	v := wire.MakeMD5("secret", "anna")
	if !wire.IsMD5(v) || len(v) != 35 {
		t.Errorf("MakeMD5 = %q", v)
	}
	for _, s := range []string{"", "md5", v[:34], v + "0", strings.ToUpper(v), "md5" + strings.Repeat("g", 32), "secret"} {
		if wire.IsMD5(s) {
			t.Errorf("IsMD5(%q)", s)
		}
	}
}
