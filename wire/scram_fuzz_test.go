package wire_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"howdah/wire"
)

func FuzzParseVerifier(f *testing.F) {
	f.Add(wire.MakeVerifier("x", 1, []byte("0123456789abcdef")).String())
	f.Add("SCRAM-SHA-256$4096:$:")
	f.Add("SCRAM-SHA-256$-1:AA==$AA==:AA==")
	f.Add(wire.MakeMD5("a", "b"))
	f.Fuzz(func(t *testing.T, s string) {
		v, err := wire.ParseVerifier(s)
		if err != nil {
			return
		}
		again, err := wire.ParseVerifier(v.String())
		if err != nil || again.String() != v.String() || v.Iterations < 1 || len(v.StoredKey) != 32 || len(v.ServerKey) != 32 {
			t.Fatalf("%q became %q, then %v, %v", s, v, again, err)
		}
	})
}

// Nobody gets in without a proof, whatever he sends, and nothing panics.
func FuzzScramServer(f *testing.F) {
	f.Add("SCRAM-SHA-256", []byte("n,,"+vectorBare), []byte(vectorClientFinal))
	f.Add("SCRAM-SHA-256-PLUS", []byte("p=tls-server-end-point,,n=,r=abc"), []byte("c=cD10bHMtc2VydmVyLWVuZC1wb2ludCws,r=abc,p="))
	f.Add("SCRAM-SHA-256", []byte("y,a=x,n=,r="), []byte("c=,r=,p="))
	v := wire.MakeVerifier("not pencil", 1, []byte("salt"))
	f.Fuzz(func(t *testing.T, mechanism string, first, final []byte) {
		for _, binding := range [][]byte{nil, []byte("digest")} {
			s := wire.NewScramServer(only(v), binding)
			s.FixNonce(vectorServerNonce)
			if reply, err := s.First(mechanism, first); err != nil {
				wantRefusal(t, err)
				continue
			} else if len(reply) > 1024 {
				t.Fatalf("a reply of %d bytes", len(reply))
			}
			reply, keys, err := s.Final(final)
			if err == nil {
				t.Fatalf("let in: %q, %x", reply, keys)
			}
			wantRefusal(t, err)
		}
	})
}

func wantRefusal(t *testing.T, err error) {
	t.Helper()
	var told *wire.Error
	if !errors.Is(err, wire.ErrMalformed) && !errors.Is(err, wire.ErrAuthentication) && !errors.As(err, &told) {
		t.Fatalf("unexpected error %v", err)
	}
}

// No server passes for one that knows the password.
func FuzzScramClient(f *testing.F) {
	f.Add([]byte(vectorServerFirst), []byte(vectorServerFinal))
	f.Add([]byte("r="+vectorClientNonce+"x,s=AA==,i=1"), []byte("e=other-error"))
	f.Add([]byte("r=,s=,i="), []byte("v="))
	keys := &wire.ScramKeys{ClientKey: make([]byte, 32), ServerKey: bytes.Repeat([]byte{1}, 32)}
	f.Fuzz(func(t *testing.T, first, final []byte) {
		c := wire.NewScramClient("", keys, nil, false)
		if _, _, err := c.First([]string{wire.MechanismScram}); err != nil {
			t.Fatal(err)
		}
		c.FixFirst(vectorBare, vectorClientNonce)
		answer, err := c.Final(first)
		if err != nil {
			wantRefusal(t, err)
		} else if len(answer) > 2048 {
			t.Fatalf("an answer of %d bytes", len(answer))
		}
		if err := c.Verify(final); err == nil {
			t.Fatalf("believed %q behind %q", final, first)
		}
	})
}

func FuzzAuthenticate(f *testing.F) {
	f.Add(wire.AppendMessage(nil, wire.Password, []byte("SCRAM-SHA-256\x00\x00\x00\x00\x09n,,n=,r=a")))
	f.Add(wire.AppendString(nil, wire.Password, "md5"))
	v := wire.MakeVerifier("x", 1, []byte("salt"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		if _, _, err := wire.AuthenticateSCRAM(script{bytes.NewReader(sent)}, only(v), nil); err == nil {
			t.Error("SCRAM let in")
		}
		if err := wire.AuthenticateMD5(script{bytes.NewReader(sent)}, "u", wire.MakeMD5("x", "u")); err == nil {
			t.Error("md5 let in")
		}
	})
}

// FuzzDialLogin plays a server that says anything at all.
func FuzzDialLogin(f *testing.F) {
	ok := auth(wire.AuthOK, "")
	f.Add(ready(ok, wire.AppendParameterStatus(nil, "a", "b"), wire.AppendBackendKeyData(nil, wire.Key{PID: 1, Secret: []byte("abcd")})))
	f.Add(wire.AppendError(nil, wire.Fatal("28000", "no", "")))
	f.Add(append(auth(wire.AuthSASL, "SCRAM-SHA-256\x00\x00"), auth(wire.AuthSASLContinue, "r=a,s=AA==,i=1")...))
	f.Add(append(wire.AppendNegotiateVersion(nil, wire.Protocol30, []string{"_pq_.x"}), ready(ok)...))
	f.Add(ready(auth(wire.AuthMD5, "salt"), ok))
	keys := &wire.ScramKeys{ClientKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	f.Fuzz(func(t *testing.T, said []byte) {
		transport := func(context.Context, string, string) (net.Conn, error) {
			return &canned{in: bytes.NewReader(said)}, nil
		}
		e, err := wire.Dial(context.Background(), wire.DialConfig{
			Address: "fuzz:1", Parameters: anna, Transport: transport, Version: wire.Protocol32,
			Secret: wire.Secret{Password: "x", Scram: keys},
		})
		if err != nil {
			return
		}
		if e.Keys != nil {
			t.Fatal("SCRAM finished against a server that cannot know our nonce")
		}
		if !bytes.HasSuffix(said, e.ReadAhead) {
			t.Fatalf("read ahead %q of %q", e.ReadAhead, said)
		}
		for _, p := range e.Parameters {
			if bytes.ContainsRune([]byte(p.Name+p.Value), 0) {
				t.Fatalf("parameter %q", p)
			}
		}
	})
}
