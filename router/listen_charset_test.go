package router

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"howdah/wire"
	"howdah/wire/wiretest"
)

func speaking(client, server string) *vars {
	var table varsTable
	return table.of([]wire.Parameter{{Name: "client_encoding", Value: client}, {Name: "server_encoding", Value: server}})
}

// A LISTEN is for the channel that PostgreSQL would take it for, or a server's.
func TestChannelsAreUTF8(t *testing.T) {
	for _, test := range []struct{ client, server, text, want string }{
		{"UTF8", "UTF8", "listen news", "news"},
		{"UTF8", "UTF8", `listen "hé"`, "hé"},
		{"LATIN1", "UTF8", "listen \"h\xe9\"", "hé"},
		{"LATIN1", "UTF8", "unlisten \"h\xe9\"", "hé"},
		{"LATIN2", "UTF8", "listen \"\xb1\"", "ą"},
		{"KOI8R", "UTF8", "listen \"\xc4\xc1\"", "да"},
		{"EUC_KR", "UTF8", "listen \"\xb0\xa1\"", "가"},
		{"EUC_CN", "UTF8", "listen \"\xd6\xd0\"", "中"},
		{"SQL_ASCII", "UTF8", `listen "hé"`, "hé"},
		{"SQL_ASCII", "LATIN1", "listen \"h\xe9\"", "hé"},
		{"LATIN1", "SQL_ASCII", "listen \"h\xe9\"", "h\xe9"},
		{"UTF8", "LATIN1", `listen "` + strings.Repeat("é", 28) + `"`, strings.Repeat("é", 28)},
		{"SJIS", "UTF8", "unlisten news", "news"},
		// what only a server can say:
		{"UTF8", "UTF8", "listen \"h\xe9\"", ""},
		{"UTF8", "UTF8", "listen \"h\x00\"", ""},
		{"UTF8", "LATIN1", `listen "` + strings.Repeat("é", 40) + `"`, ""},
		{"LATIN1", "UTF8", "listen \"" + strings.Repeat("\xe9", 60) + "\"", ""},
		{"LATIN1", "UTF8", "listen \"" + strings.Repeat("\xe9", 40) + "\"", ""},
		{"SQL_ASCII", "UTF8", "listen \"h\xe9\"", ""},
		{"WIN1252", "UTF8", "listen \"\x81\"", ""},
		{"KOI8U", "UTF8", "listen \"\xae\"", ""},
		{"EUC_CN", "UTF8", "listen \"\xa1\xaa\"", ""},
		{"SJIS", "UTF8", "listen news", ""},
		{"EUC_JP", "UTF8", "listen news", ""},
		{"UTF8", "MULE_INTERNAL", "listen news", ""},
	} {
		r := speaking(test.client, test.server).read([]byte(test.text))
		if r.name != test.want || (r.command == 0) != (test.want == "") {
			t.Errorf("%s in %s over %s: for %q, command %d, want %q", test.text, test.client, test.server, r.name, r.command, test.want)
		}
	}
}

