package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"howdah/wire"
)

func proxyHeader(source, destination string) wire.ProxyHeader {
	return wire.ProxyHeader{Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination)}
}

// withNote adds a note of a proxy's to a header.
func withNote(header []byte, kind byte, value ...byte) []byte {
	header = append(bytes.Clone(header), kind, byte(len(value)>>8), byte(len(value)))
	header = append(header, value...)
	binary.BigEndian.PutUint16(header[14:], uint16(len(header)-16))
	return header
}

// withChecksum adds the checksum, as the last note.
func withChecksum(header []byte) []byte {
	header = withNote(header, 3, 0, 0, 0, 0)
	sum := crc32.Checksum(header, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(header[len(header)-4:], sum)
	return header
}

// changed returns header with one byte changed.
func changed(header []byte, at int, to byte) []byte {
	header = bytes.Clone(header)
	header[at] = to
	return header
}

func TestReadProxyHeader(t *testing.T) {
	four := proxyHeader("203.0.113.7:5", "192.0.2.1:6432")
	six := proxyHeader("[2001:db8::7]:65535", "[::1]:1")
	local := wire.ProxyHeader{Local: true}
	v4 := wire.AppendProxyHeader(nil, four)
	// The specification's own bytes, so that reading and writing are not wrong
	// alike.
	literal := []byte("\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A\x21\x11\x00\x0C\xCB\x00\x71\x07\xC0\x00\x02\x01\x00\x05\x19\x20")
	if !bytes.Equal(v4, literal) {
		t.Errorf("header %x, want %x", v4, literal)
	}
	for name, c := range map[string]struct {
		bytes []byte
		want  wire.ProxyHeader
		err   error
	}{
		"IPv4":              {v4, four, nil},
		"IPv6":              {wire.AppendProxyHeader(nil, six), six, nil},
		"local":             {wire.AppendProxyHeader(nil, local), local, nil},
		"local, notes":      {withNote(wire.AppendProxyHeader(nil, local), 9, 1, 2, 3), local, nil},
		"mapped IPv4":       {wire.AppendProxyHeader(nil, proxyHeader("[::ffff:203.0.113.7]:5", "[::ffff:192.0.2.1]:6432")), four, nil},
		"notes":             {withNote(withNote(v4, 2, []byte("db.example.com")...), 0x20, make([]byte, 300)...), four, nil},
		"checksum":          {withChecksum(withNote(v4, 4)), four, nil},
		"wrong checksum":    {changed(withChecksum(v4), 16, 1), wire.ProxyHeader{}, wire.ErrMalformed},
		"short checksum":    {withNote(v4, 3, 1, 2), wire.ProxyHeader{}, wire.ErrMalformed},
		"note cut":          {withNote(v4, 2, 1)[:len(v4)+2], wire.ProxyHeader{}, io.ErrUnexpectedEOF},
		"note longer":       {changed(withNote(v4, 2, 1), len(v4)+2, 9), wire.ProxyHeader{}, wire.ErrMalformed},
		"note of one byte":  {append(changed(v4, 15, 13), 1), wire.ProxyHeader{}, wire.ErrMalformed},
		"version 1":         {[]byte("PROXY TCP4 203.0.113.7 192.0.2.1 5 6432\r\n"), wire.ProxyHeader{}, wire.ErrNoProxyHeader},
		"version 3":         {changed(v4, 12, 0x31), wire.ProxyHeader{}, wire.ErrMalformed},
		"command 2":         {changed(v4, 12, 0x22), wire.ProxyHeader{}, wire.ErrMalformed},
		"no family":         {changed(v4, 13, 0), wire.ProxyHeader{}, wire.ErrMalformed},
		"UDP":               {changed(v4, 13, 0x12), wire.ProxyHeader{}, wire.ErrMalformed},
		"Unix":              {changed(v4, 13, 0x31), wire.ProxyHeader{}, wire.ErrMalformed},
		"IPv4 said IPv6":    {changed(v4, 13, 0x21), wire.ProxyHeader{}, wire.ErrMalformed},
		"addresses cut":     {changed(v4, 15, 11), wire.ProxyHeader{}, wire.ErrMalformed},
		"too long":          {changed(v4, 14, 0x11), wire.ProxyHeader{}, wire.ErrLength},
		"signature":         {changed(v4, 11, 'x'), wire.ProxyHeader{}, wire.ErrNoProxyHeader},
		"SSLRequest":        {wire.AppendSSLRequest(nil), wire.ProxyHeader{}, wire.ErrNoProxyHeader},
		"TLS":               {[]byte{0x16, 3, 1}, wire.ProxyHeader{}, wire.ErrNoProxyHeader},
		"nothing":           {nil, wire.ProxyHeader{}, io.EOF},
		"cut":               {v4[:20], wire.ProxyHeader{}, io.ErrUnexpectedEOF},
		"cut behind a byte": {v4[:1], wire.ProxyHeader{}, io.ErrUnexpectedEOF},
		"cut behind 16":     {v4[:16], wire.ProxyHeader{}, io.ErrUnexpectedEOF},
	} {
		rest := strings.NewReader("rest")
		in := io.MultiReader(bytes.NewReader(c.bytes), rest)
		if errors.Is(c.err, io.EOF) || errors.Is(c.err, io.ErrUnexpectedEOF) {
			in = bytes.NewReader(c.bytes)
		}
		got, err := wire.ReadProxyHeader(iotest.OneByteReader(in))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, err, c.want, c.err)
		}
		if c.err == nil && rest.Len() != 4 {
			t.Errorf("%s: %d bytes behind the header are left", name, rest.Len())
		}
	}
}

// A client that is no proxy waits for an answer behind eight bytes: it must not
// be waited for.
func TestReadProxyHeaderDoesNotWaitForAClient(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	go theirs.Write(wire.AppendSSLRequest(nil))
	ours.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := wire.ReadProxyHeader(ours); err != wire.ErrNoProxyHeader {
		t.Errorf("ReadProxyHeader: %v", err)
	}
}

// FuzzReadProxyHeader has what is read be written to the same bytes, notes
// aside, and never reads past the length that the header has.
func FuzzReadProxyHeader(f *testing.F) {
	v4 := wire.AppendProxyHeader(nil, proxyHeader("203.0.113.7:5", "192.0.2.1:6432"))
	f.Add(v4)
	f.Add(wire.AppendProxyHeader(nil, proxyHeader("[2001:db8::7]:65535", "[::1]:1")))
	f.Add(wire.AppendProxyHeader(nil, wire.ProxyHeader{Local: true}))
	f.Add(withChecksum(withNote(v4, 2, 'a')))
	f.Add([]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := wire.ReadProxyHeader(r)
		if err != nil {
			if h != (wire.ProxyHeader{}) {
				t.Fatalf("%+v with error %v", h, err)
			}
			return
		}
		if read := len(b) - r.Len(); read != 16+int(binary.BigEndian.Uint16(b[14:])) {
			t.Fatalf("read %d bytes", read)
		}
		if h.Local {
			return
		}
		if !h.Source.IsValid() || !h.Destination.IsValid() || h.Source.Addr().Is4In6() {
			t.Fatalf("addresses %+v", h)
		}
		if h.Source.Addr().Is4() == h.Destination.Addr().Is4() && h.Source.Addr().Is4() == (b[13] == 0x11) {
			again := wire.AppendProxyHeader(nil, h)
			if !bytes.Equal(again[16:], b[16:len(again)]) {
				t.Fatalf("%x, written %x", b, again)
			}
		}
	})
}
