package wire

import "encoding/binary"

// The Append functions add one whole message to dst and return the extended
// slice, as the built-in append does.

// AppendMessage adds a message of type typ with the given body.
func AppendMessage(dst []byte, typ byte, body ...[]byte) []byte {
	n := 4
	for _, b := range body {
		n += len(b)
	}
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	for _, b := range body {
		dst = append(dst, b...)
	}
	return dst
}

// AppendString adds a message of type typ whose body is the zero-ended text:
// Query, CommandComplete, CopyFail.
func AppendString(dst []byte, typ byte, text string) []byte {
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(text)+1))
	dst = append(dst, text...)
	return append(dst, 0)
}

// AppendReadyForQuery adds a ReadyForQuery.
func AppendReadyForQuery(dst []byte, s TxStatus) []byte {
	return append(dst, ReadyForQuery, 0, 0, 0, 5, byte(s))
}

// AppendParameterStatus adds a ParameterStatus.
func AppendParameterStatus(dst []byte, name, value string) []byte {
	dst = append(dst, ParameterStatus)
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(name)+1+len(value)+1))
	dst = append(dst, name...)
	dst = append(dst, 0)
	dst = append(dst, value...)
	return append(dst, 0)
}

// AppendBackendKeyData adds a BackendKeyData.
func AppendBackendKeyData(dst []byte, k Key) []byte {
	dst = append(dst, BackendKeyData)
	dst = binary.BigEndian.AppendUint32(dst, uint32(8+len(k.Secret)))
	dst = binary.BigEndian.AppendUint32(dst, k.PID)
	return append(dst, k.Secret...)
}

// AppendAuthentication adds an Authentication request with the data behind its
// kind.
func AppendAuthentication(dst []byte, kind uint32, data []byte) []byte {
	dst = append(dst, Authentication)
	dst = binary.BigEndian.AppendUint32(dst, uint32(8+len(data)))
	dst = binary.BigEndian.AppendUint32(dst, kind)
	return append(dst, data...)
}

// AppendParse adds a Parse. OIDs are 4 bytes each, as on the wire.
func AppendParse(dst []byte, name, text string, oids []byte) []byte {
	dst = append(dst, Parse)
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(name)+1+len(text)+1+2+len(oids)))
	dst = append(dst, name...)
	dst = append(dst, 0)
	dst = append(dst, text...)
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(oids)/4))
	return append(dst, oids...)
}

// AppendBindHeader adds the start of a Bind: header and the two names. The
// caller adds restLen bytes of formats and values behind it.
func AppendBindHeader(dst []byte, portal []byte, statement string, restLen int) []byte {
	dst = append(dst, Bind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(portal)+1+len(statement)+1+restLen))
	dst = append(dst, portal...)
	dst = append(dst, 0)
	dst = append(dst, statement...)
	return append(dst, 0)
}

// AppendBindText adds a Bind of text parameters to the unnamed portal, with
// results in text.
func AppendBindText(dst []byte, statement string, params ...string) []byte {
	n := 2 + 2 + 2
	for _, p := range params {
		n += 4 + len(p)
	}
	dst = AppendBindHeader(dst, nil, statement, n)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(params)))
	for _, p := range params {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(p)))
		dst = append(dst, p...)
	}
	return binary.BigEndian.AppendUint16(dst, 0)
}

// AppendTarget adds a Describe or Close (typ) of the statement or portal
// (kind) called name.
func AppendTarget(dst []byte, typ, kind byte, name string) []byte {
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+1+len(name)+1))
	dst = append(dst, kind)
	dst = append(dst, name...)
	return append(dst, 0)
}

// AppendExecute adds an Execute of the unnamed portal, all rows.
func AppendExecute(dst []byte) []byte {
	return append(dst, Execute, 0, 0, 0, 9, 0, 0, 0, 0, 0)
}

// AppendEmpty adds a message without a body: Sync, Flush, Terminate, CopyDone,
// ParseComplete and their like.
func AppendEmpty(dst []byte, typ byte) []byte {
	return append(dst, typ, 0, 0, 0, 4)
}
