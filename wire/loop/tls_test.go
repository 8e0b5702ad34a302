package loop_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"howdah/wire/loop"
)

// Records that arrive in pieces of seven bytes, with the loop called between
// any two, are put together again: crypto/tls goes on after "would block".
func TestTLSRecordsCutAtEverySeventhByte(t *testing.T) {
	t.Parallel()
	for _, test := range secureCases() {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			l := start(t)
			cut := &cutter{}
			ours, under, peer := handshake(t, test, nil, func(nc net.Conn) net.Conn { cut.Conn = nc; return cut })
			s := newSink()
			c := adoptTLS(t, l, ours, under, s)
			cut.between = func() { on(t, l, func() {}) }
			want := noise(6000, 20)
			for at, n := 0, 1; at < len(want); n = n*3 + 1 {
				part := want[at:min(at+n, len(want))]
				if _, err := peer.Write(part); err != nil {
					t.Fatal(err)
				}
				at += len(part)
			}
			on(t, l, func() {
				same(t, s.got.Bytes(), want)
				c.Write(want) // and the way back still works
			})
			same(t, readAll(t, peer, len(want)), want)
			peer.Close()
			if err := await(t, s.ended, "the end"); err != io.EOF {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// Megabytes go both ways at once between a TLS and a plain connection with
// small buffers, and no more waits in between than one read makes.
func TestTLSBigTransfersBothWays(t *testing.T) {
	t.Parallel()
	for _, test := range secureCases() {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			l := start(t)
			ours, under, peer := handshake(t, test, nil, nil)
			fd, plain := unixPair(t)
			shrink(t, fd)
			toPlain, toTLS := &relay{ended: make(chan error, 1)}, &relay{ended: make(chan error, 1)}
			on(t, l, func() {
				var errA, errB error
				toTLS.to, errA = l.AdoptTLS(ours, under, toPlain, nil)
				toPlain.to, errB = l.Adopt(fd, nil, toTLS, nil)
				if err := errors.Join(errA, errB); err != nil {
					t.Error(err)
				}
			})
			shrink(t, toTLS.to.FD())
			const size = 3 << 20
			var ends sync.WaitGroup
			for seed, way := range []struct{ from, to net.Conn }{{peer, plain}, {plain, peer}} {
				want := noise(size, uint64(seed))
				ends.Go(func() {
					if _, err := way.from.Write(want); err != nil {
						t.Error(err)
					}
				})
				ends.Go(func() {
					got := make([]byte, size)
					if n, err := io.ReadFull(way.to, got); err != nil {
						t.Errorf("read %d of %d bytes: %v", n, size, err)
						return
					}
					same(t, got, want)
				})
			}
			ends.Wait()
			on(t, l, func() {
				for _, r := range []*relay{toPlain, toTLS} {
					if limit := len(l.Buffer()) + 4096; r.most == 0 || r.most > limit {
						t.Errorf("at most %d bytes waited, want some, but not more than %d", r.most, limit)
					}
				}
			})
		})
	}
}

// Bytes that crypto/tls took in together with the last of the handshake are
// there after the adoption, without any more coming.
func TestTLSBytesReadAheadInTheHandshake(t *testing.T) {
	t.Parallel()
	for _, test := range []secureCase{{tls.VersionTLS13, true}, {tls.VersionTLS12, false}} {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			hold := &holder{}
			ready := make(chan error, 1)
			nc, socket := tcpPair(t)
			hold.Conn = socket
			config := &tls.Config{
				MinVersion: test.version, MaxVersion: test.version, InsecureSkipVerify: true,
				Certificates: []tls.Certificate{certificate()}, SessionTicketsDisabled: true,
			}
			under := &loop.Transport{Conn: nc}
			ours, peer := tls.Server(under, config), tls.Client(hold, config)
			if !test.server {
				ours, peer = tls.Client(under, config), tls.Server(hold, config)
			}
			go func() {
				_, err := peer.Write([]byte("read ahead")) // behind its side of the handshake
				if err == nil {
					err = hold.release()
				}
				ready <- err
			}()
			if err := ours.Handshake(); err != nil {
				t.Fatal(err)
			}
			if err := await(t, ready, "the peer"); err != nil {
				t.Fatal(err)
			}
			l, s := start(t), newSink()
			adoptTLS(t, l, ours, under, s)
			eventually(t, l, "the bytes are read", func() bool { return s.got.String() == "read ahead" })
		})
	}
}

// Pause holds back also what crypto/tls has decrypted already, and Resume
// brings it without another byte from the socket.
func TestTLSPauseInsideReadable(t *testing.T) {
	t.Parallel()
	for _, test := range secureCases() {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			l := start(t)
			ours, under, peer := handshake(t, test, nil, nil)
			var got []byte
			c := adoptTLS(t, l, ours, under, &handler{readable: func(c *loop.Conn) {
				n, _ := c.Read(l.Buffer()[:1])
				if got = append(got, l.Buffer()[:n]...); n > 0 {
					c.Pause()
				}
			}})
			const want = "one record"
			if _, err := peer.Write([]byte(want)); err != nil {
				t.Fatal(err)
			}
			for i := range want {
				eventually(t, l, "one byte is read", func() bool { return len(got) > i })
				settle(t, l)
				on(t, l, func() {
					if string(got) != want[:i+1] {
						t.Errorf("read %q while paused, want %q", got, want[:i+1])
					}
					c.Resume()
				})
			}
			quiet(t, l)
		})
	}
}

