// Package filestore keeps Odoo's filestores: the files of attachments, which Odoo has beside
// the database, as <two hex digits>/<SHA-1 of the contents>, writes once and never changes.
//
// Sync (sync.go) copies those that are not stored yet, and deletes nothing: what Odoo has
// collected since, a moment in the past still needs. NamesInDump and NamesInDatabase
// (names.go) say which files a database refers to, Look (look.go) which of them are stored,
// and Fetch (fetch.go) puts those into a folder, for Odoo to read and to write there
// (likeness.go).
//
// Odoo writes a file before the transaction that refers to it commits, so all that was
// committed before a Sync began has its files. What was written and collected between two
// of them is not stored: have one run every hour.
package filestore
