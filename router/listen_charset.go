package router

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"

	"howdah/wire"
)

// The connection that listens speaks UTF-8, and channels are known by their
// names in it. What a session says and hears of them is in its client_encoding,
// as PostgreSQL would convert it. Where its tables and golang.org/x/text's do
// not agree on what a character is (SJIS, EUC_JP, BIG5 and the rarer ones), a
// LISTEN is left to a server, which stays with its session.
//
// A database in SQL_ASCII converts nothing, and neither do we there.

// charset converts between UTF-8 and an encoding of PostgreSQL's.
type charset struct {
	encoding.Encoding

	controls bool                        // U+0080 to U+009F become their bytes
	has      func(r rune, c []byte) bool // whether PostgreSQL has the character, nil for always
}

// charsets are those that PostgreSQL and we convert alike, by its names.
var charsets = map[string]*charset{
	"LATIN1": {Encoding: charmap.ISO8859_1}, "LATIN2": {Encoding: charmap.ISO8859_2, controls: true},
	"LATIN3": {Encoding: charmap.ISO8859_3, controls: true}, "LATIN4": {Encoding: charmap.ISO8859_4, controls: true},
	"LATIN5": {Encoding: charmap.ISO8859_9}, "LATIN6": {Encoding: charmap.ISO8859_10, controls: true},
	"LATIN7": {Encoding: charmap.ISO8859_13, controls: true}, "LATIN8": {Encoding: charmap.ISO8859_14, controls: true},
	"LATIN9": {Encoding: charmap.ISO8859_15, controls: true}, "LATIN10": {Encoding: charmap.ISO8859_16, controls: true},
	"ISO_8859_5": {Encoding: charmap.ISO8859_5, controls: true}, "ISO_8859_6": {Encoding: charmap.ISO8859_6, controls: true},
	"ISO_8859_7": {Encoding: charmap.ISO8859_7, controls: true}, "ISO_8859_8": {Encoding: charmap.ISO8859_8, controls: true},
	"WIN866": {Encoding: charmap.CodePage866}, "WIN874": {Encoding: charmap.Windows874},
	"WIN1250": {Encoding: charmap.Windows1250}, "WIN1251": {Encoding: charmap.Windows1251},
	"WIN1252": {Encoding: charmap.Windows1252}, "WIN1253": {Encoding: charmap.Windows1253},
	"WIN1254": {Encoding: charmap.Windows1254}, "WIN1255": {Encoding: charmap.Windows1255, has: but(0xCA)},
	"WIN1256": {Encoding: charmap.Windows1256}, "WIN1257": {Encoding: charmap.Windows1257},
	"WIN1258": {Encoding: charmap.Windows1258},
	"KOI8R":   {Encoding: charmap.KOI8R}, "KOI8U": {Encoding: charmap.KOI8U, has: but(0xAE, 0xBE)},
	"EUC_KR": {Encoding: korean.EUCKR, has: inEUC}, "UHC": {Encoding: korean.EUCKR},
	"EUC_CN": {Encoding: simplifiedchinese.GBK, has: inGB2312}, "GBK": {Encoding: simplifiedchinese.GBK, has: inGBK},
	"GB18030": {Encoding: simplifiedchinese.GB18030, has: inPublicUse},
}

// but refuses characters by their bytes.
func but(refused ...byte) func(rune, []byte) bool {
	return func(_ rune, c []byte) bool { return bytes.IndexByte(refused, c[0]) < 0 }
}

func inEUC(_ rune, c []byte) bool { return len(c) == 2 && c[0] >= 0xA1 && c[1] >= 0xA1 }

// inGB2312 tells the part of GBK that is EUC_CN: without what was added in its
// rows, nor the dash and the dot that PostgreSQL takes for others than we do.
func inGB2312(r rune, c []byte) bool {
	if !inEUC(r, c) {
		return false
	}
	switch lead, trail := c[0], c[1]; lead {
	case 0xA1:
		return trail != 0xA4 && trail != 0xAA
	case 0xA2:
		return trail > 0xAA
	case 0xA6:
		return trail < 0xE0
	case 0xA8:
		return trail < 0xBB || trail > 0xC0
	}
	return true
}

// inGBK is without what came to GBK later.
func inGBK(_ rune, c []byte) bool {
	if len(c) != 2 {
		return true
	}
	switch lead, trail := c[0], c[1]; lead {
	case 0xA8:
		return trail != 0xBF
	case 0xA9:
		return trail < 0x89 || trail > 0x95
	case 0xFE:
		return trail < 0x50 || trail > 0x9F
	}
	return true
}

func inPublicUse(r rune, _ []byte) bool { return r < 0xE000 || r > 0xF8FF }