// A peer's goodbye behind data, and one that hangs up in the middle of a
// record, both end with EOF once all whole records are read.
func TestTLSPeerEnds(t *testing.T) {
	t.Parallel()
	for _, test := range secureCases() {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			for _, inRecord := range []bool{false, true} {
				l := start(t)
				var socket net.Conn
				ours, under, peer := handshake(t, test, nil, func(nc net.Conn) net.Conn { socket = nc; return nc })
				s := newSink()
				s.size = 5 // so that reading ends with the record half taken
				c := adoptTLS(t, l, ours, under, s)
				on(t, l, c.Pause)
				want := noise(40_000, 21)
				if _, err := peer.Write(want); err != nil {
					t.Fatal(err)
				}
				if inRecord {
					if _, err := socket.Write([]byte{23, 3, 3, 1, 0, 'x'}); err != nil {
						t.Fatal(err)
					}
					socket.Close()
				} else {
					peer.Close()
				}
				on(t, l, c.Resume)
				if err := await(t, s.ended, "the end"); err != io.EOF {
					t.Errorf("cut in a record %v: ended with %v", inRecord, err)
				}
				same(t, s.got.Bytes(), want)
			}
		})
	}
}

// Garbage in place of a record is an error and no crash.
func TestTLSGarbage(t *testing.T) {
	t.Parallel()
	for _, test := range secureCases() {
		l := start(t)
		var socket net.Conn
		ours, under, _ := handshake(t, test, nil, func(nc net.Conn) net.Conn { socket = nc; return nc })
		s := newSink()
		adoptTLS(t, l, ours, under, s)
		if _, err := socket.Write([]byte("Q\x00\x00\x00\x0dselect 1\x00, in clear text")); err != nil {
			t.Fatal(err)
		}
		if err := await(t, s.ended, "the error"); err == io.EOF || s.got.Len() > 0 {
			t.Errorf("%v: read %q, ended with %v", test, s.got.String(), err)
		}
	}
}

// Close says goodbye in TLS's own way, behind what was written.
func TestTLSCloseSaysGoodbye(t *testing.T) {
	t.Parallel()
	for _, test := range secureCases() {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			l := start(t)
			record := &recorder{}
			ours, under, peer := handshake(t, test, nil, func(nc net.Conn) net.Conn { record.Conn = nc; return record })
			c := adoptTLS(t, l, ours, under, newSink())
			on(t, l, func() {
				c.Write([]byte("goodbye"))
				c.Close()
			})
			if got, err := io.ReadAll(peer); string(got) != "goodbye" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
			typ, size := lastRecord(t, record.read)
			switch test.version {
			case tls.VersionTLS12:
				if typ != 21 {
					t.Errorf("the last record has type %d, want an alert (21)", typ)
				}
			case tls.VersionTLS13: // the type is encrypted; an alert has two bytes, one for its type, and the tag
				if typ != 23 || size != 2+1+16 {
					t.Errorf("the last record has type %d and %d bytes, want an alert's", typ, size)
				}
			}
		})
	}
}

// CloseWrite says goodbye behind what waits, and the peer is still heard.
func TestTLSCloseWrite(t *testing.T) {
	t.Parallel()
	for _, test := range secureCases() {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			l := start(t)
			ours, under, peer := handshake(t, test, nil, nil)
			s := newSink()
			c := adoptTLS(t, l, ours, under, s)
			shrink(t, c.FD())
			want := noise(1<<20, 22)
			on(t, l, func() {
				c.Write(want)
				c.CloseWrite()
			})
			if _, err := peer.Write([]byte("still heard")); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(peer)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
			eventually(t, l, "the peer is heard", func() bool { return s.got.String() == "still heard" })
			peer.Close()
			await(t, s.ended, "the end")
		})
	}
}

// lastRecord returns type and size of the last of whole TLS records.
func lastRecord(t *testing.T, b []byte) (typ byte, size int) {
	t.Helper()
	for len(b) >= 5 {
		typ, size = b[0], int(binary.BigEndian.Uint16(b[3:]))
		if len(b) < 5+size {
			break
		}
		b = b[5+size:]
	}
	if len(b) > 0 {
		t.Fatalf("%d bytes behind the last whole record", len(b))
	}
	return typ, size
}

// A loop that TLS connections idle on costs no wait.
func TestTLSIdleCostsNothing(t *testing.T) {
	t.Parallel()
	l := start(t)
	for _, test := range secureCases() {
		ours, under, peer := handshake(t, test, nil, nil)
		s := newSink()
		adoptTLS(t, l, ours, under, s)
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		eventually(t, l, "hello is read", func() bool { return s.got.String() == "hello" })
	}
	quiet(t, l)
}

func TestTLSOverWhatIsNoSocket(t *testing.T) {
	t.Parallel()
	l := start(t)
	left, right := net.Pipe()
	defer left.Close()
	defer right.Close()
	under := &loop.Transport{Conn: left}
	on(t, l, func() {
		if _, err := l.AdoptTLS(tls.Server(under, &tls.Config{}), under, newSink(), nil); err == nil {
			t.Error("AdoptTLS took a pipe in memory")
		}
	})
}
