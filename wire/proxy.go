package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
)

// The PROXY protocol, version 2 (HAProxy, proxy-protocol.txt, section 2.2): a
// header with which a proxy begins a connection, to say on whose behalf.

// ErrNoProxyHeader reports a connection that begins with anything else.
var ErrNoProxyHeader = errors.New("wire: no header of the PROXY protocol, version 2")

const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyHeaderLen = 16   // signature, version and command, family, length
	maxProxyLen    = 4096 // of what follows; addresses and a few notes of the proxy's

	proxyTypeCRC32C = 0x03
)

// ProxyHeader says where a connection comes from.
type ProxyHeader struct {
	Local               bool // it is the proxy's own, a health check: no addresses
	Source, Destination netip.AddrPort
}

// ReadProxyHeader reads a header and not a byte past it. It takes connections
// by TCP over IPv4 and IPv6, and LOCAL ones. The error is ErrNoProxyHeader,
// wraps ErrMalformed or ErrLength, or is r's own.
func ReadProxyHeader(r io.Reader) (h ProxyHeader, err error) {
	var head [proxyHeaderLen]byte
	// The first byte tells a PostgreSQL client, which would wait for an answer
	// long before it has sent as much as a header.
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return h, fmt.Errorf("read PROXY header: %w", err)
	}
	if head[0] != proxySignature[0] {
		return h, ErrNoProxyHeader
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return h, fmt.Errorf("read PROXY header: %w", unexpected(err))
	}
	if string(head[:len(proxySignature)]) != proxySignature {
		return h, ErrNoProxyHeader
	}
	n := int(binary.BigEndian.Uint16(head[14:]))
	if n > maxProxyLen {
		return h, fmt.Errorf("read PROXY header: %w: %d", ErrLength, n)
	}
	whole := make([]byte, proxyHeaderLen+n)
	copy(whole, head[:])
	if _, err := io.ReadFull(r, whole[proxyHeaderLen:]); err != nil {
		return h, fmt.Errorf("read PROXY header: %w", unexpected(err))
	}
	return parseProxyHeader(whole)
}

// unexpected says that a header had begun.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseProxyHeader decodes a header whose signature and length are right.
func parseProxyHeader(whole []byte) (h ProxyHeader, err error) {
	body := whole[proxyHeaderLen:]
	if version := whole[12] >> 4; version != 2 {
		return h, fmt.Errorf("%w: PROXY version %d", ErrMalformed, version)
	}
	switch whole[12] & 0xf {
	case 0:
		// What follows is for nobody, whatever its family.
		return ProxyHeader{Local: true}, nil
	case 1:
	default:
		return h, fmt.Errorf("%w: PROXY command %d", ErrMalformed, whole[12]&0xf)
	}
	size := 0
	switch whole[13] {
	case 0x11: // IPv4, a stream
		size = 4
	case 0x21: // IPv6, a stream
		size = 16
	default:
		return h, fmt.Errorf("%w: PROXY family %#02x is not TCP", ErrMalformed, whole[13])
	}
	if len(body) < 2*size+4 {
		return h, fmt.Errorf("%w: PROXY addresses are cut", ErrMalformed)
	}
	source, _ := netip.AddrFromSlice(body[:size])
	destination, _ := netip.AddrFromSlice(body[size : 2*size])
	ports := body[2*size:]
	h.Source = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(ports))
	h.Destination = netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	if err := checkProxyNotes(whole, proxyHeaderLen+2*size+4); err != nil {
		return ProxyHeader{}, err
	}
	return h, nil
}

// checkProxyNotes walks the proxy's notes (type, length, value), which begin at
// i, and compares the checksum if there is one: over the header with the
// checksum's own bytes as zeros.
func checkProxyNotes(whole []byte, i int) error {
	for i < len(whole) {
		if len(whole)-i < 3 {
			return fmt.Errorf("%w: PROXY note is cut", ErrMalformed)
		}
		kind, n := whole[i], int(binary.BigEndian.Uint16(whole[i+1:]))
		if i += 3; n > len(whole)-i {
			return fmt.Errorf("%w: PROXY note is cut", ErrMalformed)
		}
		if kind == proxyTypeCRC32C {
			if n != 4 {
				return fmt.Errorf("%w: PROXY checksum of %d bytes", ErrMalformed, n)
			}
			sum := binary.BigEndian.Uint32(whole[i:])
			clear(whole[i : i+4])
			if crc32.Checksum(whole, crc32.MakeTable(crc32.Castagnoli)) != sum {
				return fmt.Errorf("%w: PROXY checksum is wrong", ErrMalformed)
			}
			binary.BigEndian.PutUint32(whole[i:], sum)
		}
		i += n
	}
	return nil
}

// AppendProxyHeader adds a header without notes, as a proxy sends it: of a
// connection by TCP, or LOCAL. Both addresses are of one family.
func AppendProxyHeader(dst []byte, h ProxyHeader) []byte {
	dst = append(dst, proxySignature...)
	if h.Local {
		return append(dst, 0x20, 0, 0, 0)
	}
	family := byte(0x11)
	if h.Source.Addr().Is6() {
		family = 0x21
	}
	source, destination := h.Source.Addr().AsSlice(), h.Destination.Addr().AsSlice()
	dst = append(dst, 0x21, family)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(source)+len(destination)+4))
	dst = append(append(dst, source...), destination...)
	dst = binary.BigEndian.AppendUint16(dst, h.Source.Port())
	return binary.BigEndian.AppendUint16(dst, h.Destination.Port())
}
