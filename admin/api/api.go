package api

import (
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	console "howdah/admin"
	"howdah/admin/fleet"
	"howdah/tenants"
)

// Config is what the API works with.
type Config struct {
	// Fleet returns who does what is asked for, or why there is nobody: there is no
	// catalog, or it is away.
	Fleet    func() (*fleet.Fleet, error)
	Registry *tenants.Registry
	Console  *console.Console // for the figures that it tells too
	// ClientRole returns the role of whoever shows a certificate of that common name, ""
	// for none; nil is none for all.
	ClientRole func(name string) string
	// TakeBackup has a base backup of a cluster be taken, and does not wait for it; nil is
	// that nobody can.
	TakeBackup func(cluster, why string) error
	// ReadBackups has what the store has of backups be read again soon; nil is that this
	// comes in its time.
	ReadBackups func()
	Limits      func() Limits // in force now; nil = none
	Version     string
	Log         *slog.Logger
}

// server answers requests.
type server struct {
	Config
	rates rates
}

// maxBody bounds what a request may send.
const maxBody = 1 << 20

// API answers what is under /api/, and /openapi.json.
type API struct {
	http.Handler
	authenticate func(huma.Context, func(huma.Context))
}

// Guard lets nobody at next whom the API would not let look: by a token, or a client
// certificate.
func (a *API) Guard(next http.Handler) http.Handler {
	o := operation("guarded", "GET", "", "", viewer)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		a.authenticate(humago.NewContext(&o, r, rw), func(huma.Context) { next.ServeHTTP(rw, r) })
	})
}

// New returns the API.
func New(c Config) *API {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("Howdah", c.Version)
	config.DocsPath, config.SchemasPath = "", ""
	config.OpenAPIPath = "/openapi"
	config.CreateHooks = nil // no "$schema" in every answer
	config.Transformers = append(config.Transformers, withoutValues)
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "A token of `howdah token create`, or of .howdah/token. A client certificate does too, if client_roles in [admin] give it a role."},
	}
	api := humago.New(mux, config)
	s := &server{Config: c}
	if s.rates.limits = c.Limits; c.Limits == nil {
		s.rates.limits = func() Limits { return Limits{} }
	}
	authenticate := s.authenticate(api)
	api.UseMiddleware(authenticate)
	s.tenants(api)
	s.entries(api)
	s.operations(api)
	s.tokens(api)
	s.audit(api)
	s.figures(api)
	s.backups(api)
	listsAreNoNulls(api.OpenAPI())
	return &API{fromHere(http.MaxBytesHandler(orProblem(mux), maxBody)), authenticate}
}

// listsAreNoNulls has the document say what is so: a list without entries is [], which
// huma cannot know.
func listsAreNoNulls(document *huma.OpenAPI) {
	for _, schema := range document.Components.Schemas.Map() {
		for _, p := range schema.Properties {
			p.Nullable = p.Nullable && p.Type != huma.TypeArray
		}
	}
	for _, path := range document.Paths {
		for _, o := range []*huma.Operation{path.Get, path.Post, path.Put, path.Patch, path.Delete} {
			if o == nil {
				continue
			}
			for _, response := range o.Responses {
				for _, content := range response.Content {
					if list := content.Schema; list != nil && list.Type == huma.TypeArray {
						list.Nullable = false
					}
				}
			}
		}
	}
}

const prefix = "/api/v1"

// operation describes an endpoint for OpenAPI, and who may use it.
func operation(id, method, path, summary string, least role, more ...func(*huma.Operation)) huma.Operation {
	o := huma.Operation{
		OperationID: id, Method: method, Path: prefix + path, Summary: summary,
		Security:     []map[string][]string{{"token": {}}},
		Metadata:     map[string]any{"least": least},
		MaxBodyBytes: maxBody,
	}
	for _, f := range more {
		f(&o)
	}
	return o
}

// accepted is of endpoints that begin something.
func accepted(o *huma.Operation) { o.DefaultStatus = http.StatusAccepted }

// own lets a token that is bound to the tenant in the path use the endpoint.
func own(o *huma.Operation) { o.Metadata["own"] = true }
