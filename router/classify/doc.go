// Package classify tells whether a statement may run at a standby.
//
// A statement comes as its shape: its text with every value replaced and all
// comments gone, which package router makes. A Classifier (classify.go) keeps what
// it knows of shapes in a cache of bounded size (cache.go). At the first sight of a
// shape nothing is known, and the statement goes to the primary; meanwhile
// PostgreSQL's own parser, in a goroutine of the Classifier's, takes the shape apart
// (judge.go). Either that says that no statement of this shape may run at a standby,
// or it says on which names that depends: on the functions, operators, relations and
// types that the shape mentions. What these are the database's Catalog says
// (catalog.go), which is read with CatalogQuery (catalog_query.go). So a shape is
// parsed once for all databases, and the verdict of the next statement of this shape
// is a few look-ups.
//
// Some names mean something else at a standby whatever the catalog says of them;
// names.go lists them.
//
// In doubt a statement is Unsafe: names that the catalog does not know, texts that
// this parser does not know, kinds of statements that nobody thought of. Without cgo
// there is no parser, and everything is Unsafe (judge_nocgo.go).
package classify
