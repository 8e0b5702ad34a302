package api_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// generator makes a client in Go of an OpenAPI document.
const generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"

// TestGeneratedClientSoak has a public generator make a client of the OpenAPI document,
// and that client create a tenant. It fetches the generator as a Go module.
func TestGeneratedClientSoak(t *testing.T) {
	if os.Getenv("HOWDAH_SOAK") == "" {
		t.Skip("it fetches modules: HOWDAH_SOAK=1m runs it")
	}
	d := newDesk(t)
	d.run()
	dir := t.TempDir()
	_, document, _ := d.ask("GET", "/openapi.json", "", "")
	program, err := os.ReadFile("testdata/client/main.go")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"openapi.json": []byte(document), "main.go": program} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tool := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, said.String())
		}
		return strings.TrimSpace(string(out))
	}
	tool("mod", "init", "generated")
	client := tool("run", generator, "-generate", "types,client", "-package", "main", "openapi.json")
	if err := os.WriteFile(filepath.Join(dir, "client.go"), []byte(client), 0o600); err != nil {
		t.Fatal(err)
	}
	tool("mod", "tidy")
	tool("vet", ".")
	password := tool("run", ".", d.url, d.tokens["operator"], "generated")
	conn, err := pgx.Connect(t.Context(), d.postgres.URL("generated", password, "generated"))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
