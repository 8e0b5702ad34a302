// Package wire speaks the PostgreSQL frontend/backend protocol, version 3
// (PostgreSQL manual, chapter "Frontend/Backend Protocol").
//
// A connection's life touches the files in this order. It begins with an
// untyped packet, behind a proxy with a header in front (proxy.go): tls.go
// accepts it, through TLS where asked, and startup.go decodes StartupMessage,
// SSLRequest, GSSENCRequest and CancelRequest. auth.go has a client prove who
// it is, by scram.go or md5.go. In the other direction dial.go opens a
// connection to a server, tls_client.go takes it into TLS, login.go logs in and
// ask.go asks what we want to know ourselves. From then on every message is a type byte, a length and a
// body: frame.go reads that header, message.go looks into the few bodies that
// decide something, append.go builds messages, error.go holds ErrorResponse
// and the SQLSTATEs that Howdah itself reports.
//
// Decoders never copy: what they return points into the bytes they were given
// and lives exactly as long as those. Every length is checked against the bytes
// at hand before it is believed.
//
// The package knows no tenants and writes no log.
package wire