// charset returns how channels and payloads are converted for a session: nil
// for not at all. ok is false where only PostgreSQL can do it.
func (v *vars) charset() (cs *charset, ok bool) {
	server, _ := v.value("server_encoding")
	client, _ := v.value("client_encoding")
	if client == "SQL_ASCII" {
		client = server // its bytes are the server's
	}
	switch {
	case server == "MULE_INTERNAL": // cannot become UTF-8
		return nil, false
	case server == "SQL_ASCII", client == "", client == "UTF8":
		return nil, true
	}
	cs = charsets[client]
	return cs, cs != nil
}

// encode adds text, which is UTF-8, in the encoding. ok is false where a
// character is not in it: the first such is left in lost.
func (cs *charset) encode(dst, text []byte) (all []byte, lost rune, ok bool) {
	encoder := cs.NewEncoder()
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n <= 1 {
			return dst, r, false
		}
		switch {
		case r < utf8.RuneSelf:
			dst = append(dst, byte(r))
		case r < 0xA0 && cs.controls:
			dst = append(dst, byte(r))
		default:
			c, err := encoder.Bytes(text[:n])
			if err != nil || cs.has != nil && !cs.has(r, c) {
				return dst, r, false
			}
			dst = append(dst, c...)
		}
		text = text[n:]
	}
	return dst, 0, true
}

// decode returns a name that a client has sent in the encoding. It must be the
// one way to write it.
func (cs *charset) decode(name string) (string, bool) {
	text, err := cs.NewDecoder().String(name)
	if err != nil {
		return "", false
	}
	back, _, ok := cs.encode(nil, []byte(text))
	return text, ok && string(back) == name
}

// heardAs has the channel of a LISTEN or UNLISTEN named as the listener does.
// Without a name it is left to a server: r is no command of ours.
func (v *vars) heardAs(r *reading) {
	if r.command != commandListen && r.command != commandUnlisten {
		return
	}
	cs, ok := v.charset()
	switch {
	case r.command == commandListen && !ok, strings.Contains(r.name, "\x00"):
	case ascii([]byte(r.name)):
		return
	case !ok:
	case r.to-r.from > maxName-maxCharacter && !v.cutsAsWe():
	case cs != nil:
		if r.name, ok = cs.decode(r.name); ok && len(r.name) <= maxName {
			return
		}
	case utf8.ValidString(r.name) || v.raw():
		return
	}
	r.command, r.name = 0, ""
}

// maxCharacter is the longest character of any encoding, in bytes.
const maxCharacter = 4

// cutsAsWe reports whether a name that is too long loses the same characters
// at the server as here: names are cut in the server's encoding.
func (v *vars) cutsAsWe() bool {
	server, _ := v.value("server_encoding")
	client, _ := v.value("client_encoding")
	return (server == "UTF8" || server == "") && (client == "UTF8" || client == "SQL_ASCII" || client == "")
}

// raw reports whether the database takes any bytes for text.
func (v *vars) raw() bool {
	server, _ := v.value("server_encoding")
	return server == "SQL_ASCII"
}

// spoken returns a notification as the session's client hears it, or the error
// that it hears instead.
func (v *vars) spoken(dst []byte, note []byte) ([]byte, *wire.Error) {
	cs, ok := v.charset()
	if cs == nil && ok || ascii(note[wire.HeaderLen+4:]) {
		return append(dst, note...), nil
	}
	client, _ := v.value("client_encoding")
	if !ok {
		return dst, untold(fmt.Sprintf("a notification cannot be converted to %q by Howdah", client))
	}
	n, err := wire.ParseNotification(note[wire.HeaderLen:])
	if err != nil {
		return dst, untold(err.Error())
	}
	channel, lost, ok := cs.encode(nil, n.Channel)
	payload := []byte(nil)
	if ok {
		payload, lost, ok = cs.encode(nil, n.Payload)
	}
	if !ok {
		return dst, untold(fmt.Sprintf("character with byte sequence % #x in encoding \"UTF8\" has no equivalent in encoding %q", string(lost), client))
	}
	return wire.AppendMessage(dst, wire.NotificationResponse, note[wire.HeaderLen:wire.HeaderLen+4], channel, []byte{0}, payload, []byte{0}), nil
}

// spokenText returns a text for a client as far as its encoding has it.
func (v *vars) spokenText(text string) string {
	cs, ok := v.charset()
	if cs == nil && ok {
		return text
	}
	var b []byte
	for _, r := range text {
		c, said := []byte{byte(r)}, r < utf8.RuneSelf
		if !said && ok {
			c, _, said = cs.encode(nil, []byte(string(r)))
		}
		if !said {
			c = []byte{'?'}
		}
		b = append(b, c...)
	}
	return string(b)
}

func untold(message string) *wire.Error {
	return wire.Fatal(codeUntranslatable, message, "A notification was lost with it. Use client_encoding UTF8 to listen.")
}

// codeUntranslatable is PostgreSQL's untranslatable_character.
const codeUntranslatable = "22P05"
