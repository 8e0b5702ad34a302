// Package api is the HTTP API under /api/v1: what package fleet does, as resources.
//
// api.go puts it together on huma, which makes OpenAPI 3.1 of the types here, checks
// requests by them and answers errors as problem+json (RFC 9457). auth.go finds out who
// asks, by a bearer token or a client certificate, and whether that one may; rates.go, how
// often; errors.go says what status an error
// has. tenants.go, entries.go (clusters and tiers), operations.go, tokens.go and audit.go
// are the resources; figures.go tells what the console does of pools, backups.go of backups.
package api
