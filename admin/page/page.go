package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed files
var files embed.FS

// policy is what the browser lets the page do: run and show what comes from here, ask the
// API, and nothing else. Text never becomes HTML.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Handler answers / and what is under /page/.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", file("index.html"))
	entries, err := fs.ReadDir(files, "files")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, e := range entries {
		if e.Name() != "index.html" {
			mux.Handle("GET /page/"+e.Name(), file(e.Name()))
		}
	}
	return mux
}

// file answers with an embedded file; a browser that has it is told so.
func file(name string) http.Handler {
	text, err := files.ReadFile("files/" + name)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(text)
	etag, kind := `"`+hex.EncodeToString(sum[:8])+`"`, kindOf(name)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h := rw.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache") // asked again each time: after an upgrade all files are of one version
		h.Set("ETag", etag)
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(text))
	})
}

// kindOf does not ask the machine, which may say otherwise of .js.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "text/html; charset=utf-8"
}