// A notification arrives in the client's encoding, or is the session's end.
func TestNotificationsAreConverted(t *testing.T) {
	note := func(channel, payload string) []byte {
		return wire.AppendMessage(nil, wire.NotificationResponse, []byte{0, 0, 0, 7}, []byte(channel), []byte{0}, []byte(payload), []byte{0})
	}
	for _, test := range []struct{ client, server, channel, payload, wantChannel, wantPayload, code string }{
		{"UTF8", "UTF8", "é", "€", "é", "€", ""},
		{"LATIN1", "UTF8", "é", "ü", "\xe9", "\xfc", ""},
		{"LATIN9", "UTF8", "a", "€", "a", "\xa4", ""},
		{"WIN1252", "UTF8", "a", "€", "a", "\x80", ""},
		{"EUC_KR", "UTF8", "a", "가b", "a", "\xb0\xa1b", ""},
		{"GBK", "UTF8", "a", "中", "a", "\xd6\xd0", ""},
		{"GB18030", "UTF8", "a", "😀", "a", "\x94\x39\xfc\x36", ""},
		{"SQL_ASCII", "UTF8", "a", "é", "a", "é", ""},
		{"SQL_ASCII", "LATIN1", "a", "é", "a", "\xe9", ""},
		{"LATIN1", "SQL_ASCII", "a", "\xff", "a", "\xff", ""},
		{"SJIS", "UTF8", "a", "plain", "a", "plain", ""},
		{"LATIN1", "UTF8", "a", "€", "", "", "22P05"},
		{"LATIN1", "UTF8", "€", "a", "", "", "22P05"},
		{"EUC_KR", "UTF8", "a", "갂", "", "", "22P05"},
		{"EUC_CN", "UTF8", "a", "—", "", "", "22P05"},
		{"GB18030", "UTF8", "a", "\ue000", "", "", "22P05"},
		{"SJIS", "UTF8", "a", "あ", "", "", "22P05"},
	} {
		got, e := speaking(test.client, test.server).spoken(nil, note(test.channel, test.payload))
		want := note(test.wantChannel, test.wantPayload)
		if test.code != "" {
			want = nil
		}
		if !bytes.Equal(got, want) || (e != nil) != (test.code != "") || e != nil && (e.Code != test.code || e.Severity != "FATAL") {
			t.Errorf("%s %s in %s over %s: %q and %v", test.channel, test.payload, test.client, test.server, got, e)
		}
	}
}

func TestTextsAreConvertedAsFarAsTheyCan(t *testing.T) {
	for client, want := range map[string]string{"UTF8": "é€", "LATIN1": "\xe9?", "SJIS": "??"} {
		if got := speaking(client, "UTF8").spokenText("é€"); got != want {
			t.Errorf("%q in %s, want %q", got, client, want)
		}
	}
}

// Every character that we convert PostgreSQL converts to the same bytes.
func TestCharsetsArePostgreSQLs(t *testing.T) {
	server := wiretest.StartPostgres(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for name, cs := range charsets {
		var text, ours []byte
		last := rune(0x2FFFF)
		if name == "GB18030" { // it has them all
			last = utf8.MaxRune
		}
		for r := rune(1); r <= last; r++ {
			if !utf8.ValidRune(r) {
				continue
			}
			c, _, ok := cs.encode(nil, []byte(string(r)))
			if !ok {
				continue
			}
			text, ours = utf8.AppendRune(text, r), append(ours, c...)
			if back, ok := cs.decode(string(c)); (!ok || back != string(r)) && (r >= 0xA0 || !cs.controls) {
				t.Errorf("%s: %U becomes % x, and that %q", name, r, c, back)
			}
		}
		var theirs string
		if err := server.QueryRow(ctx, "postgres", "select md5(convert_to($1, $2))", []any{string(text), name}, &theirs); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var mine string
		if err := server.QueryRow(ctx, "postgres", "select md5($1::bytea)", []any{ours}, &mine); err != nil {
			t.Fatal(err)
		}
		if mine != theirs {
			t.Errorf("%s: %s", name, firstDifference(ctx, server.QueryRow, name, cs, []rune(string(text))))
		}
		if least := 40; len([]rune(string(text)))-127 < least {
			t.Errorf("%s has fewer than %d characters", name, least)
		}
	}
}

type queryRow func(ctx context.Context, database, query string, args []any, dest ...any) error

func firstDifference(ctx context.Context, ask queryRow, name string, cs *charset, runes []rune) string {
	for _, r := range runes {
		var theirs []byte
		err := ask(ctx, "postgres", "select convert_to($1, $2)", []any{string(r), name}, &theirs)
		if ours, _, _ := cs.encode(nil, []byte(string(r))); err != nil || !bytes.Equal(ours, theirs) {
			return fmt.Sprintf("%U is % x here, there % x (%v)", r, ours, theirs, err)
		}
	}
	return "no character of its own"
}
