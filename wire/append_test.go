package wire_test

import (
	"bytes"
	"testing"

	v2 "github.com/jackc/pgproto3/v2"
	v5 "github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

// Every message we build must be, byte for byte, what others build.
func TestAppendEqualsOthers(t *testing.T) {
	key := wire.Key{PID: 7, Secret: []byte{0, 0, 0, 9}}
	text := [][]byte{[]byte("a"), {}}
	fatal := &wire.Error{Severity: "FATAL", Code: "3D000", Message: "m", Detail: "d", Hint: "h"}
	for name, c := range map[string]struct {
		ours   []byte
		others []other
	}{
		"Query":            {wire.AppendString(nil, wire.Query, "select 1"), []other{&v5.Query{String: "select 1"}, &v2.Query{String: "select 1"}}},
		"CommandComplete":  {wire.AppendString(nil, wire.CommandComplete, "SELECT 1"), []other{&v5.CommandComplete{CommandTag: []byte("SELECT 1")}, &v2.CommandComplete{CommandTag: []byte("SELECT 1")}}},
		"CopyFail":         {wire.AppendString(nil, wire.CopyFail, "no"), []other{&v5.CopyFail{Message: "no"}, &v2.CopyFail{Message: "no"}}},
		"CopyData":         {wire.AppendMessage(nil, wire.CopyData, []byte("a"), nil, []byte("b")), []other{&v5.CopyData{Data: []byte("ab")}, &v2.CopyData{Data: []byte("ab")}}},
		"ReadyForQuery":    {wire.AppendReadyForQuery(nil, wire.TxFailed), []other{&v5.ReadyForQuery{TxStatus: 'E'}, &v2.ReadyForQuery{TxStatus: 'E'}}},
		"ParameterStatus":  {wire.AppendParameterStatus(nil, "a", "b"), []other{&v5.ParameterStatus{Name: "a", Value: "b"}, &v2.ParameterStatus{Name: "a", Value: "b"}}},
		"BackendKeyData":   {wire.AppendBackendKeyData(nil, key), []other{&v5.BackendKeyData{ProcessID: 7, SecretKey: key.Secret}, &v2.BackendKeyData{ProcessID: 7, SecretKey: 9}}},
		"CancelRequest":    {wire.AppendCancelRequest(nil, key), []other{&v5.CancelRequest{ProcessID: 7, SecretKey: key.Secret}, &v2.CancelRequest{ProcessID: 7, SecretKey: 9}}},
		"AuthenticationOk": {wire.AppendAuthentication(nil, wire.AuthOK, nil), []other{&v5.AuthenticationOk{}, &v2.AuthenticationOk{}}},
		"MD5":              {wire.AppendAuthentication(nil, wire.AuthMD5, []byte("salt")), []other{&v5.AuthenticationMD5Password{Salt: [4]byte([]byte("salt"))}, &v2.AuthenticationMD5Password{Salt: [4]byte([]byte("salt"))}}},
		"SASL":             {wire.AppendAuthentication(nil, wire.AuthSASL, []byte("X\x00Y\x00\x00")), []other{&v5.AuthenticationSASL{AuthMechanisms: []string{"X", "Y"}}, &v2.AuthenticationSASL{AuthMechanisms: []string{"X", "Y"}}}},
		"SASLContinue":     {wire.AppendAuthentication(nil, wire.AuthSASLContinue, []byte("x")), []other{&v5.AuthenticationSASLContinue{Data: []byte("x")}, &v2.AuthenticationSASLContinue{Data: []byte("x")}}},
		"SASLFinal":        {wire.AppendAuthentication(nil, wire.AuthSASLFinal, []byte("x")), []other{&v5.AuthenticationSASLFinal{Data: []byte("x")}, &v2.AuthenticationSASLFinal{Data: []byte("x")}}},
		"Parse":            {wire.AppendParse(nil, "s", "select $1", []byte{0, 0, 0, 25, 0, 0, 0, 23}), []other{&v5.Parse{Name: "s", Query: "select $1", ParameterOIDs: []uint32{25, 23}}, &v2.Parse{Name: "s", Query: "select $1", ParameterOIDs: []uint32{25, 23}}}},
		"Bind":             {wire.AppendBindText(nil, "s", "a", ""), []other{&v5.Bind{PreparedStatement: "s", Parameters: text}, &v2.Bind{PreparedStatement: "s", Parameters: text}}},
		"BindHeader":       {append(wire.AppendBindHeader(nil, []byte("p"), "s", 6), 0, 0, 0, 0, 0, 0), []other{&v5.Bind{DestinationPortal: "p", PreparedStatement: "s"}, &v2.Bind{DestinationPortal: "p", PreparedStatement: "s"}}},
		"Describe":         {wire.AppendTarget(nil, wire.Describe, wire.KindStatement, "s"), []other{&v5.Describe{ObjectType: 'S', Name: "s"}, &v2.Describe{ObjectType: 'S', Name: "s"}}},
		"Close":            {wire.AppendTarget(nil, wire.Close, wire.KindPortal, ""), []other{&v5.Close{ObjectType: 'P'}, &v2.Close{ObjectType: 'P'}}},
		"Execute":          {wire.AppendExecute(nil), []other{&v5.Execute{}, &v2.Execute{}}},
		"Sync":             {wire.AppendEmpty(nil, wire.Sync), []other{&v5.Sync{}, &v2.Sync{}}},
		"ParseComplete":    {wire.AppendEmpty(nil, wire.ParseComplete), []other{&v5.ParseComplete{}, &v2.ParseComplete{}}},
		"StartupMessage":   {startup, []other{&v5.StartupMessage{ProtocolVersion: wire.Protocol30, Parameters: map[string]string{"user": "anna"}}, &v2.StartupMessage{ProtocolVersion: wire.Protocol30, Parameters: map[string]string{"user": "anna"}}}},
		"SSLRequest":       {sslRequest, []other{&v5.SSLRequest{}, &v2.SSLRequest{}}},
		"Negotiate":        {wire.AppendNegotiateVersion(nil, wire.Protocol32, []string{"_pq_.x"}), []other{&v5.NegotiateProtocolVersion{NewestMinorProtocol: wire.Protocol32, UnrecognizedOptions: []string{"_pq_.x"}}}},
		"ErrorResponse": {wire.AppendError(nil, fatal), []other{
			&v5.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "3D000", Message: "m", Detail: "d", Hint: "h"},
			&v2.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "3D000", Message: "m", Detail: "d", Hint: "h"},
		}},
		"NoticeResponse": {wire.AppendNotice(nil, &wire.Error{Severity: "WARNING", Message: "m"}), []other{
			&v5.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Message: "m"},
			&v2.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Message: "m"},
		}},
	} {
		for _, o := range c.others {
			want, err := o.Encode(nil)
			if err != nil {
				t.Errorf("%s: %T: %v", name, o, err)
			}
			if !bytes.Equal(c.ours, want) {
				t.Errorf("%s: we build %q, %T builds %q", name, c.ours, o, want)
			}
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	there := []byte("there")
	for _, b := range [][]byte{
		wire.AppendError(there, wire.Fatal("08P01", "m", "")), wire.AppendStartup(there, wire.Protocol30, nil),
		wire.AppendNegotiateVersion(there, wire.Protocol32, nil), wire.AppendBindText(there, "s", "p"),
	} {
		if !bytes.HasPrefix(b, there) {
			t.Errorf("%q", b)
		}
	}
}

func TestErrorsNeverCarryZeroBytes(t *testing.T) {
	e, err := wire.ParseError(body(wire.AppendError(nil, wire.Fatal("08P01", "a\x00Mb", "c"))))
	if err != nil || e.Message != "aMb" || e.Hint != "c" {
		t.Errorf("%+v, %v", e, err)
	}
}
