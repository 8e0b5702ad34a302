package main

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgproto3"
)

// answers are the server messages of fakeBackend, encoded.
type answers struct {
	login, parse, bind, describeStatement, describePortal, execute, closed, ready, query []byte
}

// toStartup answers a startup packet and says whether a session follows; nil is
// for a CancelRequest.
func (a *answers) toStartup(packet []byte) (answer []byte, session bool) {
	const cancel, tls, gss = 80877102, 80877103, 80877104
	switch binary.BigEndian.Uint32(packet[4:]) {
	case cancel:
		return nil, false
	case tls, gss:
		return []byte("N"), false
	}
	return a.login, true
}

// to is the answer to a whole client message.
func (a *answers) to(message []byte) []byte {
	switch message[0] {
	case 'Q':
		return a.query
	case 'P':
		return a.parse
	case 'B':
		return a.bind
	case 'D':
		if message[5] == 'S' {
			return a.describeStatement
		}
		return a.describePortal
	case 'E':
		return a.execute
	case 'C':
		return a.closed
	case 'S':
		return a.ready
	}
	return nil
}

func encodeAnswers() (a answers, err error) {
	row := &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{
		Name: []byte("?column?"), DataTypeOID: 23, DataTypeSize: 4, TypeModifier: -1,
	}}}
	data := &pgproto3.DataRow{Values: [][]byte{[]byte("1")}}
	done := &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
	ready := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	login := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}}
	for _, p := range [][2]string{
		{"server_version", "15.0"},
		{"server_encoding", "UTF8"},
		{"client_encoding", "UTF8"},
		{"application_name", ""},
		{"is_superuser", "off"},
		{"session_authorization", tenant},
		{"DateStyle", "ISO, MDY"},
		{"IntervalStyle", "postgres"},
		{"TimeZone", "UTC"},
		{"integer_datetimes", "on"},
		{"standard_conforming_strings", "on"},
		{"default_transaction_read_only", "off"},
		{"in_hot_standby", "off"},
	} {
		login = append(login, &pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	login = append(login, &pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}}, ready)
	for _, answer := range []struct {
		into     *[]byte
		messages []pgproto3.BackendMessage
	}{
		{&a.login, login},
		{&a.parse, []pgproto3.BackendMessage{&pgproto3.ParseComplete{}}},
		{&a.bind, []pgproto3.BackendMessage{&pgproto3.BindComplete{}}},
		{&a.describeStatement, []pgproto3.BackendMessage{&pgproto3.ParameterDescription{}, row}},
		{&a.describePortal, []pgproto3.BackendMessage{row}},
		{&a.execute, []pgproto3.BackendMessage{data, done}},
		{&a.closed, []pgproto3.BackendMessage{&pgproto3.CloseComplete{}}},
		{&a.ready, []pgproto3.BackendMessage{ready}},
		{&a.query, []pgproto3.BackendMessage{row, data, done, ready}},
	} {
		for _, m := range answer.messages {
			if *answer.into, err = m.Encode(*answer.into); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}
