package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"strings"
	"testing"

	v2 "github.com/jackc/pgproto3/v2"
	v5 "github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

func FuzzStartup(f *testing.F) {
	f.Add(startup)
	f.Add(wire.AppendStartup(nil, wire.Protocol32, []wire.Parameter{{Name: "user", Value: "a"}, {Name: "_pq_.x", Value: "1"}}))
	f.Add(wire.AppendStartup(nil, 3<<16|9999, nil))
	f.Add(wire.AppendStartup(nil, 2<<16, nil))
	f.Add(sslRequest)
	f.Add(gssRequest)
	f.Add(wire.AppendCancelRequest(nil, wire.Key{PID: 7, Secret: []byte("abcd")}))
	f.Add(wire.AppendCancelRequest(nil, wire.Key{PID: 7, Secret: make([]byte, 256)}))
	f.Add(append(bytes.Clone(startup), "behind"...))
	f.Add([]byte{0, 0, 0, 7, 0, 3, 0})
	f.Add([]byte{0, 0, 0x27, 0x11, 0, 3, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		s, err := wire.ReadStartup(r)
		if len(b) < 8 {
			if err == nil {
				t.Fatalf("read %+v from %d bytes", s, len(b))
			}
			return
		}
		n := binary.BigEndian.Uint32(b)
		if err == nil && len(b)-r.Len() != int(n) {
			t.Fatalf("packet of %d bytes, %d read", n, len(b)-r.Len())
		}
		if n < 8 || n > wire.MaxStartupLen {
			if !errors.Is(err, wire.ErrLength) || len(b)-r.Len() != 4 {
				t.Fatalf("length %d: %v", n, err)
			}
			return
		}
		if int(n) <= len(b) {
			compareStartup(t, b[4:n], s, err)
		}
	})
}

// compareStartup compares what we made of an untyped packet with the others.
func compareStartup(t *testing.T, packet []byte, s *wire.Startup, err error) {
	t.Helper()
	var cancel v5.CancelRequest
	if decode(&cancel, packet) == nil {
		if err != nil || s.Kind != wire.StartCancel || s.Key.PID != cancel.ProcessID || !bytes.Equal(s.Key.Secret, cancel.SecretKey) {
			t.Fatalf("CancelRequest %x: %+v, %v", packet, s, err)
		}
		return
	}
	for _, o := range []other{&v5.StartupMessage{}, &v2.StartupMessage{}} {
		if decode(o, packet) != nil {
			// They take no packet without parameters and no minor but theirs.
			continue
		}
		theirs := startupParameters(o)
		if _, odd := theirs[""]; odd {
			continue // where we see the list's end they see an empty name
		}
		if err != nil {
			t.Fatalf("only we refuse %q: %v", packet, err)
		}
		ours := map[string]string{}
		for _, p := range s.Parameters {
			ours[p.Name] = p.Value // the last one counts, for them
		}
		unknown := map[string]bool{}
		for name := range theirs {
			if strings.HasPrefix(name, "_pq_.") {
				unknown[name] = true
				delete(theirs, name)
			}
		}
		for _, u := range s.Unknown {
			delete(unknown, u)
		}
		if s.Kind != wire.StartSession || !maps.Equal(ours, theirs) || len(unknown) != 0 {
			t.Fatalf("%q: we read %+v, %T read %v and %v", packet, s, o, theirs, unknown)
		}
	}
}

func startupParameters(o other) map[string]string {
	if s, ok := o.(*v5.StartupMessage); ok {
		return s.Parameters
	}
	return o.(*v2.StartupMessage).Parameters
}

func TestStartupRefusesOtherMajors(t *testing.T) {
	for _, version := range []uint32{2 << 16, 4 << 16, 0, 1234<<16 | 5677} {
		_, err := wire.ParseStartup(binary.BigEndian.AppendUint32(nil, version))
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != wire.CodeFeatureNotSupported {
			t.Errorf("version %d.%d: %v", version>>16, version&0xffff, err)
		}
	}
}

func TestNegotiateVersionNeverRaises(t *testing.T) {
	for _, c := range []struct {
		asked   uint32
		unknown []string
		version uint32
		tell    bool
	}{
		{wire.Protocol30, nil, wire.Protocol30, false},
		{wire.Protocol30, []string{"_pq_.x"}, wire.Protocol30, true},
		{3<<16 | 1, nil, 3<<16 | 1, false},
		{wire.Protocol32, nil, wire.Protocol32, false},
		{3<<16 | 9999, nil, wire.Protocol32, true},
	} {
		version, tell := wire.NegotiateVersion(&wire.Startup{Version: c.asked, Unknown: c.unknown})
		if version != c.version || tell != c.tell {
			t.Errorf("%x %v: got %x, %v; want %x, %v", c.asked, c.unknown, version, tell, c.version, c.tell)
		}
	}
}
